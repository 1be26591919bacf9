"""Columns of a table as the parts of items.

A column is called `id`, `reference`, `tags` (words separated by `;`), `split`, `cluster`, `inputs.<name>`, `metadata.<name>`,
`recorded.<model>` (the text it answered) or, for short, as the input it holds. In CSV every value is text and an empty cell is
left out; `history` may hold the JSON of messages. A Parquet column may also be nested: `inputs`, `metadata`, `history`,
`recorded`. A mapping gives columns that are called otherwise their place.
"""

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec

from app.kit.errors import BadRequestError

MAX_COLUMNS = 2_000
OWN = ("id", "reference", "split", "cluster")
NESTED = ("inputs", "metadata", "history", "recorded")


class NotJSON:
    """Stands for a value that JSON has not."""


class Columns(msgspec.Struct, frozen=True):
    """How columns are read. `named` maps a column's name to the part of an item that it holds; to nothing: it is left out."""

    named: dict[str, str] = {}

    @classmethod
    def parse(cls, given: Sequence[str]) -> "Columns":
        """From `<column>:<part>` texts, such as `Question:inputs.question`, or `notes:` to leave a column out.

        Raises `BadRequestError` for a part that items do not have, or that two columns are given.
        """
        named: dict[str, str] = {}
        for index, text in enumerate(given):
            column, colon, part = text.rpartition(":")
            if not colon or not column:
                raise BadRequestError.at(
                    f"/map/{index}", f"{text!r}: write <column>:<part>, such as Question:inputs.question"
                )
            head, dot, rest = part.partition(".")
            whole = part in (*OWN, "tags", *NESTED)
            if part and not whole and not (dot and rest and head in ("inputs", "metadata", "recorded")):
                known = ", ".join([*OWN, "tags", "inputs.<name>", "metadata.<name>", "recorded.<model>"])
                raise BadRequestError.at(f"/map/{index}", f"{part!r} is no part of an item; parts are {known}")
            if column in named or (part and part in named.values()):
                raise BadRequestError.at(f"/map/{index}", f"{text!r}: the column, or the part, was mapped already")
            named[column] = part
        return cls(named)

    def header(self, header: Sequence[str]) -> list[str]:
        """The columns' names, stripped; a `ValueError` with the fix when one cannot be told from another."""
        if len(header) > MAX_COLUMNS:
            raise ValueError(f"{len(header):,} columns; at most {MAX_COLUMNS:,} are read")
        names = [name.strip() for name in header]
        if not any(names):
            raise ValueError("there is no header; name the columns id, reference, tags, or as your prompt's variables")
        if len(names) == 1 and (separator := next((s for s in ";\t" if s in names[0]), None)):
            words = "semicolons" if separator == ";" else "tabs"
            raise ValueError(
                f"there is one column, {names[0][:100]!r}: columns are separated by commas, not by {words}"
            )
        for index, name in enumerate(names):
            if not name:
                raise ValueError(f"column {index + 1} has no name")
            if name in names[:index]:
                raise ValueError(f"two columns are called {name!r}")
        if missing := sorted(set(self.named) - set(names)):
            raise ValueError(f"there is no column {missing[0]!r} to map; there are {', '.join(names[:20])}")
        return names

    def item(self, values: dict[str, Any]) -> dict[str, Any]:
        """The item of a row: its values by their column."""
        item: dict[str, Any] = {"inputs": {}}
        for column, value in values.items():
            name = self.named.get(column, column)
            if name:
                _put(item, name, value)
        return item


def _put(item: dict[str, Any], name: str, value: Any) -> None:
    head, dot, rest = name.partition(".")
    if name == "tags":
        item["tags"] = [tag.strip() for tag in value.split(";") if tag.strip()] if isinstance(value, str) else value
    elif name in OWN:
        item[name] = value
    elif name == "history" and isinstance(value, str) and (messages := _messages(value)) is not None:
        item[name] = messages
    elif name in NESTED and isinstance(value, dict | list):
        item[name] = {**item[name], **value} if isinstance(value, dict) and name in item else value
    elif dot and head in ("inputs", "metadata"):
        item.setdefault(head, {})[rest] = value
    elif dot and head == "recorded":
        item.setdefault(head, {})[rest] = {"text": value} if isinstance(value, str) else value
    else:
        item["inputs"][name] = value


def _messages(text: str) -> list[Any] | None:
    """The messages of a cell that holds their JSON, as an export writes them; None for any other text, which is an input."""
    if not text.startswith("[{"):
        return None
    try:
        return msgspec.json.decode(text, type=list[dict[str, Any]])
    except (msgspec.DecodeError, RecursionError):
        return None


def plain_value(value: Any) -> Any:
    """A Parquet value as JSON data, or `NotJSON`. A struct has every field that any row has: what is null there is left out."""
    if isinstance(value, dict):
        inner = {key: plain_value(item) for key, item in value.items() if item is not None}
        return NotJSON if NotJSON in inner.values() else inner
    if isinstance(value, list):
        items = [plain_value(item) for item in value]
        return NotJSON if NotJSON in items else items
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value if value is None or isinstance(value, str | bool | int | float) else NotJSON
