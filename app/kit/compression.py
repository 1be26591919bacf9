"""Answers compressed as the client accepts them: brotli, else gzip. Event streams never are.

Litestar's own middleware looks for `br` and `gzip` anywhere in the header, `q=0` or not, and compresses event streams, whose
events then wait for one another.
"""

import zlib
from functools import lru_cache
from typing import Any, Protocol

import anyio.to_thread
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

UNCOMPRESSED = "uncompressed"
"""Routes that answer from kept bytes: compressing them again for every request would cost more than it saves."""
MINIMUM = 2_048
IN_A_THREAD = 128 * 1024
"""From this size on other requests need not wait for the compression."""
_ACCEPTED = (b"br", b"gzip")


class Compressor(Protocol):
    def process(self, data: bytes) -> bytes: ...
    def flush(self) -> bytes: ...
    def finish(self) -> bytes: ...


class Gzip:
    """zlib's compressor with brotli's methods."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def process(self, data: bytes) -> bytes:
        return self._zlib.compress(data)

    def flush(self) -> bytes:
        return self._zlib.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._zlib.flush()


def compressor(encoding: bytes) -> Compressor:
    """A new one for `br` or `gzip`."""
    if encoding == b"gzip":
        return Gzip()
    import brotli

    made: Compressor = brotli.Compressor(quality=4)
    return made


@lru_cache(maxsize=256)
def negotiated(accepted: bytes) -> bytes | None:
    """What an `Accept-Encoding` asks for (RFC 9110, 12.5.3): `br`, `gzip`, or None for neither."""
    weights: dict[bytes, float] = {}
    for part in accepted.lower().split(b","):
        name, _, parameter = part.partition(b";")
        key, _, value = parameter.partition(b"=")
        try:
            weights[name.strip()] = float(value) if key.strip() == b"q" else 1.0
        except ValueError:
            weights[name.strip()] = 0.0
    others = weights.get(b"*", 0.0)
    best = max(_ACCEPTED, key=lambda encoding: weights.get(encoding, others))
    weight = weights.get(best, others)
    return best if weight > 0 and weight >= weights.get(b"identity", 0.0) else None


class Compression(ASGIMiddleware):
    """The outermost: what is kept for a repeated request is not compressed yet."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = UNCOMPRESSED

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        accepted = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding")
        await next_app(scope, receive, _Compressed(send, negotiated(accepted)))


class _Compressed:
    def __init__(self, send: Any, encoding: bytes | None) -> None:
        self._send, self._encoding = send, encoding
        self._start: Any = None
        self._compressor: Compressor | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = {name.lower(): value for name, value in message["headers"]}
            bodiless = message["status"] < 200 or message["status"] in (204, 206, 304)
            if bodiless or b"content-encoding" in headers or headers.get(b"content-type", b"").startswith(_EVENTS):
                await self._send(message)
            else:
                self._start = message
        elif message["type"] == "http.response.body" and (self._start is not None or self._compressor is not None):
            await self._body(message)
        else:
            await self._send(message)

    async def _body(self, message: Any) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        start, self._start = self._start, None
        headers: list[tuple[bytes, bytes]] = []
        if start is not None:
            headers = _varying(start["headers"])
            if self._encoding is not None and (more or len(body) >= MINIMUM):
                self._compressor = compressor(self._encoding)
                headers = [(n, v) for n, v in headers if n.lower() != b"content-length"]
                headers.append((b"content-encoding", self._encoding))
        if self._compressor is not None:
            if len(body) >= IN_A_THREAD:
                body = await anyio.to_thread.run_sync(_next, self._compressor, body, more)
            else:
                body = _next(self._compressor, body, more)
        if start is not None:
            if self._compressor is not None and not more:
                headers.append((b"content-length", str(len(body)).encode()))
            await self._send({**start, "headers": headers})
        await self._send({**message, "body": body})


_EVENTS = b"text/event-stream"


def _varying(headers: Any) -> list[tuple[bytes, bytes]]:
    """Caches are told that another `Accept-Encoding` would have had another answer, compressed or not."""
    varies = [value for name, value in headers if name.lower() == b"vary"]
    rest = [(name, value) for name, value in headers if name.lower() != b"vary"]
    return [*rest, (b"vary", b", ".join([*varies, b"Accept-Encoding"]))]


def _next(made: Compressor, body: bytes, more: bool) -> bytes:
    """What may be sent by now: a reader of a stream waits for nothing that is there."""
    return made.process(body) + (made.flush() if more else made.finish())
