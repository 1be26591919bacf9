"""The transport into an application in the same process hands over every piece as it is sent."""

import asyncio
from typing import Any

import httpx2
import pytest
from promptward import asgi
from promptward.asgi import StreamingASGITransport

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def piece(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def client(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=StreamingASGITransport(app), base_url="http://test")


async def test_a_piece_arrives_before_the_next_one_is_sent() -> None:
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"first"))
        await go_on.wait()
        await send(piece(b"second", more=False))

    async with client(app) as http, http.stream("GET", "/") as response:
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"first"
        go_on.set()
        assert await anext(pieces) == b"second"


async def test_the_application_sees_the_request_as_a_server_would_show_it() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope, body=(await receive())["body"])
        await send(START)
        await send(piece(b"", more=False))

    async with client(app) as http:
        await http.post("/a%2Fb?x=1%202", content=b"hello", headers={"X-Name": "v"})
    assert seen["raw_path"] == b"/a%2Fb"
    assert seen["query_string"] == b"x=1%202"
    assert (seen["method"], seen["body"]) == ("POST", b"hello")
    assert (b"x-name", b"v") in seen["headers"]


async def test_leaving_a_stream_tells_the_application_that_its_client_is_gone() -> None:
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(START)
        await send(piece(b"first"))
        assert (await receive())["type"] == "http.disconnect"
        ended.set()

    async with client(app) as http:
        async with http.stream("GET", "/") as response:
            await anext(response.aiter_bytes())
        assert ended.is_set()


async def test_an_application_that_does_not_notice_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "GRACE_S", 0.05)
    cancelled = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"first"))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with client(app) as http, http.stream("GET", "/") as response:
        await anext(response.aiter_bytes())
    assert cancelled.is_set()


async def test_an_error_before_the_answer_reaches_the_caller() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("no")

    async with client(app) as http:
        with pytest.raises(LookupError):
            await http.get("/")


async def test_half_an_answer_is_never_taken_for_a_whole_one() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"first"))
        raise LookupError("no")

    async def short(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"first"))

    async with client(broken) as http:
        with pytest.raises(LookupError):
            await http.get("/")
    async with client(short) as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.get("/")


async def test_work_after_the_answer_is_waited_for_when_the_client_closes() -> None:
    done = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"all", more=False))
        await asyncio.sleep(0.05)
        done.set()

    async with client(app) as http:
        assert (await http.get("/")).content == b"all"
        assert not done.is_set()
    assert done.is_set()
