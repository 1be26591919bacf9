"""The HTTP client over an ASGI application in the same process, streams included.

httpx2's own ASGITransport collects a whole response before it hands it over, so that server-sent events would arrive
when all is over.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import httpx2

Message = MutableMapping[str, Any]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

GRACE_S = 5.0
"""How long an application may take to notice that its client has gone, before its task is cancelled."""


class StreamingASGITransport(httpx2.AsyncBaseTransport):
    """Hands each request to `app`, and each piece of the answer to the caller as it is sent.

    The application must have been started (lifespan) by whoever made it. An exception that leaves the application is
    raised to the caller. Closing a response early tells the application that its client has disconnected.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = _Exchange(await request.aread())
        exchange.task = asyncio.create_task(exchange.run(self._app, _scope(request)))
        self._tasks.add(exchange.task)
        exchange.task.add_done_callback(self._tasks.discard)
        try:
            return await exchange.head
        except BaseException:
            await exchange.aclose()
            raise

    async def aclose(self) -> None:
        """Waits for what the application still does after its answers, for `GRACE_S` seconds."""
        await _end(self._tasks)


class _Exchange(httpx2.AsyncByteStream):
    """One request on its way: the application's end of the conversation, and the response's body for the caller."""

    def __init__(self, body: bytes) -> None:
        self.head: asyncio.Future[httpx2.Response] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None
        self._request_body: bytes | None = body
        self._parts: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self._over = asyncio.Event()

    async def run(self, app: ASGIApp, scope: Message) -> None:
        try:
            await app(scope, self._receive, self._send)
            if not self._over.is_set():
                raise httpx2.RemoteProtocolError("the application ended without completing its answer")
        except Exception as error:  # noqa: BLE001  it is handed to the caller
            if self.head.done():
                self._parts.put_nowait(error)  # half an answer must not be taken for a whole one
            else:
                self.head.set_exception(error)
        finally:
            self._over.set()

    async def _receive(self) -> Message:
        if self._request_body is not None:
            body, self._request_body = self._request_body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._over.is_set():
            return
        if message["type"] == "http.response.start":
            response = httpx2.Response(message["status"], headers=message.get("headers", []), stream=self)
            if not self.head.done():
                self.head.set_result(response)
        elif message["type"] == "http.response.body":
            if part := message.get("body", b""):
                self._parts.put_nowait(part)
            if not message.get("more_body", False):
                self._parts.put_nowait(None)
                self._over.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (part := await self._parts.get()) is not None:
            if isinstance(part, Exception):
                raise part
            yield part

    async def aclose(self) -> None:
        if not self._over.is_set():
            self._over.set()
            await _end({self.task} if self.task else set())


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    if not tasks:
        return
    _, late = await asyncio.wait(set(tasks), timeout=GRACE_S)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late)


def _scope(request: httpx2.Request) -> Message:
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?", 1)[0],
        "query_string": url.query,
        "root_path": "",
        "server": (url.host, url.port or 80),
        "client": ("127.0.0.1", 0),
    }
