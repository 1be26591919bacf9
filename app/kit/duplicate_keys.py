"""Keys that come twice in one JSON object: a decoder would keep one of the values and say nothing."""

import json
import re
from typing import Any

_KEY_END = re.compile(rb'"[ \t\r\n]*:')


def duplicate_key(data: bytes, decoded: Any) -> str | None:
    """The first key that comes twice in an object of `data`, whose decoded value is `decoded`; none when there is none.

    Every key ends with `":`, so that as many of these as there are keys leave none for a second. Texts may hold them too:
    then, and only then, it is read once more.
    """
    if len(_KEY_END.findall(data)) == _keys(decoded):
        return None
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                found.append(key)
            seen.add(key)

    json.loads(data, object_pairs_hook=look)
    return found[0] if found else None


def _keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    if isinstance(value, list):
        return sum(map(_keys, value))
    return 0
