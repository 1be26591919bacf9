"""What would be overlooked without a word is refused: query parameters that do not exist, JSON keys that stand twice."""

import json
import re
from collections.abc import Mapping
from typing import Any

import anyio.to_thread
import msgspec
from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute

from app.kit.errors import BadRequestError, FieldError, NotFoundError, TooLargeError
from app.kit.pointers import escape

KNOWN_QUERY = "known_query"
NUL = "\x00"
IN_A_THREAD = 1024 * 1024
"""From this size on other requests need not wait while a body is looked through."""
MAX_PARTS = 4_000_000
"""Commas and opening brackets that a JSON body may have."""
_KEY = re.compile(rb'"\s*:')
_SPELLED = (b"\\u0022", b"\\u003", b"\\u0020", b"\\u000")
"""Ways to write what `_KEY` counts that the encoder would not choose."""


def note_known_queries(app: Litestar, free: str) -> None:
    """Lets every handler know the query parameters of its signature and of its dependencies. Routes with the permission `free`
    (probes, the API reference) may be asked anything."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler, model in route.route_handler_map.values():
                if handler.opt.get("permission") == free:
                    continue
                handler.opt[KNOWN_QUERY] = {parameter.field_alias for parameter in model.expected_query_params}


async def require_known_query(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard. Raises `BadRequestError` that names unknown query parameters and the known ones, and `NotFoundError` for an
    address with a NUL, which PostgreSQL does not even compare."""
    known: set[str] | None = handler.opt.get(KNOWN_QUERY)
    if known is None:
        return
    if any(NUL in part for part in connection.path_params.values() if isinstance(part, str)):
        raise NotFoundError("there is nothing at this address: no name holds the character NUL")
    if not connection.scope["query_string"]:
        return
    if unknown := sorted(set(connection.query_params) - known):
        listed = f"known are {', '.join(sorted(known))}" if known else "it takes none"
        said = [FieldError(f"/{name}", f"there is no query parameter {name!r} here; {listed}") for name in unknown]
        raise BadRequestError(f"unknown query parameters: {', '.join(map(repr, unknown))}; {listed}", said)


async def refuse_repeated_keys(request: Request[Any, Any, Any]) -> None:
    """Before a handler: raises `BadRequestError` that names the key that a JSON body has twice in one object, and where;
    `TooLargeError` for a body of too many values."""
    if request.method not in ("POST", "PUT", "PATCH"):
        return
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        return
    body = await request.body()
    if len(body) >= IN_A_THREAD:
        await anyio.to_thread.run_sync(require_few_parts, body)
        found = await anyio.to_thread.run_sync(repeated_key, body)
    else:
        found = repeated_key(body)
    if found is not None:
        pointer, key = found
        raise BadRequestError.at(pointer, f"the key {key!r} stands twice in this object; leave one of them out")


def require_few_parts(body: bytes) -> None:
    """Raises `TooLargeError` for a body that would be far larger decoded: one of empty lists takes twenty times its bytes."""
    if len(body) <= MAX_PARTS:
        return
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_PARTS:
        raise TooLargeError(
            f"the body has more than {MAX_PARTS:,} values (commas and brackets are counted); send items as "
            "application/x-ndjson, or less at a time"
        )


def repeated_key(body: bytes) -> tuple[str, str] | None:
    """The JSON pointer of a key that an object has twice, and the key itself; None also for what is no JSON.

    A decoder keeps one of two equal keys, so that what it read has fewer keys than what was sent. Both are counted where they
    are written, which is cheap; only when the counts differ is it worth looking for which.
    """
    try:
        decoded = msgspec.json.decode(body)
        if not isinstance(decoded, dict | list):
            return None
        plain = not any(spelling in body for spelling in _SPELLED)
        if plain and len(_KEY.findall(body)) == len(_KEY.findall(msgspec.json.encode(decoded))):
            return None
        read = json.loads(body, object_pairs_hook=_object, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None  # whoever decodes it for its meaning says what is wrong with it
    return _found(read)


class _Repeating(dict[str, Any]):
    key: str


def _object(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    seen: set[str] = set()
    repeating = _Repeating(made)
    repeating.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return repeating


def _found(root: Any) -> tuple[str, str] | None:
    waiting = [("", root)]
    while waiting:
        at, value = waiting.pop()
        if isinstance(value, _Repeating):
            return f"{at}/{escape(value.key)}", value.key
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [(f"{at}/{escape(str(key))}", part) for key, part in inner if isinstance(part, dict | list)]
    return None
