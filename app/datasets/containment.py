"""Which of many short texts occur, or nearly occur, within a few longer ones."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.datasets.signatures import grams
from app.datasets.similarity import SLACK, Clock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHORTEST = 20  # characters: shorter texts occur within others by chance
NEARLY = (
    2_000  # characters: of longer texts only exact occurrence is looked for; comparing all windows would take seconds
)
CHUNK = 1 << 18  # characters whose q-grams are held at a time
SIZES = (2, 3)  # q
MOST = 200_000  # results; beyond them the search ends as if time were over
TABLE = 16  # bits of a q-gram's hash


def contained(
    parts: Sequence[str], wholes: Sequence[str], threshold: float, clock: Clock
) -> list[tuple[int, int, float]]:
    """(index of the part, index of the whole, similarity) of parts that lie in a longer whole.

    The similarity is rapidfuzz's partial_ratio / 100: that of the best window of the whole, at most as long as the part; 1.0
    when the part occurs as it stands. Before that, parts with too many q-grams that the whole lacks are passed over: a window
    that aligns with L of the part's m characters leaves m - L deletions, each of which destroys q q-grams of the part at most,
    and insertions, each of which destroys q - 1 (the q-gram lemma); `_rate` has the most of them.
    """
    import numpy as np

    shift = np.uint64(64 - TABLE)
    tables = {(q, number): _lacks(whole, q) for q in SIZES for number, whole in enumerate(wholes)}
    longest = max(map(len, wholes), default=0)
    wanted = [index for index, part in enumerate(parts) if SHORTEST <= len(part) < longest]
    out: list[tuple[int, int, float]] = []
    start = 0
    while start < len(wanted):
        end, characters = start, 0
        while end < len(wanted) and characters < CHUNK:
            characters += len(parts[wanted[end]])
            end += 1
        chunk = [parts[index] for index in wanted[start:end]]
        lengths = np.fromiter(map(len, chunk), np.int64, len(chunk))
        hashed = [(q, *grams(chunk, q), np.floor(lengths * _rate(q, threshold) + SLACK)) for q in SIZES]
        placed = [(q, (values >> shift).astype(np.int64), rows, most) for q, values, rows, most in hashed]
        for number, whole in enumerate(wholes):
            possible = lengths < len(whole)
            for q, places, rows, most in placed:
                possible &= np.bincount(rows[tables[q, number][places]], minlength=len(chunk)) <= most
            for index in np.flatnonzero(possible).tolist():
                if len(out) >= MOST:
                    clock.cut = True
                if clock.over():
                    return out
                similarity = _within(chunk[index], whole, threshold)
                if similarity:
                    out.append((wanted[start + index], number, similarity))
            if clock.over():
                return out
        start = end
    return out


def _rate(q: int, threshold: float) -> float:
    """The most q-grams that a part of a similar window can have lost, per character of the part.

    With w the window's length and L at least t (m + w) / 2, q (m - L) + (q - 1) (w - L) is linear in w, so that it is largest at
    an end of w's range: the part's own length, or the least one, L = w = t m / (2 - t).
    """
    return max((2 * q - 1) * (1 - threshold), 2 * q * (1 - threshold) / (2 - threshold))


def _lacks(whole: str, q: int) -> "NDArray[np.bool_]":
    """By hash: whether no q-gram of the whole has it."""
    import numpy as np

    table = np.ones(1 << TABLE, np.bool_)
    table[(grams([whole], q)[0] >> np.uint64(64 - TABLE)).astype(np.int64)] = False
    return table


def _within(part: str, whole: str, threshold: float) -> float:
    """0.0 when the part does not lie in the whole."""
    from rapidfuzz import fuzz

    if part in whole:
        return 1.0
    if len(part) > NEARLY:
        return 0.0
    return fuzz.partial_ratio(part, whole, score_cutoff=threshold * 100) / 100
