"""Versions as products fetch them: from memory, and still what was last decided."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import event

from app.kit.asgi import KeepEncodedSlash
from app.registry import fetching
from tests.app.registry.api import made, path, prompt
from tests.conftest import client_of, on_both, settings_for, started


async def number(client: httpx2.AsyncClient, name: str, ref: str) -> int:
    """The number of the version there, 0 when there is none."""
    answer = await client.get(path("prompts", name, "versions", ref))
    return int(answer.json()["version"]) if answer.status_code == 200 else 0


async def test_whatever_changes_a_version_is_seen_at_once(client: httpx2.AsyncClient) -> None:
    await made(client, "prompts", "p", prompt("one", aliases=["old"]), labels=["beta"])
    assert [await number(client, "p", ref) for ref in ("latest", "beta", "2")] == [1, 1, 0]
    await made(client, "prompts", "p", prompt("two"))
    assert [await number(client, "p", ref) for ref in ("latest", "beta", "2")] == [2, 1, 2]
    await client.put(path("prompts", "p", "labels", "beta"), json={"version": 2})
    assert await number(client, "p", "beta") == 2
    await client.delete(path("prompts", "p", "labels", "beta"))
    assert await number(client, "p", "beta") == 0
    assert (await client.delete(path("prompts", "p", "versions", "1"))).status_code == 204
    assert await number(client, "p", "1") == 0
    await made(client, "prompts", "q", prompt("three", aliases=["old"]))
    assert await number(client, "old", "latest") == 1
    await made(client, "prompts", "q", prompt("four"))
    assert await number(client, "old", "latest") == 0, "the alias was taken away"
    await made(client, "prompts", "old", prompt("five"))
    assert (await client.get(path("prompts", "old", "versions", "latest"))).json()["name"] == "old"
    files = [{"path": "prompts/p.prompt.yaml", "text": "messages: [{role: user, content: six}]\n"}]
    done = await client.post("/api/v1/sync", json={"mode": "apply", "files": files, "force": True})
    assert done.status_code == 200
    assert await number(client, "p", "latest") == 3


@on_both
async def test_what_another_process_changes_is_seen_within_a_second(
    client: httpx2.AsyncClient, database_url: str, tmp_path: Path
) -> None:
    await made(client, "prompts", "p", prompt("one"))
    async with started(settings_for(tmp_path / "other", database_url)) as other, client_of(other) as second:
        assert await number(second, "p", "latest") == 1
        await made(client, "prompts", "p", prompt("two"))
        await asyncio.sleep(fetching.FRESH_S)
        assert await number(second, "p", "latest") == 2
        await made(second, "prompts", "p", prompt("three"))
        assert await number(second, "p", "latest") == 3


async def test_many_who_ask_at_once_are_answered_by_one_reading(
    app: KeepEncodedSlash, client: httpx2.AsyncClient
) -> None:
    await made(client, "prompts", "p", prompt("one"))
    reads: list[str] = []

    def note(*given: Any) -> None:
        reads.append(str(given[2]))

    engine = app.litestar.state.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        assert set(await asyncio.gather(*[number(client, "p", "latest") for _ in range(50)])) == {1}
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len([sql for sql in reads if "FROM version" in sql]) == 1
    missing = await asyncio.gather(*[number(client, "p", "9") for _ in range(20)])
    assert set(missing) == {0}, "everybody is told"


async def test_what_is_kept_has_a_bound_in_bytes(app: KeepEncodedSlash, client: httpx2.AsyncClient) -> None:
    versions = fetching.Versions(app.litestar.state.sessions, most_bytes=50_000)
    sizes = []
    for number in range(10):
        await made(client, "prompts", f"p{number}", prompt("x" * 15_000))
        fetched = await versions.get("default", "prompt", f"p{number}", "latest")
        assert fetched.body == (await client.get(path("prompts", f"p{number}", "versions", "latest"))).content
        sizes.append(versions.bytes_kept)
    assert 15_000 < max(sizes) <= 50_000
    await versions.close()
