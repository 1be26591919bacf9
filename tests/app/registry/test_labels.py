import asyncio
from typing import Any

import httpx2
import pytest

from app.registry.service import Registry
from tests.app.registry.api import ENDPOINT, got, items_of, made, path, problem, prompt


@pytest.fixture
async def three(client: httpx2.AsyncClient) -> list[dict[str, Any]]:
    return [await made(client, "prompts", "docs/answer", prompt(text)) for text in ("one", "two", "three")]


LABEL = path("prompts", "docs/answer", "labels", "staging")


async def test_a_label_is_put_moved_and_removed_with_a_history_of_who_when_and_why(
    client: httpx2.AsyncClient, three: list[dict[str, Any]]
) -> None:
    first = await client.put(LABEL, json={"version": 1})
    assert (first.status_code, first.json()["version"], first.json()["digest"]) == (200, 1, three[0]["digest"])
    await client.put(LABEL, json={"version": "3", "reason": "better"})
    await client.put(LABEL, json={"version": 3, "reason": "again"})
    assert (await client.request("DELETE", LABEL, json={"reason": "done"})).status_code == 204
    await client.put(LABEL, json={"version": three[1]["digest"][:19]})
    assert (await client.delete(LABEL, params={"reason": "really done"})).status_code == 204
    moves = await items_of(client, f"{LABEL}/history", limit=2)
    assert [(m["from"], m["to"], m["reason"]) for m in moves] == [
        (2, None, "really done"),
        (None, 2, ""),
        (3, None, "done"),
        (1, 3, "better"),
        (None, 1, ""),
    ], "putting a label where it is moves nothing"
    assert all(m["who"] and m["when"].endswith("Z") and m["label"] == "staging" for m in moves)


async def test_a_label_leads_to_its_version_wherever_one_can_be_named(
    client: httpx2.AsyncClient, three: list[dict[str, Any]]
) -> None:
    await client.put(LABEL, json={"version": 2})
    await client.put(path("prompts", "docs/answer", "labels", "beta"), json={"version": "staging"})
    assert (await got(client, path("prompts", "docs/answer", "versions", "beta")))["labels"] == ["beta", "staging"]
    assert (await got(client, path("prompts", "docs/answer")))["labels"] == {"beta": 2, "staging": 2}
    listed = await got(client, path("prompts", "docs/answer", "labels"))
    assert [(label["label"], label["version"], label["protected"]) for label in listed] == [
        ("beta", 2, False),
        ("staging", 2, False),
    ]
    assert [a["name"] for a in await items_of(client, "/api/v1/prompts", label="beta")] == ["docs/answer"]
    assert await items_of(client, "/api/v1/prompts", label="gamma") == []


@pytest.mark.parametrize("label", ["latest", "7", "Staging", "_x", "-x", "x" * 41, "a.b", "ä"])
async def test_a_label_outside_the_grammar_is_refused(
    client: httpx2.AsyncClient, three: list[dict[str, Any]], label: str
) -> None:
    answer = await client.put(path("prompts", "docs/answer", "labels", label), json={"version": 1})
    assert problem(answer) == (422, "invalid-content", ["/label/0"])
    answer = await client.post(
        path("prompts", "docs/answer", "versions"), json={"content": prompt("four"), "labels": ["ok", label]}
    )
    assert problem(answer) == (422, "invalid-content", ["/labels/1"])
    assert (await got(client, path("prompts", "docs/answer")))["version"] == 3, "nothing was stored half"


async def test_what_a_label_cannot_point_at_is_named(client: httpx2.AsyncClient, three: list[dict[str, Any]]) -> None:
    assert problem(await client.put(LABEL, json={"version": 9})) == (422, "invalid-content", ["/version"])
    assert problem(await client.put(LABEL, json={})) == (400, "bad-request", ["/version"])
    assert problem(await client.put(path("prompts", "no", "labels", "x"), json={"version": 1}))[:2] == (
        404,
        "not-found",
    )
    assert problem(await client.delete(LABEL))[:2] == (404, "not-found")
    assert problem(await client.get(f"{LABEL}/history"))[:2] == (404, "not-found")
    assert problem(await client.request("DELETE", LABEL, json={"why": "?"}))[:2] == (400, "bad-request")


async def test_no_path_moves_the_label_of_an_environment(
    client: httpx2.AsyncClient, three: list[dict[str, Any]]
) -> None:
    production = path("prompts", "docs/answer", "labels", "production")
    file = {
        "path": "prompts/docs/answer.prompt.yaml",
        "text": "messages: [{role: user, content: x}]\nlabels: [production]",
    }
    attempts = [
        await client.put(production, json={"version": 1}),
        await client.delete(production),
        await client.post(
            path("prompts", "docs/answer", "versions"), json={"content": prompt("new"), "labels": ["production"]}
        ),
        await client.post(
            path("prompts", "fresh", "versions"), json={"content": prompt("new"), "labels": ["production"]}
        ),
        *[await client.post("/api/v1/sync", json={"mode": m, "files": [file]}) for m in ("plan", "apply", "draft")],
    ]
    for answer in attempts:
        assert problem(answer)[:2] == (403, "label-protected")
        assert "release" in answer.json()["detail"]
    found = await got(client, path("prompts", "docs/answer"))
    assert (found["version"], found["labels"]) == (3, {})
    assert [a["name"] for a in await items_of(client, "/api/v1/prompts")] == ["docs/answer"]
    await made(client, "endpoints", "e", ENDPOINT, labels=["production"])


async def test_the_room_of_environments_protects_a_label_and_moves_it(
    client: httpx2.AsyncClient, app: Any, three: list[dict[str, Any]]
) -> None:
    await client.put(LABEL, json={"version": 1})
    async with app.litestar.state.sessions.begin() as session:
        labels = Registry(session, "default", actor="releases").labels
        await labels.protect("prompt", "staging")
        assert await labels.move_protected("prompt", "docs/answer", "staging", 2, "release rel_1")
    assert problem(await client.put(LABEL, json={"version": 1}))[:2] == (403, "label-protected")
    (label,) = await got(client, path("prompts", "docs/answer", "labels"))
    assert (label["version"], label["protected"], label["moved_by"]) == (2, True, "releases")
    assert (await items_of(client, f"{LABEL}/history"))[0]["reason"] == "release rel_1"


async def test_who_may_not_set_labels_may_neither_put_them_on_a_new_version(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient, three: list[dict[str, Any]]
) -> None:
    for role in ("reader", "ci"):
        key = (await client.post("/api/v1/keys", json={"role": role, "name": role})).json()["key"]
        headers = {"Authorization": f"Bearer {key}"}
        assert (await anonymous.put(LABEL, json={"version": 1}, headers=headers)).status_code == 403
        answer = await anonymous.post(
            path("prompts", "p", "versions"), json={"content": prompt(), "labels": ["x"]}, headers=headers
        )
        assert answer.status_code == 403
        assert (await anonymous.get(path("prompts", "docs/answer"), headers=headers)).status_code == 200


async def test_a_label_moves_only_from_where_it_was_last_seen(
    client: httpx2.AsyncClient, three: list[dict[str, Any]]
) -> None:
    def at(number: int) -> dict[str, str]:
        return {"If-Match": f'"{three[number - 1]["digest"]}"'}

    absent = {"If-None-Match": "*"}
    assert problem(await client.put(LABEL, json={"version": 1}, headers=at(1)))[:2] == (412, "precondition-failed")
    assert (await client.put(LABEL, json={"version": 1}, headers=absent)).status_code == 200
    assert problem(await client.put(LABEL, json={"version": 2}, headers=absent))[0] == 412
    seen = await client.get(LABEL)
    assert seen.headers["etag"] == at(1)["If-Match"]
    assert (await client.put(LABEL, json={"version": 2}, headers={"If-Match": seen.headers["etag"]})).status_code == 200
    late = await client.put(LABEL, json={"version": 3}, headers={"If-Match": seen.headers["etag"]})
    assert problem(late)[0] == 412
    assert problem(await client.request("DELETE", LABEL, headers=at(1)))[0] == 412
    assert (await client.get(LABEL)).json()["version"] == 2
    both = {**at(2), **absent}
    assert problem(await client.put(LABEL, json={"version": 3}, headers=both))[0] == 400
    assert (await client.request("DELETE", LABEL, headers={"If-Match": "*"})).status_code == 204
    assert problem(await client.request("DELETE", LABEL, headers={"If-Match": "*"}))[0] == 412


async def test_of_many_who_move_a_label_from_the_same_place_one_wins(
    client: httpx2.AsyncClient, three: list[dict[str, Any]]
) -> None:
    await client.put(LABEL, json={"version": 1})
    seen = {"If-Match": f'"{three[0]["digest"]}"'}
    answers = await asyncio.gather(*(client.put(LABEL, json={"version": 2 + n % 2}, headers=seen) for n in range(12)))
    assert sorted(a.status_code for a in answers) == [200, *[412] * 11]
