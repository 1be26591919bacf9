import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.kit.asgi import KeepEncodedSlash
from tests.app.runs.endpoint import endpoint
from tests.conftest import client_of, settings_for, started


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


async def test_while_the_first_request_runs_the_second_is_told_when_to_come_back(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    async with endpoint(latency_s=0.5) as model:
        here = {"provider": "compatible", "base_url": model.base_url, "model": "m"}
        body = {"prompt": PROMPT, "endpoint": {"content": here}}
        first = asyncio.create_task(generate(sqlite_client, body))
        await model.reached(1)
        second = await generate(sqlite_client, body)
        assert (second.status_code, second.headers["retry-after"]) == (409, "1")
        assert second.json()["type"] == "urn:promptward:conflict"
        assert (await first).status_code == 200
        third = await generate(sqlite_client, body)
        assert (third.status_code, third.headers["idempotent-replayed"], model.calls) == (200, "true", 1)


async def generate(client: httpx2.AsyncClient, body: dict[str, object]) -> httpx2.Response:
    return await client.post("/api/v1/generate", json=body, headers={"Idempotency-Key": "k1"})


async def test_an_answer_is_kept_for_a_day_and_then_the_key_is_new(tmp_path: Path, sqlite_url: str) -> None:
    now = [datetime(2026, 11, 1, tzinfo=UTC)]
    settings = settings_for(tmp_path / "home", sqlite_url)
    async with started(settings, clock=lambda: now[0]) as app, client_of(app) as client:
        first = await post(client, "k1", PROMPT)
        now[0] += timedelta(hours=23, minutes=59)
        assert "idempotent-replayed" in (await post(client, "k1", PROMPT)).headers
        now[0] += timedelta(minutes=2)
        late = await post(client, "k1", PROMPT)
        assert "idempotent-replayed" not in late.headers
        assert late.json()["digest"] == first.json()["digest"]


async def test_one_key_s_answers_are_not_another_key_s(client: httpx2.AsyncClient) -> None:
    await post(client, "k1", PROMPT)
    other = (await client.post("/api/v1/keys", json={"role": "engineer", "name": "x"})).json()["key"]
    answer = await client.post(
        "/api/v1/prompts/greeting/versions",
        json=PROMPT,
        headers={"Idempotency-Key": "k1", "Authorization": f"Bearer {other}"},
    )
    assert "idempotent-replayed" not in answer.headers


@pytest.mark.parametrize("whole", [True, False])
async def test_a_request_whose_client_went_away_half_way_does_nothing_and_leaves_its_key_free(
    app: KeepEncodedSlash, client: httpx2.AsyncClient, whole: bool
) -> None:
    """Half of these lines are a dataset too."""
    lines = [json.dumps({"id": str(n), "inputs": {"q": "x"}}).encode() + b"\n" for n in range(4)]
    headers = {"Idempotency-Key": "k1", "Content-Type": "application/x-ndjson"}
    path = "/api/v1/datasets/d/versions"
    messages = [{"type": "http.request", "body": line, "more_body": True} for line in lines[:2]]
    messages.append({"type": "http.request", "body": lines[2] + lines[3]} if whole else {"type": "http.disconnect"})
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in {**client.headers, **headers}.items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": raw,
        "client": ("127.0.0.1", 1), "server": ("test", 80), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)  # type: ignore[arg-type]
    assert [m["status"] for m in sent if m["type"] == "http.response.start"] == ([201] if whole else [])
    again = await client.post(path, content=b"".join(lines), headers=headers)
    assert (again.status_code, again.headers.get("idempotent-replayed")) == (201, "true" if whole else None)
    assert again.json()["content"]["items"]["count"] == 4
    assert len((await client.get(path)).json()["items"]) == 1
