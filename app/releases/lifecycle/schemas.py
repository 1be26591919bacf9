"""What the catalogue of prompts takes and answers."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.kit.texts import STORABLE, Note

State = Literal["never_released", "live", "live_unevaluated", "sunset_due", "retired"]
STATES: tuple[str, ...] = State.__args__  # type: ignore[attr-defined]


class Live(msgspec.Struct, frozen=True):
    environment: str
    version: int
    digest: str
    release: str
    since: datetime | None


class Evaluation(msgspec.Struct, frozen=True):
    """The newest run that used a content of this prompt."""

    run: str
    suite: str | None
    status: str
    at: datetime


class Consumer(msgspec.Struct, frozen=True):
    """A key whose holder got answers of this prompt in the last 30 days."""

    key: str
    name: str
    calls: int
    last: datetime


class CatalogueEntry(msgspec.Struct, frozen=True):
    """A prompt as a whole. `owner` is as written here, else as the latest version names it."""

    name: str
    version: int
    description: str
    owner: str | None
    purpose: str
    tags: list[str]
    states: list[State]
    live: list[Live]
    last_evaluation: Evaluation | None
    consumers: list[Consumer]
    sunset_on: date | None
    successor: str | None
    retired_at: datetime | None
    updated_at: datetime
    updated_by: str | None


class CatalogueChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays; null takes it away."""

    owner: Annotated[str, msgspec.Meta(max_length=120, pattern=STORABLE)] | UnsetType | None = UNSET
    purpose: Note | UnsetType = UNSET
    sunset_on: date | UnsetType | None = UNSET
    successor: str | UnsetType | None = UNSET
    reason: Note = ""


class Retire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`successor` is the prompt that callers are sent to. `force` retires one that is still called."""

    successor: str | None = None
    reason: Note = ""
    force: bool = False
