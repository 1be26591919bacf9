"""Evidence that is looked at more than once: planned early looks, and votes that arrive one by one."""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, inf, log, sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import betaln, ndtr, ndtri

from app.stats.estimates import Floats

_GRID = 801
_LIMIT = 8.0


@lru_cache(maxsize=256)
def gs_levels(fractions: tuple[float, ...], alpha: float) -> tuple[float, ...]:
    """One-sided significance level of each planned look, all together spending `alpha`.

    `fractions` of the evidence rise to 1. Lan-DeMets spending of the O'Brien-Fleming type; the boundary of each look
    is found on the density of the paths that have not stopped before (Armitage, McPherson and Rowe's recursion).
    """
    if not fractions or fractions[-1] != 1 or any(a >= b for a, b in zip((0.0, *fractions), fractions, strict=False)):
        raise ValueError(f"looks must rise from above 0 to 1, got {fractions}")
    if fractions == (1.0,):
        return (alpha,)
    from scipy.optimize import brentq

    t = np.asarray(fractions, dtype=np.float64)
    spent = 2 * ndtr(ndtri(alpha / 2) / np.sqrt(t))
    spend = np.diff(spent, prepend=0.0)
    bounds = [float(-ndtri(spend[0]))]
    x = np.linspace(-_LIMIT * sqrt(t[0]), bounds[0] * sqrt(t[0]), _GRID)
    density = _normal(x / sqrt(t[0])) / sqrt(t[0])
    for k in range(1, t.size):
        step, root = sqrt(t[k] - t[k - 1]), sqrt(t[k])
        weights = np.full(_GRID, x[1] - x[0])
        weights[[0, -1]] /= 2
        mass = weights * density

        bounds.append(float(brentq(_excess, -1, _LIMIT, args=(mass, x, step, root, spend[k]))))
        y = np.linspace(-_LIMIT * root, bounds[-1] * root, _GRID)
        density = (mass * _normal((y[:, None] - x) / step) / step).sum(axis=1)
        x = y
    return tuple(float(level) for level in ndtr(-np.array(bounds)))


def _excess(z: float, mass: Floats, x: Floats, step: float, root: float, spend: float) -> float:
    """How much more than `spend` a boundary at `z` would use up, given the paths that came this far."""
    return float(mass @ ndtr((x - z * root) / step)) - spend


def _normal(x: Floats) -> Floats:
    return np.asarray(np.exp(-x * x / 2) / sqrt(2 * np.pi), dtype=np.float64)


def votes_before_a_decision(margin: float) -> int:
    """Votes the smaller arm of a canary must have before either bound may decide."""
    return max(100, ceil(3 / margin))


class Votes(NamedTuple):
    """Votes of one arm in one phase of constant traffic share: their number, their sum, and the sum of their squares."""

    n: float
    total: float
    squares: float


Phase = tuple[Votes, Votes]
"""The candidate's votes and the baseline's."""
_NO_VOTE = Votes(0, 0, 0)
_ONE = Votes(1, 1, 1)
_ZERO = Votes(1, 0, 0)


def canary(phases: Sequence[Phase], margin: float, alpha: float, side: str = "low") -> float:
    """Anytime-valid bound (`side` "low" or "high") of the candidate's mean vote minus the baseline's; votes lie in [0, 1].

    Phases are compared within themselves, since the share and the users' mood may both change between them. Normal-mixture
    confidence sequence (arXiv 2212.14411) tuned to `margin`, with one imaginary vote at the bad end in each arm of the
    heaviest phase. Infinite before any phase has two votes per arm. Plain floats: it is asked after every vote.
    """
    # For the lower bound the imaginary candidate vote is 0 and the baseline's 1; for the upper bound the reverse.
    extra = (_ZERO, _ONE) if side == "low" else (_ONE, _ZERO)
    return mixture_bound(phases, margin, alpha, side, extra)


def mixture_bound(
    phases: Sequence[Phase],
    scale: float,
    alpha: float,
    side: str = "low",
    extra: Phase = (_NO_VOTE, _NO_VOTE),
) -> float:
    """The same for values without a range, and then without imaginary ones; `scale` is the difference that it is tuned to."""
    usable = [(c, b, c.n * b.n / (c.n + b.n)) for c, b in phases if c.n >= 2 and b.n >= 2]
    if not usable:
        return -inf if side == "low" else inf
    weights = sum(weight for _, _, weight in usable)
    heaviest = max(range(len(usable)), key=lambda i: usable[i][2])
    difference = variance = 0.0
    for i, (c, b, weight) in enumerate(usable):
        share = weight / weights
        (nc, sc, qc), (nb, sb, qb) = (_with(c, extra[0]), _with(b, extra[1])) if i == heaviest else (c, b)
        mc, mb = sc / nc, sb / nb
        difference += share * (mc - mb)
        variance += share * share * (max(0.0, qc / nc - mc * mc) / nc + max(0.0, qb / nb - mb * mb) / nb)
    if variance == 0:
        return difference
    r = scale * scale / variance
    half_width = sqrt(variance * (1 + r) / r * log((1 + r) / (2 * alpha) ** 2))
    return difference - half_width if side == "low" else difference + half_width


def mean_bound(votes: Votes, scale: float, alpha: float, side: str = "low") -> float:
    """Anytime-valid bound of one arm's mean vote in [0, 1], by the same confidence sequence with one imaginary vote at the
    bad end; for 0/1 votes `bern_cs` is exact and tighter."""
    if votes.n < 2:
        return 0.0 if side == "low" else 1.0
    n, total, squares = _with(votes, _ZERO if side == "low" else _ONE)
    mean = total / n
    variance = max(0.0, squares / n - mean * mean) / n
    if variance == 0:
        return mean
    r = scale * scale / variance
    half_width = sqrt(variance * (1 + r) / r * log((1 + r) / (2 * alpha) ** 2))
    return max(0.0, mean - half_width) if side == "low" else min(1.0, mean + half_width)


def p_uneven(observed: Sequence[tuple[float, float, float]]) -> float:
    """P-value that units were assigned at the shares that were asked for (Pearson's chi-square, one degree of freedom a
    phase): `(candidate units, baseline units, candidate's share)` per phase."""
    from scipy.special import chdtrc

    statistic, degrees = 0.0, 0
    for candidate, baseline, share in observed:
        n = candidate + baseline
        if n and 0 < share < 1:
            statistic += (candidate - n * share) ** 2 / (n * share * (1 - share))
            degrees += 1
    return float(chdtrc(degrees, statistic)) if degrees else 1.0


def _with(votes: Votes, more: Votes) -> Votes:
    return Votes(votes.n + more.n, votes.total + more.total, votes.squares + more.squares)


def bern_cs(successes: int, n: int, alpha: float, side: str = "low") -> float:
    """Anytime-valid one-sided bound of a rate of 0/1 votes: the Beta(1/2, 1/2)-mixture confidence sequence."""
    from scipy.optimize import brentq

    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} successes of {n} is no rate")
    if side == "low" and successes == 0:
        return 0.0
    if side == "high" and successes == n:
        return 1.0
    failures = n - successes
    mixture = float(betaln(0.5 + successes, 0.5 + failures) - betaln(0.5, 0.5)) + log(alpha)

    def evidence(rate: float) -> float:
        return mixture - (successes * log(rate) if successes else 0) - (failures * np.log1p(-rate) if failures else 0)

    edge, rate = 1e-12, successes / n
    near, far = (max(rate - edge, 2 * edge), edge) if side == "low" else (min(rate + edge, 1 - 2 * edge), 1 - edge)
    if evidence(far) <= 0 or evidence(near) >= 0:
        return 0.0 if side == "low" else 1.0
    return float(brentq(evidence, min(near, far), max(near, far)))
