"""The audit on the wire."""

from datetime import datetime
from typing import Any

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """One change: who did what to what, from which digest (or state) to which, and why. `hash` chains it to `previous`."""

    no: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: str | None
    after: str | None
    reason: str
    details: dict[str, Any]
    previous: str
    hash: str


class Entries(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page of the chain. `unreadable` are the numbers of entries in its place that were altered so that they cannot be
    shown."""

    items: list[Entry]
    next_cursor: str | None
    unreadable: list[Any] = []


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a chain ended at a time: the number and the hash of its last entry (0 and zeros when it has none). `mac` proves
    that the service made it; kept elsewhere, it tells a chain that was rewritten from then on."""

    project: str
    no: int
    hash: str
    at: str
    mac: str


class Verified(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the chain is whole: `entries` were read, `head` is the last one's hash; `first_bad` is the number of the first
    entry that is not what it was, is missing, or should not be there, and `why`."""

    ok: bool
    entries: int
    head: str
    first_bad: int | None = None
    why: str | None = None
