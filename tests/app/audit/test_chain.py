"""Every change is written down once, in a chain in which nothing can be altered unseen."""

import asyncio
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from app.audit.chain import START
from app.kit.asgi import KeepEncodedSlash
from tests.conftest import client_of, on_both

MESSAGES = [{"role": "user", "content": "hello"}]


async def version(
    client: httpx2.AsyncClient, name: str = "ask", content: str = "hello", **more: Any
) -> httpx2.Response:
    body = {"content": {"messages": [{"role": "user", "content": content}]}, **more}
    return await client.post(f"/api/v1/prompts/{name}/versions", json=body)


async def entries(client: httpx2.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    """Oldest first."""
    answer = await client.get("/api/v1/audit", params={"limit": 500, **filters})
    assert answer.status_code == 200, answer.text
    return list(reversed(answer.json()["items"]))


async def verify(client: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/api/v1/audit/verify")
    assert answer.status_code == 200
    return dict(answer.json())


async def test_an_empty_chain_is_whole(client: httpx2.AsyncClient) -> None:
    assert await verify(client) == {"ok": True, "entries": 0, "head": START}


@on_both
async def test_changes_say_who_what_from_which_to_which_and_why(client: httpx2.AsyncClient) -> None:
    first = (await version(client, message="begin")).json()
    second = (await version(client, content="hello there")).json()
    for number in (1, 2):
        put = await client.put("/api/v1/prompts/ask/labels/tried", json={"version": number, "reason": f"try {number}"})
        assert put.status_code == 200
    await client.delete("/api/v1/prompts/ask/labels/tried")
    made = await entries(client)
    assert [(e["action"], e["subject"]) for e in made] == [
        ("prompt.versioned", "prompt ask"),
        ("prompt.versioned", "prompt ask"),
        ("label.moved", "prompt ask@tried"),
        ("label.moved", "prompt ask@tried"),
        ("label.removed", "prompt ask@tried"),
    ]
    assert [(e["before"], e["after"]) for e in made] == [
        (None, first["digest"]),
        (first["digest"], second["digest"]),
        (None, first["digest"]),
        (first["digest"], second["digest"]),
        (second["digest"], None),
    ]
    assert [e["reason"] for e in made] == ["begin", "", "try 1", "try 2", ""]
    assert {e["actor"] for e in made} == {"local (local)"}
    assert [e["no"] for e in made] == [1, 2, 3, 4, 5]
    assert (await verify(client))["head"] == made[-1]["hash"]


async def test_what_changes_nothing_is_not_written_down(client: httpx2.AsyncClient) -> None:
    await version(client)
    await version(client)
    await client.get("/api/v1/prompts/ask")
    assert len(await entries(client)) == 1


async def test_what_is_refused_leaves_no_entry(client: httpx2.AsyncClient) -> None:
    answer = await version(client, labels=["production"])
    assert answer.status_code == 403
    assert await entries(client) == []


async def test_keys_environments_and_verdicts_are_in_it_without_secrets(client: httpx2.AsyncClient) -> None:
    key = (await client.post("/api/v1/keys", json={"role": "ci", "name": "pipeline"})).json()
    await client.delete(f"/api/v1/keys/{key['id']}")
    await client.put("/api/v1/environments/staging", json={"approvals": 1})
    made = await entries(client)
    assert [e["action"] for e in made] == ["key.created", "key.revoked", "environment.changed"]
    assert key["key"] not in repr(made)
    assert made[2]["after"] == (await client.get("/api/v1/environments/staging")).json()["digest"]


async def test_a_key_that_expires_is_written_down_with_its_end(client: httpx2.AsyncClient) -> None:
    body = {"role": "ci", "name": "pipeline", "expires_at": "2100-01-01T00:00:00Z"}
    await client.post("/api/v1/keys", json=body)
    [entry] = await entries(client)
    assert entry["details"] == {
        "role": "ci",
        "clearance": "internal",
        "name": "pipeline",
        "expires_at": "2100-01-01T00:00:00+00:00",
    }
    assert (await verify(client))["ok"] is True


@on_both
async def test_a_name_that_is_archived_and_used_again_is_written_down_both_times(client: httpx2.AsyncClient) -> None:
    file = {"path": "prompts/ask.prompt.yaml", "text": "messages: [{role: user, content: hello}]\n"}
    manifest = {"path": "promptward.yaml", "text": "project: x\n"}
    for files in ([manifest, file], [manifest], [manifest, file], [manifest, file]):
        body = {"mode": "apply", "files": files, "prune": True, "message": "as in the files"}
        assert (await client.post("/api/v1/sync", json=body)).status_code == 200
    made, archived, used = await entries(client)
    assert (made["action"], archived["action"], used["action"]) == (
        "prompt.versioned",
        "prompt.archived",
        "prompt.unarchived",
    )
    assert (archived["before"], archived["after"]) == (made["after"], None)
    assert (used["before"], used["after"], used["reason"]) == (None, made["after"], "as in the files")


@on_both
async def test_changes_at_once_make_one_chain_without_gap(client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(version(client, f"ask{n}") for n in range(30)))
    assert {answer.status_code for answer in answers} == {201}
    assert [e["no"] for e in await entries(client)] == list(range(1, 31))
    assert await verify(client) == {**await verify(client), "ok": True, "entries": 30}


@on_both
@pytest.mark.parametrize(
    ("tampering", "first_bad"),
    [
        ("UPDATE audit_entry SET actor = 'somebody else' WHERE no = 2", 2),
        ("UPDATE audit_entry SET reason = 'a better one' WHERE no = 3", 3),
        ("UPDATE audit_entry SET after = 'sha256:other' WHERE no = 1", 1),
        ("UPDATE audit_entry SET at = '2020-01-01 00:00:00+00:00' WHERE no = 4", 4),
        ("UPDATE audit_entry SET details = '{}' WHERE no = 3", 3),
        ("UPDATE audit_entry SET hash = previous WHERE no = 2", 2),
        ("UPDATE audit_entry SET project_id = 'other' WHERE no = 5", 5),
        ("DELETE FROM audit_entry WHERE no = 2", 2),
        ("DELETE FROM audit_entry WHERE no = 5", 5),
        ("DELETE FROM audit_entry WHERE no < 3", 1),
        ("DELETE FROM audit_entry WHERE no > 3", 4),
        ("UPDATE audit_entry SET no = CASE no WHEN 2 THEN -1 ELSE -2 END WHERE no IN (2, 3)", -2),
        ("UPDATE audit_entry SET reason = CASE no WHEN 2 THEN 'reason 2' ELSE 'reason 1' END WHERE no IN (2, 3)", 2),
        ("UPDATE audit_entry SET previous = hash WHERE no = 4", 4),
        ("UPDATE audit_entry SET subject = 'prompt other' WHERE no = 2", 2),
        ("UPDATE audit_entry SET action = 'label.moved' WHERE no = 2", 2),
        ("UPDATE audit_entry SET before = NULL WHERE no = 3", 3),
        ("DELETE FROM audit_entry", 1),
        ("DELETE FROM audit_head", 1),
        ("UPDATE audit_entry SET no = 9 WHERE no = 5", 5),
        ("UPDATE audit_entry SET details = '{\"a\"\\: 123456789012345678901}' WHERE no = 3", 3),
        ("UPDATE audit_head SET no = -1", 1),
        ("UPDATE audit_head SET hash = 'sha256:other'", 5),
        (
            "INSERT INTO audit_entry SELECT project_id, -3, at, actor, action, subject, before, after, reason, details, "
            "hash, hash FROM audit_entry WHERE no = 5",
            -3,
        ),
        (
            "INSERT INTO audit_entry SELECT project_id, 6, at, actor, action, subject, before, after, reason, details, "
            "hash, hash FROM audit_entry WHERE no = 5",
            6,
        ),
    ],
)
async def test_whatever_is_altered_is_found(
    app: KeepEncodedSlash, client: httpx2.AsyncClient, tampering: str, first_bad: int
) -> None:
    for n in range(5):
        await version(client, content=f"hello {n}", message=f"reason {n}")
    assert (await verify(client))["ok"] is True
    async with app.litestar.state.sessions.begin() as session:
        await session.execute(text(tampering))
    found = await verify(client)
    assert (found["ok"], found["first_bad"]) == (False, first_bad)
    assert found["why"]


@on_both
async def test_two_entries_that_change_places_are_found(app: KeepEncodedSlash, client: httpx2.AsyncClient) -> None:
    for n in range(5):
        await version(client, content=f"hello {n}")
    async with app.litestar.state.sessions.begin() as session:
        for was, to in ((2, 99), (4, 2), (99, 4)):
            await session.execute(text("UPDATE audit_entry SET no = :to WHERE no = :was"), {"was": was, "to": to})
    found = await verify(client)
    assert (found["ok"], found["first_bad"]) == (False, 2)


@on_both
async def test_a_chain_that_is_written_to_meanwhile_is_whole(client: httpx2.AsyncClient) -> None:
    async def write() -> None:
        for n in range(15):
            await version(client, content=f"hello {n}")

    writing = asyncio.create_task(write())
    found = []
    while not writing.done():
        found.append((await verify(client))["ok"])
    await writing
    assert found
    assert all(found)


@pytest.mark.parametrize("column", ["at", "details"])
async def test_an_entry_that_cannot_be_read_is_named(
    app: KeepEncodedSlash, client: httpx2.AsyncClient, column: str
) -> None:
    for n in range(3):
        await version(client, content=f"hello {n}")
    async with app.litestar.state.sessions.begin() as session:
        await session.execute(text(f"UPDATE audit_entry SET {column} = 'garbage' WHERE no = 2"))
    found = await verify(client)
    assert (found["ok"], found["first_bad"]) == (False, 2)


@on_both
async def test_the_audit_is_filtered_and_paged(client: httpx2.AsyncClient) -> None:
    for n in range(3):
        await version(client, f"ask{n}")
    await client.put("/api/v1/prompts/ask1/labels/tried", json={"version": 1})
    assert [e["action"] for e in await entries(client, action="label")] == ["label.moved"]
    assert [e["no"] for e in await entries(client, subject="ask1")] == [2, 4]
    assert await entries(client, actor="nobody") == []
    assert await entries(client, until="2020-01-01T00:00:00Z") == []
    page = (await client.get("/api/v1/audit", params={"limit": 3})).json()
    rest = (await client.get("/api/v1/audit", params={"limit": 3, "cursor": page["next_cursor"]})).json()
    assert [e["no"] for e in [*page["items"], *rest["items"]]] == [4, 3, 2, 1]
    assert (await client.get("/api/v1/audit", params={"since": "2020-01-01T00:00:00"})).status_code == 400


async def test_who_may_not_read_it_does_not(app: KeepEncodedSlash, client: httpx2.AsyncClient) -> None:
    key = (await client.post("/api/v1/keys", json={"role": "feedback", "name": "web"})).json()["key"]
    async with client_of(app, key) as browser:
        assert (await browser.get("/api/v1/audit")).status_code == 403
        assert (await browser.get("/api/v1/audit/verify")).status_code == 403
