"""What must happen outside Litestar."""

from typing import Any
from urllib.parse import unquote

from litestar import Litestar
from litestar.types import Receive, Send


class KeepEncodedSlash:
    """Rebuilds the path from `raw_path` with `%2F` kept, so that a name with folders stays one path segment.

    Servers hand over a decoded `path`; routed by that, `docs%2Fanswer` would be two segments and a 404. Everything else in
    the path is decoded as usual; handlers decode the remaining `%2F` with `decoded_name`.
    """

    def __init__(self, app: Litestar) -> None:
        self.litestar = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        raw: bytes = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%2" in raw:
            path = raw.split(b"?", 1)[0].decode("latin-1")
            kept = (
                path.replace("%252F", "%25252F")
                .replace("%252f", "%25252f")
                .replace("%2F", "%252F")
                .replace("%2f", "%252F")
            )
            scope = {**scope, "path": unquote(kept)}
        await self.litestar(scope, receive, send)


def decoded_name(segment: str) -> str:
    """A name as users write it: `docs%2Fanswer` is `docs/answer`."""
    return segment.replace("%2F", "/")
