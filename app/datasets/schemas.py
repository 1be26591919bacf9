"""Items of datasets."""

from typing import Annotated, Any

import msgspec

from app.kit.texts import STORABLE, Note
from app.registry.kinds.base import Tag
from app.registry.kinds.dataset import Level
from app.registry.schemas import Diff


class RecordedChunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A passage that was retrieved. Defaults are left out, so that an item's digest never changes with them."""

    id: str
    text: str
    title: str | None = None
    score: float | None = None


class Recorded(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a model answered elsewhere; a `replay` endpoint answers with it.

    `context` and `chunks` (the best first) are what was retrieved for it, `trajectory` the messages that followed the first
    ones, `logprobs` one natural logarithm per token of the text.
    """

    text: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    latency_ms: Annotated[float, msgspec.Meta(ge=0)] | None = None
    usage: dict[str, Any] | None = None
    finish_reason: str | None = None
    context: str | None = None
    chunks: list[RecordedChunk] | None = None
    trajectory: list[dict[str, Any]] | None = None
    logprobs: list[float] | None = None
    ttft_ms: Annotated[float, msgspec.Meta(ge=0)] | None = None


class ItemBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything of an item but its id: what its digest is over.

    `reference` is a string, a number, a list of alternatives or an object; items of one `cluster` are not independent;
    `split` is the part of the dataset that it belongs to, such as train or test.
    """

    inputs: dict[str, Any]
    reference: Any = None
    history: list[dict[str, Any]] = []
    tags: list[Tag] = []
    metadata: dict[str, Any] = {}
    cluster: str | None = None
    recorded: dict[str, Recorded] = {}
    split: Annotated[str, msgspec.Meta(max_length=60)] = ""


class ItemCreate(ItemBody, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An item as it is sent. Its default id is its digest; a number as id or cluster is taken as text."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | int | None = None
    cluster: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | int | None = None  # type: ignore[assignment]


class Item(msgspec.Struct, frozen=True):
    """An item of a dataset version. Of an `erased` one nothing is left but its id and digest; `masked` names the fields whose
    values the caller may not see."""

    id: str
    digest: str
    inputs: dict[str, Any]
    reference: Any = None
    history: list[dict[str, Any]] = []
    tags: list[str] = []
    metadata: dict[str, Any] = {}
    cluster: str | None = None
    recorded: dict[str, Any] = {}
    split: str = ""
    erased: bool = False
    masked: list[str] = []


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One line of a version's manifest."""

    id: str
    digest: str
    tags: list[str]
    split: str = ""


class ItemsContent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dataset as it is sent; the items stay raw until each is read with its place."""

    items: list[msgspec.Raw]
    description: str = ""
    schema: dict[str, Any] | None = None
    tags: list[Tag] = []
    sensitivity: Level = "internal"
    fields: dict[str, Level] = {}
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] | None = None


class DatasetCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    content: ItemsContent
    message: str = ""
    labels: list[str] = []


class ItemsPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`put` are items that come or, by their id, change; `remove` are ids. All else stays as in the latest version."""

    put: list[msgspec.Raw] = []
    remove: list[str] = []
    message: Note = ""
    labels: list[str] = []


class Erase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose items: those of these ids, and those where the value of `field` (such as metadata.person) is `equals`."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1_000, pattern=STORABLE)]
    ids: list[str] = []
    field: str | None = None
    equals: str | int | None = None


class Erased(msgspec.Struct, frozen=True):
    """`items` is how many different items lost their body, `versions` in how many versions of datasets they were."""

    items: int
    versions: int


class DatasetDiff(Diff, frozen=True):
    """`changes` is what differs in the content itself, then `/items/<id>` for the first 500 items that differ."""

    added: int
    removed: int
    changed: int
