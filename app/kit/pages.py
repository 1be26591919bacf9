"""Keyset pages: `?limit=&cursor=` in, `{items, next_cursor}` out."""

import base64
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from app.kit.errors import BadRequestError

T = TypeVar("T")
MAX_LIMIT = 500
DEFAULT_LIMIT = 50


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. `next_cursor` is null on the last one."""

    items: list[T]
    next_cursor: str | None = None


def checked_limit(limit: int) -> int:
    """`limit`, or a 400 that names the range."""
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequestError.at("/limit", f"limit must be between 1 and {MAX_LIMIT}, not {limit}")
    return limit


def encode_cursor(*key: Any) -> str:
    """An opaque cursor that holds the sort key of the last row of a page."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def decode_cursor(cursor: str, types: tuple[type, ...]) -> list[Any]:
    """The sort key in a cursor, checked against `types`; a 400 when it was not made by this list."""
    try:
        key = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(key, list) or len(key) != len(types):
            raise ValueError(cursor)
        return [_bindable(msgspec.convert(part, kind)) for part, kind in zip(key, types, strict=True)]
    except (ValueError, msgspec.MsgspecError) as error:
        raise BadRequestError.at("/cursor", "this cursor was not made by this list; start again without it") from error


def _bindable(part: Any) -> Any:
    """Raises `ValueError` for what no sort key of ours is and no database takes: integers past 64 bits, NUL in text, times
    without a zone or at the edges of the calendar, which may have no moment in UTC."""
    if isinstance(part, datetime) and (part.tzinfo is None or not 1 < part.year < 9999):
        raise ValueError(part)
    if isinstance(part, int) and not -(2**63) <= part < 2**63:
        raise ValueError(part)
    if isinstance(part, str) and "\x00" in part:
        raise ValueError(part)
    return part
