"""Texts that every database can hold."""

import re
from collections.abc import Mapping
from typing import Any

from app.kit.errors import InvalidContentError

MAX_ID = 120
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def id_problem(text: str) -> str | None:
    """What is wrong with the id of an answer, or None."""
    if len(text) > MAX_ID:
        return f"an id has at most {MAX_ID} characters, not {len(text):,}"
    if found := _CONTROL.search(text):
        return f"an id cannot hold the control character U+{ord(found[0]):04X}"
    return None


def checked_id(text: str, pointer: str) -> str:
    if problem := id_problem(text):
        raise InvalidContentError.at(pointer, problem)
    return text


def storable(value: Any, pointer: str) -> None:
    """Raises `InvalidContentError` at the first text in `value` (plain JSON data) that PostgreSQL could not hold."""
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidContentError.at(pointer, "text cannot hold the character U+0000")
    elif isinstance(value, Mapping):
        for name, part in value.items():
            storable(name, pointer)
            storable(part, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for i, part in enumerate(value):
            storable(part, f"{pointer}/{i}")


def held(value: Any) -> Any:
    """`value` (plain JSON data) as every database can hold it: U+0000 as U+FFFD. For what was said already and can no more be
    refused."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, Mapping):
        return {held(name): held(part) for name, part in value.items()}
    if isinstance(value, list):
        return [held(part) for part in value]
    return value
