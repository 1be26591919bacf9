"""Items of datasets."""

from typing import Annotated, Any

import msgspec

from app.registry.kinds.base import Tag
from app.registry.schemas import Diff


class Recorded(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a model answered elsewhere; a `replay` endpoint answers with it."""

    text: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    latency_ms: Annotated[float, msgspec.Meta(ge=0)] | None = None
    usage: dict[str, Any] | None = None
    finish_reason: str | None = None


class ItemBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything of an item but its id: what its digest is over.

    `reference` is a string, a number, a list of alternatives or an object; items of one `cluster` are not independent.
    """

    inputs: dict[str, Any]
    reference: Any = None
    history: list[dict[str, Any]] = []
    tags: list[Tag] = []
    metadata: dict[str, Any] = {}
    cluster: str | None = None
    recorded: dict[str, Recorded] = {}


class ItemCreate(ItemBody, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An item as it is sent. Its default id is its digest; a number as id or cluster is taken as text."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | int | None = None
    cluster: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | int | None = None  # type: ignore[assignment]


class Item(msgspec.Struct, frozen=True):
    """An item of a dataset version."""

    id: str
    digest: str
    inputs: dict[str, Any]
    reference: Any = None
    history: list[dict[str, Any]] = []
    tags: list[str] = []
    metadata: dict[str, Any] = {}
    cluster: str | None = None
    recorded: dict[str, Any] = {}


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One line of a version's manifest."""

    id: str
    digest: str
    tags: list[str]


class ItemsContent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dataset as it is sent; the items stay raw until each is read with its place."""

    items: list[msgspec.Raw]
    description: str = ""
    schema: dict[str, Any] | None = None
    tags: list[Tag] = []


class DatasetCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    content: ItemsContent
    message: str = ""
    labels: list[str] = []


class DatasetDiff(Diff, frozen=True):
    """`changes` is what differs in the content itself, then `/items/<id>` for the first 500 items that differ."""

    added: int
    removed: int
    changed: int
