"""One HTTP request and its response over ASGI, with the means to break off."""

from collections.abc import Awaitable, Callable
from typing import Any

from app.devmodel.errors import RequestError

Scope = dict[str, Any]
Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# An ASGI extension of our own server (server.py): `scope["extensions"][ABORT]["call"]()` closes the connection at once.
ABORT = "promptward.devmodel.abort"
JSON = (b"content-type", b"application/json")
_LARGEST_BODY = 32 * 2**20


class Exchange:
    """A request with its response. `headers` are the request's, in lower case."""

    __slots__ = ("_receive", "_scope", "_send", "headers")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])

    async def body(self) -> bytes:
        """The request's whole body. Raises RequestError (413) when it is larger than 32 MiB."""
        message = await self._receive()
        if not message.get("more_body"):
            return bytes(message.get("body", b""))
        parts = [message["body"]]
        size = len(parts[0])
        while message.get("more_body"):
            message = await self._receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > _LARGEST_BODY:
                raise RequestError(f"the body is larger than {_LARGEST_BODY} bytes", status=413)
        return b"".join(parts)

    async def start(self, status: int, headers: Headers) -> None:
        """Send the status line and headers."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def part(self, body: bytes, *, last: bool = False) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def respond(self, status: int, body: bytes, headers: Headers | None = None) -> None:
        """Send a whole response, JSON unless the headers say otherwise."""
        await self.start(status, [*(headers or (JSON,)), (b"content-length", b"%d" % len(body))])
        await self.part(body, last=True)

    async def gone(self) -> None:
        """Wait until the caller has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def cut_off(self) -> None:
        """Close the connection now. On a server that offers no way to, the response is left incomplete instead."""
        abort = self._scope.get("extensions", {}).get(ABORT)
        if abort is not None:
            abort["call"]()
            await self.gone()
