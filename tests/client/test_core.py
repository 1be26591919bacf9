"""Requests: retried when that is safe, and every failure a clear error."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from promptward import AsyncClient, ConnectionFailedError, PromptwardError, core

Answer = Callable[[int, str, asyncio.StreamWriter], Awaitable[None]]

JSON = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}"


class Served:
    def __init__(self) -> None:
        self.requests: list[str] = []
        self.url = ""


@asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[Served]:
    """A real server on a socket; `answer` gets the number of the request (from 0), its head, and the connection."""
    state = Served()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            if (mark := "content-length: ") in head:
                await reader.readexactly(int(head.partition(mark)[2].partition("\r")[0]))
            number = len(state.requests)
            state.requests.append(head)
            await answer(number, head, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield state


async def say(writer: asyncio.StreamWriter, text: str) -> None:
    writer.write(text.encode())
    await writer.drain()


def plain(status: str, media_type: str, body: str) -> str:
    return f"HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {len(body.encode())}\r\n\r\n{body}"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "RETRY_AFTER_S", 0.01)


async def drop_first(number: int, head: str, writer: asyncio.StreamWriter) -> None:
    if number > 0:
        await say(writer, plain("200 OK", "application/json", '{"items": [], "next_cursor": null}'))


async def test_a_request_that_broke_off_is_made_again() -> None:
    async with served(drop_first) as server, AsyncClient(server.url, "k") as client:
        assert await client.keys.list() == {"items": [], "next_cursor": None}
        assert len(server.requests) == 2


async def test_a_repeated_post_carries_the_same_idempotency_key() -> None:
    async with served(drop_first) as server, AsyncClient(server.url, "k") as client:
        await client.keys.create("reader", "x")
    keys = [request.partition("idempotency-key: ")[2].partition("\r")[0] for request in server.requests]
    assert len(keys) == 2
    assert keys[0] == keys[1] != ""


async def test_it_gives_up_after_two_more_tries() -> None:
    async def never(number: int, head: str, writer: asyncio.StreamWriter) -> None: ...

    async with served(never) as server, AsyncClient(server.url) as client:
        with pytest.raises(ConnectionFailedError, match="broke"):
            await client.keys.list()
        assert len(server.requests) == 3


async def test_a_request_that_timed_out_is_not_made_again() -> None:
    async def silent(number: int, head: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    async with served(silent) as server, AsyncClient(server.url, timeout=0.1) as client:
        with pytest.raises(ConnectionFailedError, match="in time"):
            await client.keys.list()
        assert len(server.requests) == 1


async def test_an_answer_that_is_an_error_is_not_asked_for_again() -> None:
    problem = '{"type":"urn:promptward:unavailable","title":"t","status":503,"detail":"not now"}'

    async def refuse(number: int, head: str, writer: asyncio.StreamWriter) -> None:
        await say(writer, plain("503 Service Unavailable", "application/problem+json", problem))

    async with served(refuse) as server, AsyncClient(server.url) as client:
        with pytest.raises(PromptwardError) as caught:
            await client.keys.list()
        assert (caught.value.slug, caught.value.status, caught.value.detail) == ("unavailable", 503, "not now")
        assert len(server.requests) == 1


async def test_nobody_there_is_a_connection_error_with_the_address() -> None:
    async with AsyncClient("http://127.0.0.1:1") as client:
        with pytest.raises(ConnectionFailedError, match=r"http://127\.0\.0\.1:1 cannot be reached"):
            await client.keys.list()


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://example.org", "http://", "http://[::1", "promptward"])
def test_an_address_that_is_none_is_said_to_be_none(url: str) -> None:
    with pytest.raises(PromptwardError, match="is not an address") as caught:
        AsyncClient(url)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("status", "media_type", "body"),
    [
        ("200 OK", "text/html", "<html>"),
        ("502 Bad Gateway", "text/html", "<html>"),
        ("307 Temporary Redirect", "text/plain", "elsewhere"),
        ("200 OK", "application/json", '{"items": ['),
    ],
)
async def test_what_is_not_an_answer_of_the_service_says_what_came_instead(
    status: str, media_type: str, body: str
) -> None:
    async def other(number: int, head: str, writer: asyncio.StreamWriter) -> None:
        await say(writer, plain(status, media_type, body))

    async with served(other) as server, AsyncClient(server.url) as client:
        with pytest.raises(PromptwardError, match=f"HTTP {status[:3]} with {media_type}") as caught:
            await client.keys.list()
        assert caught.value.slug == "bad-response"


async def test_a_stream_that_breaks_off_is_a_connection_error() -> None:
    async def half(number: int, head: str, writer: asyncio.StreamWriter) -> None:
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 1000\r\n\r\n"
        await say(writer, f'{head}event: progress\ndata: {{"done": 1}}\n\n')

    async with served(half) as server, AsyncClient(server.url) as client:
        events = client.runs.events("run_1")
        assert await anext(events) == {"event": "progress", "data": {"done": 1}}
        with pytest.raises(ConnectionFailedError, match="broke"):
            await anext(events)


async def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(drop_first) as server:
        monkeypatch.setenv("PROMPTWARD_URL", server.url + "/")
        monkeypatch.setenv("PROMPTWARD_API_KEY", "pw_a_b")
        async with AsyncClient() as client:
            await client.keys.list()
        assert "authorization: bearer pw_a_b" in server.requests[-1]
