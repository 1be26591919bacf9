"""Downloads whose readers go away, or read slowly."""

import asyncio
from typing import Any

import httpx2
import pytest

from app.datasets import download
from tests.app.datasets.test_datasets import numbered
from tests.app.registry.api import made, path, prompt
from tests.conftest import TOKEN


async def aborted(app: Any, url: str, query: str, after: int) -> int:
    """Asks for a file and goes away after some pieces of it (0: at once); how many came."""
    gone, asked = asyncio.Event(), False
    pieces = 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            if after == 0:
                gone.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal pieces
        if message["type"] == "http.response.body":
            pieces += 1
            if pieces >= after:
                gone.set()
                await asyncio.sleep(0.05)

    headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"accept-encoding", b"identity")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": url.replace("%2F", "/"),
        "raw_path": url.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
    }
    await asyncio.wait_for(app(scope, receive, send), 60)
    return pieces


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_many_readers_that_go_away_leave_no_connection_behind(
    client: httpx2.AsyncClient, app: Any, after: int
) -> None:
    await made(client, "datasets", "d", {"items": numbered(3 * download.PORTION)})
    pool = app.litestar.state.engine.pool
    asked = [
        aborted(app, path("datasets", "d", "versions", "1", "export"), f"format={form}", after)
        for form in ("jsonl", "csv")
        for _ in range(12)  # more at once than the pool has connections
    ]
    came = await asyncio.gather(*asked)
    assert max(came) < 5, "they went away before the end"
    async with asyncio.timeout(10):
        while pool.checkedout():  # the service's own looks at the database take one for a moment
            await asyncio.sleep(0.01)
    assert (await client.get(path("datasets", "d", "versions"))).status_code == 200


async def test_a_download_that_nobody_reads_on_holds_no_connection(client: httpx2.AsyncClient, app: Any) -> None:
    await made(client, "datasets", "d", {"items": numbered(3)})
    await made(client, "endpoints", "m", {"provider": "replay", "model": "m"})
    await made(client, "prompts", "p", prompt("{{ q }}", variables={"q": {}}))
    await made(client, "suites", "s", {"dataset": "d", "endpoints": ["m"], "scorers": [{"use": "length"}]})
    body = {"suite": "s", "candidates": [{"prompt": "p"}]}
    run = (await client.post("/api/v1/runs", params={"wait": 20}, json=body)).json()["id"]
    pool = app.litestar.state.engine.pool
    held: list[str] = []
    all_held = asyncio.Event()

    async def slow(url: str) -> None:
        async def receive() -> dict[str, Any]:
            await asyncio.sleep(60)
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.body":
                held.append(url)
                if len(held) == 30:
                    all_held.set()
                await asyncio.sleep(60)

        scope = {
            "type": "http",
            "method": "GET",
            "path": url,
            "raw_path": url.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"authorization", f"Bearer {TOKEN}".encode()), (b"accept-encoding", b"identity")],
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
        }
        await app(scope, receive, send)

    urls = [path("datasets", "d", "versions", "1", "export"), f"/api/v1/runs/{run}/export"]
    tasks = [asyncio.create_task(slow(url)) for url in urls for _ in range(15)]
    try:
        async with asyncio.timeout(60):
            await all_held.wait()
        assert pool.checkedout() == 0, "thirty slow readers would take every connection there is"
        assert (await client.get(path("datasets", "d", "versions"))).status_code == 200
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
