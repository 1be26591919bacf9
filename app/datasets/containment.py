"""Which of many short texts occur, or nearly occur, within a few longer ones."""

from collections.abc import Sequence

from app.datasets.signatures import grams
from app.datasets.similarity import SLACK, Clock

SHORTEST = 20  # characters: shorter texts occur within others by chance
NEARLY = (
    2_000  # characters: of longer texts only exact occurrence is looked for; comparing all windows would take seconds
)
CHUNK = 1 << 18  # characters whose bigrams are held at a time
MOST = 200_000  # results; beyond them the search ends as if time were over
TABLE = 16  # bits of a bigram's hash


def contained(
    parts: Sequence[str], wholes: Sequence[str], threshold: float, clock: Clock
) -> list[tuple[int, int, float]]:
    """(index of the part, index of the whole, similarity) of parts that lie in a longer whole.

    The similarity is rapidfuzz's partial_ratio / 100: that of the best window of the whole, at most as long as the part; 1.0
    when the part occurs as it stands. Before that, parts with too many bigrams that the whole lacks are passed over: a window
    that aligns with L of the part's m characters leaves m - L deletions, each of which destroys two bigrams at most, and
    insertions, each of which destroys one (the q-gram lemma); at similarity t that is most at one of two window lengths.
    """
    import numpy as np

    shift = np.uint64(64 - TABLE)
    tables = []
    for whole in wholes:
        table = np.ones(1 << TABLE, np.bool_)
        table[(grams([whole], 2)[0] >> shift).astype(np.int64)] = False
        tables.append(table)
    rate = max(3 * (1 - threshold), 4 * (1 - threshold) / (2 - threshold))
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
        values, rows = grams(chunk, 2)
        places = (values >> shift).astype(np.int64)
        most = np.floor(np.fromiter(map(len, chunk), np.int64, len(chunk)) * rate + SLACK)
        for number, whole in enumerate(wholes):
            lacking = np.bincount(rows[tables[number][places]], minlength=len(chunk))
            for index in np.flatnonzero(lacking <= most).tolist():
                if len(out) >= MOST:
                    clock.cut = True
                if clock.over():
                    return out
                similarity = _within(chunk[index], whole, threshold)
                if similarity:
                    out.append((wanted[start + index], number, similarity))
        start = end
    return out


def _within(part: str, whole: str, threshold: float) -> float:
    """0.0 when the part does not lie in the whole."""
    from rapidfuzz import fuzz

    if len(part) >= len(whole):
        return 0.0
    if part in whole:
        return 1.0
    if len(part) > NEARLY:
        return 0.0
    return fuzz.partial_ratio(part, whole, score_cutoff=threshold * 100) / 100
