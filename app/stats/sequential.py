"""Evidence that is looked at more than once: planned early looks, and votes that arrive one by one."""

from functools import lru_cache
from math import ceil, inf, log, sqrt

import numpy as np
from numpy.typing import ArrayLike
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


def canary(
    candidate_sum: ArrayLike,
    candidate_votes: ArrayLike,
    baseline_sum: ArrayLike,
    baseline_votes: ArrayLike,
    margin: float,
    alpha: float,
    *,
    side: str = "low",
    candidate_squares: ArrayLike | None = None,
    baseline_squares: ArrayLike | None = None,
) -> float:
    """Anytime-valid bound (`side` "low" or "high") of the candidate's mean vote minus the baseline's.

    One entry per phase of constant traffic share: the sum of votes in [0, 1], their number, and the sum of their
    squares (left out for 0/1 votes). Phases are compared within themselves, since the share and the users' mood may
    both change between them. Normal-mixture confidence sequence (arXiv 2212.14411) tuned to `margin`, with one
    imaginary vote at the bad end in each arm of the heaviest phase. Infinite before any phase has two votes per arm.
    """
    sc, nc, sb, nb, qc, qb = (
        np.atleast_1d(np.asarray(v, dtype=np.float64))
        for v in (
            candidate_sum,
            candidate_votes,
            baseline_sum,
            baseline_votes,
            candidate_sum if candidate_squares is None else candidate_squares,
            baseline_sum if baseline_squares is None else baseline_squares,
        )
    )
    usable = (nc >= 2) & (nb >= 2)
    if not usable.any():
        return -inf if side == "low" else inf
    sc, nc, sb, nb, qc, qb = (v[usable] for v in (sc, nc, sb, nb, qc, qb))
    weight = nc * nb / (nc + nb)
    extra = np.zeros_like(weight)
    extra[weight.argmax()] = 1.0
    weight = weight / weight.sum()
    # For the lower bound the imaginary candidate vote is 0 and the baseline's 1; for the upper bound the reverse.
    extra_c, extra_b = (0 * extra, extra) if side == "low" else (extra, 0 * extra)
    nc, nb, sc, sb, qc, qb = nc + extra, nb + extra, sc + extra_c, sb + extra_b, qc + extra_c, qb + extra_b
    mean_c, mean_b = sc / nc, sb / nb
    variance = float((weight**2 * ((qc / nc - mean_c**2) / nc + (qb / nb - mean_b**2) / nb)).sum())
    difference = float((weight * (mean_c - mean_b)).sum())
    r = margin**2 / variance
    half_width = sqrt(variance * (1 + r) / r * log((1 + r) / (2 * alpha) ** 2))
    return difference - half_width if side == "low" else difference + half_width


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
