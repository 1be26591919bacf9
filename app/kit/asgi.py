"""What must happen outside Litestar."""

from litestar.types import ASGIApp, Receive, Scope, Send


class KeepEncodedSlash:
    """Rebuilds the path from `raw_path` with `%2F` kept, so that a name with folders stays one path segment.

    Servers hand over a decoded `path`; routed by that, `docs%2Fanswer` would be two segments and a 404. Everything else in
    the path is decoded as usual; handlers decode the remaining `%2F` with `decoded_name`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%2" in raw:
            from urllib.parse import unquote

            path = raw.split(b"?", 1)[0].decode("latin-1")
            kept = path.replace("%252F", "%25252F").replace("%252f", "%25252f").replace("%2F", "%252F").replace("%2f", "%252F")
            scope = {**scope, "path": unquote(kept)}  # type: ignore[misc]
        await self._app(scope, receive, send)


def decoded_name(segment: str) -> str:
    """A name as users write it: `docs%2Fanswer` is `docs/answer`."""
    return segment.replace("%2F", "/")
