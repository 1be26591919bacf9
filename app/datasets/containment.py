"""Which of many short texts occur, or nearly occur, within a few longer ones."""

import bisect
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.datasets.signatures import grams
from app.datasets.similarity import SLACK, Clock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from app.datasets.signatures import Ints

SHORTEST = 20  # characters: shorter texts occur within others by chance
NEARLY = (
    2_000  # characters: of longer texts only exact occurrence is looked for; comparing all windows would take seconds
)
CHUNK = 1 << 17  # q-grams that are looked up together; they stay in a core's cache
GROUP = 500  # parts that are hashed together
BAND = 1.25  # longest : shortest among the parts that share the whole's stretches
MOST = 200_000  # results; beyond them the search ends as if time were over
TABLE = 16  # bits of a q-gram's hash


def contained(
    parts: Sequence[str], wholes: Sequence[str], threshold: float, clock: Clock
) -> list[tuple[int, int, float]]:
    """(index of the part, index of the whole, similarity) of parts that lie in a longer whole.

    The similarity is rapidfuzz's partial_ratio / 100: that of the best window of the whole, at most as long as the part; 1.0
    when the part occurs as it stands. Before that, parts are passed over of which no stretch of the whole has enough q-grams:
    a window that aligns with L of the part's m characters leaves m - L deletions, each of which destroys q of the part's
    q-grams at most, and insertions, each of which destroys q - 1 (the q-gram lemma); `_rate` has the most of them.
    """
    import numpy as np

    out: list[tuple[int, int, float]] = []
    q = (
        3 if _rate(3, threshold) < 0.8 else 2
    )  # trigrams tell more apart, but low thresholds allow nearly all of them to be lost
    longest = max(map(len, wholes), default=0)
    order = sorted((len(part), index) for index, part in enumerate(parts) if SHORTEST <= len(part) < longest)
    start = 0
    while start < len(order):
        most = int(order[start][0] * BAND)
        end = bisect.bisect_right(order, (most, len(parts)), start)
        band = [index for _, index in order[start:end]]
        lengths = np.array([length for length, _ in order[start:end]])
        hashes = np.concatenate(
            [_hashed([parts[i] for i in band[at : at + GROUP]], q) for at in range(0, len(band), GROUP)]
        )
        for number, whole in enumerate(wholes):
            possible = _possible(hashes, lengths, whole, q, threshold) & (lengths < len(whole))
            for place in np.flatnonzero(possible).tolist():
                if len(out) >= MOST:
                    clock.cut = True
                if clock.over():
                    return out
                similarity = _within(parts[band[place]], whole, threshold)
                if similarity:
                    out.append((band[place], number, similarity))
            if clock.over():
                return out
        start = end
    return out


def _possible(
    hashes: "NDArray[np.uint16]", lengths: "Ints", whole: str, q: int, threshold: float
) -> "NDArray[np.bool_]":
    """Whether a stretch of the whole has enough of each part's q-grams. A window lies in one of the overlapping stretches."""
    import numpy as np

    starts = np.concatenate([[0], np.cumsum(lengths - q + 1)])
    most = np.floor(lengths * _rate(q, threshold) + SLACK)
    possible = np.zeros(len(lengths), np.bool_)
    step = int(lengths[-1])
    tables = []
    for place in range(0, max(1, len(whole) - step), step):
        table = np.ones(1 << TABLE, np.uint8)
        table[_hashed([whole[place : place + 2 * step]], q)] = 0
        tables.append(table)
    first = 0
    while first < len(lengths):
        last = max(first + 1, int(starts.searchsorted(starts[first] + CHUNK)) - 1)
        places, at = hashes[starts[first] : starts[last]], starts[first:last] - starts[first]
        for table in tables:
            possible[first:last] |= np.add.reduceat(table[places], at, dtype=np.int32) <= most[first:last]
        first = last
    return possible


def _rate(q: int, threshold: float) -> float:
    """The most q-grams that a part of a similar window can have lost, per character of the part.

    With w the window's length and L at least t (m + w) / 2, q (m - L) + (q - 1) (w - L) is linear in w, so that it is largest at
    an end of w's range: the part's own length, or the least one, L = w = t m / (2 - t).
    """
    return max((2 * q - 1) * (1 - threshold), 2 * q * (1 - threshold) / (2 - threshold))


def _hashed(texts: Sequence[str], q: int) -> "NDArray[np.uint16]":
    """The texts' q-grams, one text after the other."""
    import numpy as np

    return (grams(texts, q)[0] >> np.uint64(64 - TABLE)).astype(np.uint16)


def _within(part: str, whole: str, threshold: float) -> float:
    """0.0 when the part does not lie in the whole."""
    from rapidfuzz import fuzz

    if part in whole:
        return 1.0
    if len(part) > NEARLY:
        return 0.0
    return fuzz.partial_ratio(part, whole, score_cutoff=threshold * 100) / 100
