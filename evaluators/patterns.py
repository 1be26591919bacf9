"""Personal data and secrets in text, by patterns and check digits; no model, no network, linear time on any text."""

import functools
import heapq
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
import re2

from evaluators.detection.table import DETECTORS, LOOSE, Group

_MEMORY = 64 << 20  # bytes for the automaton of LOOSE; with less it is rebuilt again and again, and slow
_NOT_A_WORD = re.compile(rb"[^A-Za-z0-9]")


class Finding(msgspec.Struct, frozen=True):
    """One value that should not stand in a prompt or in a dataset.

    `kind` names what it is (`kinds()` lists them), `start` and `end` count characters of the text; `shown` is the value
    with its middle hidden, so that a report does not spread what it found.
    """

    kind: str
    group: Group
    start: int
    end: int
    shown: str


class _Hit(NamedTuple):
    """In bytes; hits compare as they are preferred: the leftmost, the longest, the first kind of the table."""

    start: int
    minus_end: int
    rank: int


def kinds() -> dict[str, Group]:
    """Every kind that `find` can report, with its group."""
    return {each.kind: each.group for each in DETECTORS}


def find(text: str, *, limit: int = 100) -> list[Finding]:
    """The first `limit` findings in the order of the text; they never overlap: the leftmost wins, then the longest.

    A candidate with a wrong check digit is not reported, nor are the placeholders of documentation (`your-api-key`).
    """
    data = text.encode("utf-8", "replace")  # a lone surrogate is one character and becomes one: offsets stay
    if not mentions(data):
        return []
    hits = _apart(heapq.merge(*(_hits(rank, data) for rank in range(len(DETECTORS)))))
    return list(_findings(itertools.islice(hits, limit), text, data))


def mentions(data: bytes) -> bool:
    """Whether the canonical JSON of an item, or plain UTF-8, may hold a finding; False means that no string in it has one.

    One pass without a check, for the many items that hold nothing; True means only that `find` has to look.
    """
    return _loose().search(data) is not None


def _apart(hits: Iterable[_Hit]) -> Iterator[_Hit]:
    end = 0
    for hit in hits:
        if hit.start >= end:
            end = -hit.minus_end
            yield hit


def _findings(hits: Iterable[_Hit], text: str, data: bytes) -> Iterator[Finding]:
    """The hits in characters: each stretch of bytes is decoded once."""
    at_byte = at_char = 0
    for hit in hits:
        start = at_char + len(data[at_byte : hit.start].decode())
        end = start + len(data[hit.start : -hit.minus_end].decode())
        at_byte, at_char = -hit.minus_end, end
        detector = DETECTORS[hit.rank]
        yield Finding(detector.kind, detector.group, start, end, detector.mask(text[start:end]))


def _hits(rank: int, data: bytes) -> Iterator[_Hit]:
    detector, pattern = DETECTORS[rank], _compiled(rank)
    groups = pattern.groupindex  # its names are bytes, as the pattern is
    values = [groups[name] for name in (b"value", b"bare") if name in groups] or [0]
    at = 0
    while (match := pattern.search(data, at)) is not None:
        start, end = next(match.span(group) for group in values if match.start(group) >= 0)
        if end := detector.check(data, start, end):
            yield _Hit(start, -end, rank)
            at = end
        elif detector.whole or b"first" in groups:
            at = match.end(groups.get(b"first", 0))
        else:
            word = _NOT_A_WORD.search(data, start + 1)
            at = word.start() if word else len(data)


@functools.cache
def _compiled(rank: int) -> Any:
    detector = DETECTORS[rank]
    return re2.compile(detector.pattern, _options(latin=not detector.unicode))


@functools.cache
def _loose() -> Any:
    options = _options(latin=True)
    options.never_capture = True
    options.max_mem = _MEMORY
    return re2.compile(LOOSE, options)


def _options(latin: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    if latin:
        options.encoding = re2.Options.Encoding.LATIN1
    return options
