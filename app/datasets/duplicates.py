"""Exact and near duplicates among items, and leakage: between splits, and from items into a prompt's few-shot examples.

Texts are compared after NFKC, case folding and collapsing of white space; punctuation counts. Only the first 20,000 characters of
a text are compared; whether two texts are exact duplicates is still decided by the whole of them. Within those limits nothing
is lost: every pair at or above the threshold is found unless `complete` is False (`similarity.py` says why).
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from app.datasets.containment import contained
from app.datasets.similarity import Clock, Join
from app.kit.errors import InvalidContentError

if TYPE_CHECKING:
    from app.datasets.signatures import Ints

EXAMPLE = "prompt "  # how the group of a few-shot example begins: "prompt ask@3 /messages/1"
COMPARED = 20_000  # characters
SPARE = 10_000  # pairs held beyond the limit before they are sorted


class Text(NamedTuple):
    """`group` is an item's split, "" when it has none, or names a prompt's few-shot example and begins with `EXAMPLE`."""

    id: str
    group: str
    text: str


class Pair(msgspec.Struct, frozen=True):
    """Two texts' ids and groups. `similarity` is rapidfuzz's ratio / 100 of the normalised texts, from 0 to 1, or how well `a`
    is contained in the few-shot example `b` when that is more; `exact` when the normalised texts are equal."""

    a: str
    b: str
    a_group: str
    b_group: str
    similarity: float
    exact: bool


class Found(msgspec.Struct, frozen=True):
    """`pairs`, the most similar first, are at most `limit` of `total`. Without `complete` there may be more than `total`;
    `reason` says why, and what was left out of the comparison."""

    pairs: list[Pair]
    total: int
    complete: bool
    reason: str = ""


class _Distinct(NamedTuple):
    """A normalised text and who has it: items before examples, each in the order given."""

    text: str
    members: list[int]
    other: int | None  # the first member whose group is not the first member's


class _Row(NamedTuple):
    """A pair as it is sorted: the most similar first, exact ones before near ones."""

    order: float  # minus the similarity
    near: bool
    a: int
    b: int


def normalised(text: str) -> str:
    """What is compared: NFKC, case folded, white space collapsed; punctuation kept."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.casefold().split())


def near_duplicates(
    texts: Sequence[Text], *, threshold: float = 0.9, across: bool = False, limit: int = 500, max_seconds: float = 20.0
) -> Found:
    """Pairs of texts whose similarity is at least `threshold`, from 0.5 to 1; with `across` those of different groups alone.

    Equal texts are reported as a chain, a~b and b~c, and stand for each other in pairs with a third text. With `across` every
    text that has a counterpart in another group is in at least one pair. Few-shot examples are never compared with each
    other; an item of at least 20 characters that occurs within a longer example, or nearly so, is a pair as well.
    After `max_seconds` what was found so far is returned. Raises InvalidContentError for a threshold outside of its range.
    """
    if not 0.5 <= threshold <= 1:
        raise InvalidContentError.at(
            "/threshold", f"{threshold} is not a similarity from 0.5 to 1; 0.9 finds near duplicates"
        )
    return _Search(texts, threshold, across, limit, Clock(max_seconds)).found()


class _Search:
    def __init__(self, texts: Sequence[Text], threshold: float, across: bool, limit: int, clock: Clock) -> None:
        self._texts, self._threshold, self._across, self._limit, self._clock = texts, threshold, across, limit, clock
        self._example = [text.group.startswith(EXAMPLE) for text in texts]
        self._long = 0
        self._distinct = self._grouped()
        self._best: list[_Row] = []
        self._total = 0
        self._floor = 0.0  # less similar pairs cannot be among the first `limit` any more

    def found(self) -> Found:
        for distinct in self._distinct:
            for pair in self._chain(distinct):
                self._add(1.0, near=False, pair=pair)
        self._near()
        self._best.sort()
        pairs = [self._pair(row) for row in self._best[: self._limit]]
        return Found(pairs, self._total, not self._clock.cut, self._reason())

    def _grouped(self) -> list[_Distinct]:
        groups: dict[tuple[str, bytes], list[int]] = {}
        for index, text in enumerate(self._texts):
            whole = normalised(text.text)
            digest = b""
            if len(whole) > COMPARED:
                self._long += 1
                digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).digest()
            groups.setdefault((whole[:COMPARED], digest), []).append(index)
        out = []
        for (whole, _), members in groups.items():
            members.sort(key=lambda index: self._example[index])
            first = self._texts[members[0]].group
            other = next((index for index in members if self._texts[index].group != first), None)
            out.append(_Distinct(whole, members, other))
        return out

    def _chain(self, distinct: _Distinct) -> Iterator[tuple[int, int]]:
        first = distinct.members[0]
        if self._example[first]:
            return
        previous = first
        for index in distinct.members[1:]:
            if self._across:
                partner = self._partner(index, distinct)
                if partner is not None:
                    yield partner, index
            elif self._example[index]:
                yield first, index
            else:
                yield previous, index
                previous = index

    def _partner(self, index: int, distinct: _Distinct) -> int | None:
        """A text of `distinct` that this one may be compared with across groups; a member of it by preference an item."""
        for other in (distinct.members[0], distinct.other):
            if other is None or self._texts[other].group == self._texts[index].group:
                continue
            if not (self._example[other] and self._example[index]):
                return other
        return None

    def _between(self, one: _Distinct, other: _Distinct) -> list[tuple[int, int]]:
        """The pairs that two similar texts stand for."""
        if not self._across:
            return [(one.members[0], other.members[0])]
        pairs = [(self._partner(index, one), index) for index in other.members]
        pairs += [(self._partner(index, other), index) for index in one.members]
        return sorted({self._turned(a, b) for a, b in pairs if a is not None})

    def _near(self) -> None:
        import numpy as np

        inside = self._contained()
        plain = np.array([self._is_plain(distinct) for distinct in self._distinct], np.bool_)
        texts = [distinct.text for distinct in self._distinct]
        for batch in Join(texts, self._labels(), self._threshold, self._clock).batches():
            alone = plain[batch.left] & plain[batch.right]
            self._total += int(alone.sum())
            near = alone & (batch.similarity >= self._floor)
            self._keep(zip(*(column[near].tolist() for column in batch), strict=True))
            for left, right, similarity in zip(*(column[~alone].tolist() for column in batch), strict=True):
                for a, b in self._between(self._distinct[left], self._distinct[right]):
                    pair = self._turned(a, b)
                    if pair in inside:
                        inside[pair] = max(similarity, inside[pair])
                    else:
                        self._add(similarity, near=True, pair=pair)
        for pair, similarity in inside.items():
            self._add(similarity, near=True, pair=pair)

    def _is_plain(self, distinct: _Distinct) -> bool:
        """One item alone has this text, so that a pair of such texts is one pair of items."""
        return len(distinct.members) == 1 and not self._example[distinct.members[0]]

    def _keep(self, rows: Iterable[tuple[int, int, float]]) -> None:
        for left, right, similarity in rows:
            a, b = self._distinct[left].members[0], self._distinct[right].members[0]
            self._best.append(_Row(-similarity, True, *self._turned(a, b)))
        self._prune(spare=SPARE)

    def _add(self, similarity: float, *, near: bool, pair: tuple[int, int]) -> None:
        self._total += 1
        if similarity >= self._floor:
            self._best.append(_Row(-similarity, near, *self._turned(*pair)))
            self._prune(spare=SPARE)

    def _prune(self, *, spare: int) -> None:
        """Keeps the first `limit`; sorting is put off until `spare` more have come."""
        if len(self._best) > self._limit + spare:
            self._best.sort()
            del self._best[self._limit :]
            self._floor = -self._best[-1].order if self._best else 2.0

    def _turned(self, a: int, b: int) -> tuple[int, int]:
        """Items stand before examples, and otherwise in the order given."""
        return (a, b) if (self._example[a], a) < (self._example[b], b) else (b, a)

    def _pair(self, row: _Row) -> Pair:
        a, b = self._texts[row.a], self._texts[row.b]
        return Pair(a.id, b.id, a.group, b.group, -row.order, not row.near)

    def _reason(self) -> str:
        out = []
        if self._clock.cut:
            out.append(
                f"The search ended after {self._clock.seconds:g} seconds, or with too many results, before all texts were compared: raise the threshold, or give fewer texts."
            )
        if self._long:
            out.append(f"{self._long} texts are longer than {COMPARED:,} characters; only as many were compared.")
        return " ".join(out)

    def _labels(self) -> "Ints":
        """Equal for texts that are not to be compared."""
        import numpy as np

        codes: dict[str, int] = {}
        out = np.empty(len(self._distinct), np.int64)
        for index, distinct in enumerate(self._distinct):
            group = self._texts[distinct.members[0]].group
            if self._example[distinct.members[0]]:
                out[index] = -1
            elif self._across and distinct.other is None:
                out[index] = codes.setdefault(group, len(codes))
            else:
                out[index] = -2 - index
        return out

    def _contained(self) -> dict[tuple[int, int], float]:
        """(item, example) → similarity."""
        examples: dict[str, int] = {}
        items: list[tuple[str, int]] = []
        for distinct in self._distinct:
            for index in distinct.members:
                if self._example[index]:
                    examples.setdefault(distinct.text, index)
                elif self._across or index == distinct.members[0]:
                    items.append((distinct.text, index))
        if not examples:
            return {}
        found = contained([text for text, _ in items], list(examples), self._threshold, self._clock)
        wholes = list(examples.values())
        return {(items[part][1], wholes[whole]): similarity for part, whole, similarity in found}
