"""Content digests: SHA-256 over the canonical JSON of RFC 8785."""

import hashlib
from typing import Any

import msgspec
import rfc8785

DIGEST_PREFIX = "sha256:"
EXACT = 2**53


def normalised(value: Any) -> Any:
    """Plain JSON data with CRLF as LF in every string; nothing else is changed."""
    if isinstance(value, str):
        return value.replace("\r\n", "\n") if "\r" in value else value
    if isinstance(value, dict):
        return {normalised(k): normalised(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [normalised(v) for v in value]
    return value


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of plain JSON data.

    Raises `ValueError` for what JSON cannot hold exactly: NaN, infinities, lone surrogates, and integers past 2**53
    (RFC 8785 writes numbers as IEEE doubles).
    """
    try:
        if simple(value):  # many times faster, and the same bytes
            return msgspec.json.encode(value, order="sorted")
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise ValueError(str(error)) from error
    except UnicodeEncodeError as error:
        raise ValueError(f"character {error.start + 1} is a lone surrogate, which is no text") from error


def simple(value: Any) -> bool:
    """Whether sorted JSON of msgspec is the canonical form: no floats, whose forms differ, and keys that every order of
    characters sorts alike."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return -EXACT < value < EXACT  # type: ignore[no-any-return]
    if kind is dict:
        return all(type(key) is str and key.isascii() and simple(item) for key, item in value.items())
    if kind is list:
        return all(map(simple, value))
    return False


def digest(value: Any) -> str:
    """`sha256:` and 64 hex digits over the canonical bytes of `value`."""
    return DIGEST_PREFIX + hashlib.sha256(canonical(value)).hexdigest()


def key_of(*parts: str) -> str:
    """64 hex digits over already canonical strings; a length before each part keeps them apart.

    For keys of which many thousands are made: `rfc8785` is pure Python and would dominate planning a run.
    """
    state = hashlib.sha256()
    for part in parts:
        data = part.encode()
        state.update(b"%d:" % len(data))
        state.update(data)
    return state.hexdigest()
