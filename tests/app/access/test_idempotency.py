import asyncio

import httpx2


async def post(client: httpx2.AsyncClient, key: str, body: dict[str, object]) -> httpx2.Response:
    return await client.post("/api/v1/prompts/greeting/versions", json=body, headers={"Idempotency-Key": key})


PROMPT = {"content": {"messages": [{"role": "user", "content": "Hi"}]}}


async def test_the_first_answer_is_given_again_and_nothing_happens_twice(client: httpx2.AsyncClient) -> None:
    first, second = await post(client, "k1", PROMPT), await post(client, "k1", PROMPT)
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert second.headers["idempotent-replayed"] == "true"


async def test_the_same_key_with_another_body_is_refused(client: httpx2.AsyncClient) -> None:
    await post(client, "k1", PROMPT)
    other = await post(client, "k1", {"content": {"messages": [{"role": "user", "content": "Ho"}]}})
    assert (other.status_code, other.json()["type"]) == (422, "urn:promptward:invalid-content")
    assert len((await client.get("/api/v1/prompts/greeting/versions")).json()["items"]) == 1


async def test_many_at_once_with_one_key_have_one_effect(client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*[post(client, "k1", PROMPT) for _ in range(20)])
    assert {a.status_code for a in answers} <= {201, 409}
    assert sum(a.status_code == 201 and "idempotent-replayed" not in a.headers for a in answers) == 1
    assert len((await client.get("/api/v1/prompts/greeting/versions")).json()["items"]) == 1


async def test_a_key_without_a_valid_caller_is_401(anonymous: httpx2.AsyncClient) -> None:
    assert (await post(anonymous, "k1", PROMPT)).status_code == 401
