"""Every pair of similar strings among many, without comparing each with each.

Similarity is `1 - d / (len a + len b)`, d the Indel distance (insertions and deletions alone): rapidfuzz's `ratio / 100`.
Three steps, the first two of which never lose a pair (recall is 1 at every threshold, as long as time suffices):

1. Length: d is at least the difference of the lengths, so the shorter string has at least `t / (2 - t)` of the longer one's.
2. Characters and q-grams: strings at distance d have rows of bits that differ in a bounded number (`signatures.py` says why).
   numpy counts those bits for blocks of pairs at a time. Which rows are used is decided by a sample, which moves time alone.
3. rapidfuzz compares what is left.

At low thresholds (below about 0.85 for English sentences) step 2 excludes little and time grows towards that of comparing all.
"""

import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from app.datasets.signatures import Plan, signatures, steps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from app.datasets.signatures import Ints, Words

ROWS, COLUMNS = 16, 4096  # pairs that are looked at together; small enough to stay in a core's cache
SLACK = 1e-9  # of floating point: a bound is rounded in the direction that keeps a pair
BAND = 1.5  # longest : shortest among the longer strings of one plan
WIDEST, WIDEST_COUNTS = 4096, 512  # bits
WORD_NS, CALL_NS = 0.5, 400.0  # measured: one word of one pair, one call of rapidfuzz; they guide the plan alone
SAMPLE = 1000


class Clock:
    """Says when time is over, and remembers in `cut` that work was left undone because of it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self.cut = False

    def over(self) -> bool:
        self.cut = self.cut or time.monotonic() > self._end
        return self.cut


class Batch(NamedTuple):
    """Pairs of indexes into the texts, with their similarities; all three of one length."""

    left: "Ints"
    right: "Ints"
    similarity: "NDArray[np.float64]"


def shortest(length: int, threshold: float) -> int:
    """The least length that a string similar to one of `length` can have."""
    return math.ceil(length * threshold / (2 - threshold) - SLACK)


class Join:
    """One search among `texts`. Pairs whose `labels` are equal are not looked for."""

    def __init__(self, texts: Sequence[str], labels: "Ints", threshold: float, clock: Clock) -> None:
        import numpy as np

        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        self._order = np.argsort(lengths, kind="stable")
        self._texts = [texts[index] for index in self._order.tolist()]
        self._lengths = lengths[self._order]
        self._labels = labels[self._order]
        self._threshold, self._clock = threshold, clock
        self._rooms = (
            np.empty(ROWS * COLUMNS, np.uint64),
            np.empty(ROWS * COLUMNS, np.uint8),
        )  # fresh ones cost page faults

    def batches(self) -> Iterator[Batch]:
        """Similar pairs, each once, in no promised order; ends early when time is over."""
        start = 0
        while start < len(self._texts) and not self._clock.over():
            end = int(self._lengths.searchsorted(max(1, int(self._lengths[start])) * BAND, "right"))
            yield from self._band(start, end)
            start = end

    def _first(self, row: int) -> int:
        return int(self._lengths.searchsorted(shortest(int(self._lengths[row]), self._threshold)))

    def _cost(self, length: int) -> float:
        """Nanoseconds of one comparison by rapidfuzz; it handles 64 characters of one string at a time."""
        return CALL_NS + length * math.ceil(length / 64)

    def _band(self, start: int, end: int) -> Iterator[Batch]:
        """The pairs whose longer string lies at start…end in the order of lengths."""
        import numpy as np

        low = self._first(start)
        plan = self._plan(start, end)
        longest = int(self._lengths[end - 1])
        width = COLUMNS if plan.bits else max(1, min(COLUMNS, int(2e8 / self._cost(longest) / ROWS)))
        marks = signatures(self._texts[low:end], plan) if plan.bits else np.zeros((0, end - low), np.uint64)
        waiting: list[tuple[Ints, Ints]] = []
        count = 0
        for top in range(start, end, ROWS):
            bottom = min(top + ROWS, end)
            for left in range(self._first(top), bottom, width):
                if self._clock.over():
                    return
                right = min(left + width, bottom)
                if not plan.bits:
                    yield self._compared(top, bottom, left, right)
                    continue
                a, b = self._candidates(marks, low, plan, (top, bottom, left, right))
                if len(a):
                    waiting.append((a, b))
                    count += len(a)
                if count >= 1 << 14:
                    yield from self._verified(waiting)
                    waiting, count = [], 0
        yield from self._verified(waiting)

    def _allowed(self, a: "Ints", b: "Ints") -> Any:
        return (b < a) & (self._labels[a] != self._labels[b])

    def _candidates(self, marks: "Words", low: int, plan: Plan, tile: tuple[int, int, int, int]) -> "tuple[Ints, Ints]":
        import numpy as np

        top, bottom, left, right = tile
        wide = np.uint16 if len(marks) > 4 else np.uint8  # 256 wraps to 0, which keeps the pair
        shape = (bottom - top, right - left)
        both, bits = (room[: shape[0] * shape[1]].reshape(shape) for room in self._rooms)
        differing = np.zeros(shape, wide)
        for word in marks:
            np.bitwise_xor(word[top - low : bottom - low, None], word[left - low : right - low], out=both)
            np.bitwise_count(both, out=bits)
            np.add(differing, bits, out=differing)
        room = (1 - self._threshold) * (self._lengths[left:right] + self._lengths[bottom - 1]) + SLACK
        most = np.minimum(plan.limit(np.floor(room)), np.iinfo(wide).max).astype(wide)
        found = np.flatnonzero(differing <= most)
        a, b = found // (right - left) + top, found % (right - left) + left
        keep = self._allowed(a, b)
        return a[keep], b[keep]

    def _compared(self, top: int, bottom: int, left: int, right: int) -> Batch:
        import numpy as np
        from rapidfuzz import process
        from rapidfuzz.distance import Indel

        rows, columns = self._texts[top:bottom], self._texts[left:right]
        scorer = Indel.normalized_similarity
        scores = process.cdist(rows, columns, scorer=scorer, score_cutoff=self._threshold, dtype=np.float64)
        a, b = np.nonzero(scores)
        keep = self._allowed(a + top, b + left)
        return Batch(self._order[a[keep] + top], self._order[b[keep] + left], scores[a[keep], b[keep]])

    def _verified(self, waiting: "list[tuple[Ints, Ints]]") -> Iterator[Batch]:
        import numpy as np
        from rapidfuzz import process
        from rapidfuzz.distance import Indel

        if not waiting:
            return
        lefts, rights = (np.concatenate(side) for side in zip(*waiting, strict=True))
        step = max(1, int(2e8 / self._cost(int(self._lengths[lefts[-1]]))))
        for start in range(0, len(lefts), step):
            if self._clock.over():
                return
            a, b = lefts[start : start + step], rights[start : start + step]
            one, other = ([self._texts[index] for index in side.tolist()] for side in (a, b))
            scorer = Indel.normalized_similarity
            scores = process.cpdist(one, other, scorer=scorer, score_cutoff=self._threshold, dtype=np.float64)
            keep = scores > 0
            yield Batch(self._order[a[keep]], self._order[b[keep]], scores[keep])

    def _plan(self, start: int, end: int) -> Plan:
        """The filter that costs least on a sample of the band's pairs."""
        import numpy as np

        length = int(self._lengths[end - 1])
        pairs = (end - start) * (end - self._first(start))
        if pairs < 20_000:
            return Plan(2, 0)
        random = np.random.default_rng(0)
        a = random.integers(start, end, max(50, min(SAMPLE, 2_000_000 // length)))
        first = np.fromiter((self._first(row) for row in a.tolist()), np.int64, len(a))
        b = random.integers(first, a + 1)
        room = np.floor((1 - self._threshold) * (self._lengths[a] + self._lengths[b]) + SLACK)
        best, plan = self._cost(length) / 4, Plan(2, 0)  # many comparisons in one call are cheaper
        one, other = ([self._texts[index] for index in side.tolist()] for side in (a, b))
        for option in self._options(one, length):
            mixed = signatures(one, option) ^ signatures(other, option)
            most = option.limit(room)
            while len(mixed):
                passed = ((np.bitwise_count(mixed).sum(axis=0, dtype=np.int64) <= most) & (a != b)).mean()
                cost = len(mixed) * WORD_NS + float(passed) * self._cost(length)
                if cost < best:
                    chosen = None if option.steps is None else option.steps[:, : 64 * len(mixed)]
                    best, plan = cost, Plan(option.q, 64 * len(mixed), chosen)
                half = len(mixed) // 2
                mixed = mixed[:-1] if option.steps is not None else mixed[:half] ^ mixed[half : 2 * half]
        return plan

    def _options(self, sample: Sequence[str], length: int) -> Iterator[Plan]:
        wide = min(WIDEST, 64 << max(0, math.ceil(math.log2(max(1, length) * 4 / 64))))
        yield Plan(1, WIDEST_COUNTS, steps(sample, WIDEST_COUNTS))
        for q in (2, 3, 4):
            yield Plan(q, wide)
