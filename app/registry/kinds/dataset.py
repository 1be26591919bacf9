"""Datasets: a version is a manifest; the items are rows of their own (`app/datasets`)."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec

from app.kit.errors import FieldError
from app.kit.pointers import escape
from app.registry.kinds.base import Content, Kind, Tag

Level = Literal["public", "internal", "confidential", "personal"]
LEVELS: tuple[Level, ...] = ("public", "internal", "confidential", "personal")
"""From what everybody may see to what hardly anybody may."""

FIELD = re.compile(r"(inputs|metadata|recorded)(\.[^.]+)*|reference|history|cluster")


class Items(Content, frozen=True):
    """How many items, and the digest over their ordered (id, item digest) pairs."""

    count: int
    digest: str


class Dataset(Content, frozen=True):
    """`schema` is a JSON Schema that every item's `inputs` were checked against.

    `sensitivity` is that of all values, unless `fields` says another for a part of an item (`inputs.email`, `metadata`, the
    longest that fits decides). Who may not see a value gets it masked. After `retention_days` a version's items are erased.
    """

    items: Items
    description: str = ""
    schema: dict[str, Any] | None = None
    tags: list[Tag] = []
    sensitivity: Level = "internal"
    fields: dict[str, Level] = {}
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] | None = None


def problems(dataset: Dataset) -> Iterable[FieldError]:
    for field in dataset.fields:
        if not FIELD.fullmatch(field):
            detail = (
                f"{field!r} is no part of an item: use inputs.<name>, metadata.<name>, recorded, reference or history"
            )
            yield FieldError(f"/fields/{escape(field)}", detail)


KIND = Kind("dataset", "datasets", ".jsonl", Dataset, ("items",), problems=problems)
