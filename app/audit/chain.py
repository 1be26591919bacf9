"""The chain itself: what an entry's hash is over, what an export's lines are, and where a chain is broken. Pure.

Anyone can check an export. A line is the canonical JSON (RFC 8785) of one entry: `actor`, `action`, `after`, `at` (UTC, six
digits of a second), `before`, `details`, `hash`, `no`, `previous`, `project`, `reason`, `subject`. `hash` is `sha256:` and the
SHA-256 in hex over the canonical JSON of the same object without `hash`. `previous` is the hash of the entry before; entry 1
follows 64 zeros. The last line is `{"checkpoint": …}`, which says where the chain ended.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from app.audit.checkpoints import Sealer
from app.audit.schemas import Checkpoint, Entry, Verified
from app.kit.clock import rfc3339
from app.kit.digests import canonical, digest

START = "sha256:" + "0" * 64
"""What the first entry of a chain follows."""

FIELDS = frozenset(Entry.__struct_fields__) | {"project"}
NOT_PLAIN = (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError)
"""What comes out of data that no entry was ever written with."""


class Head(NamedTuple):
    """Where a chain ended once: the number and the hash of its last entry."""

    no: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> "Head":
        """From `<no>:<hash>`, such as `12:sha256:9f…`; `ValueError` when it is not that."""
        number, _, found = text.partition(":")
        hexadecimal = found.removeprefix("sha256:")
        if not (
            number.isascii()
            and number.isdigit()
            and len(number) <= 18
            and len(found) == len(START)
            and len(hexadecimal) == 64
            and set(hexadecimal) <= set("0123456789abcdef")
        ):
            raise ValueError(f"{text!r} is not <no>:sha256:<64 hex digits>; a checkpoint has both")
        return cls(int(number), found)


class Link(NamedTuple):
    """What the chain's rule needs of one entry. `computed` is None when its hash cannot be computed."""

    no: Any
    previous: Any
    hash: Any
    computed: str | None


class Broken(NamedTuple):
    """The first entry that is not what was written, is missing or should not be there, and why."""

    no: int
    why: str


def plain(project_id: str, entry: Any) -> dict[str, Any]:
    """What the hash of an entry is over."""
    fields = {name: getattr(entry, name) for name in Entry.__struct_fields__ if name not in ("hash", "at")}
    return {**fields, "at": rfc3339(entry.at), "project": project_id}


def hash_of(project_id: str, entry: Any) -> str:
    """The hash that belongs to an entry; `ValueError` or `TypeError` for what has no canonical form."""
    return digest(plain(project_id, entry))


def line_of(project_id: str, entry: Any) -> bytes:
    """One entry as a line of an export."""
    return canonical({**plain(project_id, entry), "hash": entry.hash}) + b"\n"


def last_line(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as the last line of an export."""
    return canonical({"checkpoint": msgspec.to_builtins(checkpoint)}) + b"\n"


def link_of(project_id: str, row: Any) -> Link:
    """The link of a stored entry."""
    try:
        computed = hash_of(project_id, row)
    except NOT_PLAIN:
        computed = None
    return Link(row.no, row.previous, row.hash, computed)


def first_bad(links: Iterable[Link], last: int, previous: str) -> Broken | None:
    """The first of `links` that does not follow entry `last`, whose hash is `previous`; None when they all do."""
    for link in links:
        if link.no != last + 1:
            return Broken(last + 1, f"entry {last + 1} is missing")
        if link.previous != previous:
            return Broken(link.no, f"entry {link.no} does not follow the one before it")
        if link.hash != link.computed:
            return Broken(link.no, f"entry {link.no} is not what was written")
        last, previous = link.no, link.hash
    return None


def off_chain(head: Head) -> Broken:
    """A chain in which the entry of an earlier checkpoint has another hash."""
    return Broken(head.no, f"entry {head.no} is not the one that the earlier checkpoint names: the chain was rewritten")


def beyond(head: Head, last: int) -> Broken:
    """A chain that is shorter than it was at an earlier checkpoint."""
    return Broken(last + 1, f"the chain ends with entry {last}, and reached entry {head.no} at the earlier checkpoint")


def check_export(lines: Iterable[bytes], heads: Sequence[Head] = (), sealer: Sealer | None = None) -> Verified:
    """Whether an exported chain is whole; needs no database.

    `heads` are earlier checkpoints that have to lie on it: only they, or a `sealer` that knows the key of the checkpoint's
    MAC, tell a chain whose hashes were all computed anew. An export that begins later than with entry 1 is whole only with
    the head that it continues. `entries` of the answer counts those read before the first bad one.
    """
    wanted: dict[int, Head] = {}
    for head in heads:
        if wanted.setdefault(head.no, head) != head:
            return Verified(
                False, 0, START, head.no, f"the checkpoints given for entry {head.no} contradict each other"
            )
    reading = _Reading(wanted, sealer)
    bad = next((found for line in lines if (found := reading.take(line)) is not None), None) or reading.end()
    if bad is not None:
        return Verified(False, reading.entries, reading.previous, *bad)
    return Verified(True, reading.entries, reading.previous)


class _Reading:
    """How far an export was read."""

    def __init__(self, heads: dict[int, Head], sealer: Sealer | None) -> None:
        self._heads, self._sealer = heads, sealer
        self._project: str | None = None
        self._checkpoint: Checkpoint | None = None
        self._last = 0
        self._first = True
        self.entries = 0
        self.previous = START

    def take(self, line: bytes) -> Broken | None:
        if self._checkpoint is not None:
            return Broken(self._last + 1, "there is something after the checkpoint, which is the last line")
        try:
            value = msgspec.json.decode(line)
            exact = isinstance(value, dict) and canonical(value) + b"\n" == line
        except NOT_PLAIN:
            value, exact = None, False
        if not exact:
            return self._next("is not a line as an export writes it")
        return self._close(value["checkpoint"]) if set(value) == {"checkpoint"} else self._entry(value)

    def _next(self, what: str) -> Broken:
        return Broken(self._last + 1, f"the line where entry {self._last + 1} should be {what}")

    def _entry(self, fields: dict[str, Any]) -> Broken | None:
        if set(fields) == {"unreadable"}:
            return self._next("could not be read from the database")
        if set(fields) != FIELDS:
            return self._next("has not the fields of an entry")
        if self._first and (bad := self._begin(fields["no"])) is not None:
            return bad
        if self._project not in (None, fields["project"]):
            return Broken(self._last + 1, f"entry {self._last + 1} belongs to another project")
        claimed = fields.pop("hash")
        bad = first_bad([Link(fields["no"], fields["previous"], claimed, digest(fields))], self._last, self.previous)
        if bad is None:
            self._last, self.previous, self._project = fields["no"], claimed, fields["project"]
            self.entries += 1
            bad = self._passed()
        return bad

    def _begin(self, number: Any) -> Broken | None:
        """An export may begin later than with entry 1: behind one of the heads."""
        self._first = False
        if isinstance(number, int) and number > 1 and (head := self._heads.get(number - 1)) is not None:
            self._last, self.previous = head
        elif isinstance(number, int) and number > 1:
            why = f"it begins with entry {number}; give the checkpoint that it continues, {number - 1}:<hash>"
            return Broken(1, f"entry 1 is missing: {why}")
        return self._passed()

    def _passed(self) -> Broken | None:
        head = self._heads.pop(self._last, None)
        return None if head is None or head.hash == self.previous else off_chain(head)

    def _close(self, value: Any) -> Broken | None:
        try:
            end = msgspec.convert(value, Checkpoint)
        except msgspec.ValidationError:
            return self._next("is a checkpoint that lacks something")
        if self._first and (bad := self._begin(end.no + 1)) is not None:
            return bad
        self._checkpoint = end
        if (end.no, end.hash) != (self._last, self.previous) or self._project not in (None, end.project):
            why = f"the chain ends with entry {self._last}, and its checkpoint is of entry {end.no} ({end.hash})"
            return Broken(min(self._last, max(0, end.no)) + 1 if end.no != self._last else self._last, why)
        if self._sealer is not None and not self._sealer.made(end):
            return Broken(self._last, "the checkpoint was not made with this key: its MAC is another")
        return None

    def end(self) -> Broken | None:
        if self._checkpoint is None:
            return Broken(self._last + 1, "it is cut off: the last line is not a checkpoint")
        for head in self._heads.values():
            if head.no > self._last:
                return beyond(head, self._last)
            return Broken(head.no, f"entry {head.no} of the earlier checkpoint lies before what this export holds")
        return None


def line_of_row(project_id: str, row: Any) -> bytes:
    """The line of a stored entry. One that has no canonical form, which nothing written here lacks, is only named."""
    try:
        return line_of(project_id, row)
    except NOT_PLAIN:
        return unreadable_line(row.no)


def unreadable_line(number: Any) -> bytes:
    """What stands in an export for an entry that the database does not give."""
    return msgspec.json.encode({"unreadable": {"no": number}}) + b"\n"
