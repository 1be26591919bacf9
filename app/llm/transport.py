"""HTTP for the official client: aiohttp below httpx2's interface.

The SDK's own aiohttp transport costs more and decides less. This one opens sockets only where the address rule allows
(seen at connect, so that a name that changes its address gains nothing), reads whole answers in one go, sends only the
headers that a call needs, bounds what it reads, and never follows a redirect.
"""

import socket
import ssl
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import aiohttp
import httpx2

from app.llm.addresses import AddressRule

MAX_BODY = 32 * 1024 * 1024
MAX_FILE = 256 * 1024 * 1024
"""A file of a Batch API holds many answers."""
FILE_CONTENT = "/content"
STREAM_TIMEOUTS = 10
"""A stream may be silent for one timeout, and last this many."""
SENT = frozenset({"authorization", "content-type", "accept", "user-agent"})
_NOT_KEPT = frozenset({b"content-encoding", b"content-length", b"transfer-encoding", b"connection", b"set-cookie"})


class AnswerTooLargeError(Exception):
    """The endpoint sent more than `MAX_BODY`."""


@cache
def _ssl_context() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


class Transport(httpx2.AsyncBaseTransport):
    """One session with one host. `most` bounds the connections."""

    def __init__(self, host: str, rule: AddressRule, *, timeout_s: float, most: int, tls: bool) -> None:
        self._host, self._rule, self._most, self._tls = host, rule, most, tls
        self._whole = aiohttp.ClientTimeout(total=timeout_s)
        self._streamed = aiohttp.ClientTimeout(
            total=timeout_s * STREAM_TIMEOUTS, sock_connect=timeout_s, sock_read=timeout_s
        )
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._most,
            ssl=_ssl_context() if self._tls else True,
            socket_factory=self._socket,
            keepalive_timeout=30.0,
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True, trust_env=False
        )

    def _socket(self, info: Any) -> socket.socket:
        family, kind, protocol, _name, address = info
        self._rule.check(self._host, str(address[0]))
        return socket.socket(family=family, type=kind, proto=protocol)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._session is None:
            self._session = self._open()
        headers = [(name, value) for name, value in request.headers.items() if name in SENT]
        await request.aread()  # a form is a stream until then
        streamed = request.headers.get("accept") == "text/event-stream"
        try:
            response = await self._session.request(
                request.method,
                str(request.url),
                headers=headers,
                data=request.read(),
                allow_redirects=False,
                timeout=self._streamed if streamed else self._whole,
            )
            kept = [(name, value) for name, value in response.raw_headers if name.lower() not in _NOT_KEPT]
            if streamed and response.status == 200:
                return httpx2.Response(response.status, headers=kept, stream=_Stream(response), request=request)
            try:
                most = MAX_FILE if request.url.path.endswith(FILE_CONTENT) else MAX_BODY
                body = b"".join([chunk async for chunk in _bounded(response, most)])
            finally:
                response.release()
            return httpx2.Response(response.status, headers=kept, content=body, request=request)
        except (aiohttp.ClientError, TimeoutError, OSError, AnswerTooLargeError) as error:
            raise _mapped(error) from error

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in _bounded(self._response):
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError, AnswerTooLargeError) as error:
            raise _mapped(error) from error

    async def aclose(self) -> None:
        self._response.close()


async def _bounded(response: aiohttp.ClientResponse, most: int = MAX_BODY) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most:
            response.close()
            raise AnswerTooLargeError(f"the answer is larger than {most // 1024 // 1024} MiB")
        yield chunk


def _mapped(error: Exception) -> httpx2.TransportError:
    """The kind of error that the official client expects of its transport; the cause stays attached."""
    if isinstance(error, TimeoutError):
        return httpx2.ReadTimeout(str(error))
    if isinstance(error, aiohttp.ClientConnectorError):
        return httpx2.ConnectError(str(error))
    return httpx2.ReadError(str(error))
