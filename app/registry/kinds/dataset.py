"""Datasets: a version is a manifest; the items are rows of their own (`app/datasets`)."""

from typing import Any

from app.registry.kinds.base import Content, Kind, Tag


class Items(Content, frozen=True):
    """How many items, and the digest over their ordered (id, item digest) pairs."""

    count: int
    digest: str


class Dataset(Content, frozen=True):
    """`schema` is a JSON Schema that every item's `inputs` were checked against."""

    items: Items
    description: str = ""
    schema: dict[str, Any] | None = None
    tags: list[Tag] = []


KIND = Kind("dataset", "datasets", ".jsonl", Dataset, ("items",))
