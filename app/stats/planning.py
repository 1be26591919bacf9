"""How much more evidence a rule would need before it can pass."""

from functools import lru_cache
from math import sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from app.stats.estimates import Floats

POWER = 0.8
MOST_REPEATS = 10
_MOST_UNITS = 1_000_000


class Plan(NamedTuple):
    """`units`: independent units (cases, or clusters) needed in all; `repeats`: runs per case and side that would do
    with the units there are. None where no number up to the limit would do, or where it cannot be known."""

    units: int | None
    repeats: int | None


class Runs(NamedTuple):
    """How much of a unit's variance comes from running a case only so often: `within` with one run per side, `noise`
    with the `repeats` there are."""

    within: float
    noise: float
    repeats: int


@lru_cache(maxsize=1)
def _sizes() -> Floats:
    """Every size to 400, then steps of one per cent to a million: fine enough for advice, quick to search."""
    sizes = list(range(5, 401))
    while (following := int(sizes[-1] * 1.01) + 1) <= _MOST_UNITS:
        sizes.append(following)
    return np.array(sizes, dtype=np.float64)


@lru_cache(maxsize=64)
def _quantiles(alpha: float) -> Floats:
    return np.asarray(stdtrit(_sizes() - 1, 1 - alpha), dtype=np.float64)


def n_needed(
    sd: float,
    margin: float,
    alpha: float = 0.05,
    power: float = POWER,
    assumed: float = 0.0,
    worst: float = 1.0,
) -> int | None:
    """Units needed to show with `power` that the mean is above -margin, if it truly is `assumed`.

    `sd` is that of a unit's value, `worst` the distance from the mean down to the imaginary unit of the plus-one
    bound. None when more than a million would be needed.
    """
    n = _sizes()
    imaginary = worst / (n + 1)
    se = np.sqrt((sd * sd + worst * imaginary) / (n + 1))
    reached = margin + assumed - imaginary >= _quantiles(alpha) * se + float(ndtri(power)) * sd / np.sqrt(n)
    return int(n[reached.argmax()]) if reached.any() else None


def plan(
    sd: float,
    distance: float,
    n: int,
    alpha: float = 0.05,
    worst: float = 1.0,
    runs: Runs | None = None,
) -> Plan:
    """What would let a rule pass, given `n` units whose values have standard deviation `sd`.

    `distance` is how far the assumed truth lies on the good side of the limit (the margin, when nothing changed).
    `runs` is known when there are two runs or more; without it no number of repeats can be advised.
    """
    units = n_needed(sd, distance, alpha, worst=worst)
    if runs is None:
        return Plan(units, None)
    between = max(0.0, sd * sd - runs.noise)
    for repeats in range(runs.repeats + 1, MOST_REPEATS + 1):
        enough = n_needed(sqrt(between + runs.within / repeats), distance, alpha, worst=worst)
        if enough is not None and enough <= n:
            return Plan(units, repeats)
    return Plan(units, None)
