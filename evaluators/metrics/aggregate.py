"""Many scores of one metric as a few numbers. A score without a value is counted apart and never as 0."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from evaluators.contract import Score


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    """`n` scores have a value; `errors`, `unscored` and `skipped` have none. All numbers are over those that have one.

    `pass_rate` is over the scores that say whether they passed, `judged` of them; `labels` are shares of those that have
    a label. What nothing is known about is None.
    """

    n: int
    errors: int
    unscored: int
    skipped: int
    mean: float | None
    median: float | None
    low: float | None
    high: float | None
    p90: float | None
    p95: float | None
    pass_rate: float | None
    judged: int
    labels: dict[str, float]


def aggregate(scores: Sequence[Score]) -> Aggregate:
    """All of this module at once."""
    known = values(scores)
    statuses = Counter(score.status for score in scores)
    return Aggregate(
        n=len(known),
        errors=statuses["error"],
        unscored=statuses["unscored"],
        skipped=statuses["skipped"],
        mean=mean(scores),
        median=median(scores),
        low=min(known, default=None),
        high=max(known, default=None),
        p90=percentile(scores, 90),
        p95=percentile(scores, 95),
        pass_rate=pass_rate(scores),
        judged=sum(score.passed is not None for score in scores),
        labels=shares(scores),
    )


def values(scores: Iterable[Score]) -> list[float]:
    """The values that there are, in order."""
    return [score.value for score in scores if score.value is not None]


def mean(scores: Iterable[Score]) -> float | None:
    known = values(scores)
    return math.fsum(known) / len(known) if known else None


def median(scores: Iterable[Score]) -> float | None:
    return percentile(scores, 50)


def percentile(scores: Iterable[Score], q: float) -> float | None:
    """The `q`-th percentile (0..100), linear between neighbours as numpy's default. Raises ValueError for another `q`."""
    return percentile_of(values(scores), q)


def percentile_of(known: Sequence[float], q: float) -> float | None:
    """`percentile` of plain numbers."""
    if not 0 <= q <= 100:
        raise ValueError(f"a percentile lies between 0 and 100, not at {q}")
    if not known:
        return None
    ordered = sorted(known)
    place = (len(ordered) - 1) * q / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def pass_rate(scores: Iterable[Score]) -> float | None:
    """The share that passed of those that say so; None when none does."""
    said = [score.passed for score in scores if score.passed is not None]
    return sum(said) / len(said) if said else None


def shares(scores: Iterable[Score]) -> dict[str, float]:
    """Each label's share of the scores that have a value and a label, the most frequent first."""
    counted = Counter(score.label for score in scores if score.value is not None and score.label is not None)
    total = counted.total()
    return {label: count / total for label, count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))}
