"""What differs between two contents: as JSON Patch operations, and as text for reading."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.kit.digests import canonical
from app.kit.pointers import escape
from app.registry.schemas import Change, PinChange, TextDiff


def changes(before: Any, after: Any) -> list[Change]:
    """Operations (RFC 6902: `add`, `remove`, `replace`) that applied in order turn `before` into `after`.

    Lists are aligned, so that an inserted message is one operation and not a change of all that follow.
    """
    return list(_changes(before, after, ""))


def pin_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[PinChange]:
    return [
        PinChange(pointer, before.get(pointer), after.get(pointer))
        for pointer in sorted({*before, *after})
        if before.get(pointer) != after.get(pointer)
    ]


def unified(before: Any, after: Any, from_name: str, to_name: str) -> str:
    """A unified diff of both as text; empty when they are equal."""
    lines = difflib.unified_diff(readable(before), readable(after), from_name, to_name, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def texts(found: Sequence[Change]) -> list[TextDiff]:
    """The texts among the changes, line by line: a changed message reads best alone."""
    shown = []
    for change in found:
        before, after = change.before, change.after
        if not all(isinstance(side, str | None) for side in (before, after)) or before is after:
            continue
        lines = difflib.unified_diff(
            (before or "").splitlines(), (after or "").splitlines(), "before", "after", lineterm=""
        )
        shown.append(TextDiff(change.path, "".join(f"{line}\n" for line in lines)))
    return shown


def readable(value: Any, indent: str = "") -> list[str]:
    """Plain data as lines much like YAML, texts of several lines as they are. For eyes, not for parsers."""
    lines: list[str] = []
    if isinstance(value, dict):
        for key, item in value.items():
            lines += _entry(f"{indent}{key}:", item, indent)
    elif isinstance(value, list):
        for item in value:
            lines += _entry(f"{indent}-", item, indent)
    else:
        lines.append(indent + _scalar(value))
    return lines


def _entry(head: str, item: Any, indent: str) -> list[str]:
    if isinstance(item, str) and "\n" in item:
        return [f"{head} |", *(f"{indent}  {line}" for line in item.split("\n"))]
    if isinstance(item, dict | list) and item:
        return [head, *readable(item, indent + "  ")]
    return [f"{head} {_scalar(item)}"]


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) and value else canonical(value).decode()


def _changes(before: Any, after: Any, pointer: str) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [key for key in before if key not in after]:
            yield Change(f"{pointer}/{escape(key)}", "remove", before[key], None)
        for key, item in after.items():
            where = f"{pointer}/{escape(key)}"
            if key in before:
                yield from _changes(before[key], item, where)
            else:
                yield Change(where, "add", None, item)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_changes(before, after, pointer)
    elif canonical(before) != canonical(after):
        yield Change(pointer, "replace", before, after)


def _list_changes(before: list[Any], after: list[Any], pointer: str) -> Iterator[Change]:
    """Left to right: what stands before position `j` is the target already, so `j` is where the next operation works."""
    matcher = difflib.SequenceMatcher(None, [canonical(x) for x in before], [canonical(x) for x in after])
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            continue
        paired = min(i2 - i1, j2 - j1)
        for offset in range(paired):
            yield from _changes(before[i1 + offset], after[j1 + offset], f"{pointer}/{j1 + offset}")
        for item in before[i1 + paired : i2]:
            yield Change(f"{pointer}/{j1 + paired}", "remove", item, None)
        for position in range(j1 + paired, j2):
            yield Change(f"{pointer}/{position}", "add", None, after[position])
