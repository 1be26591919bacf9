"""Means with bounds that stay honest on small samples.

The plus-one bound adds one imaginary unit that is as bad (or as good) as the scale allows before taking a Student t
bound. Prompt regressions are often concentrated in a few cases; a small sample that holds none of them has hardly any
variance, and a plain t or bootstrap interval is then confidently wrong.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtr, stdtrit

Floats = NDArray[np.float64]


class Units(NamedTuple):
    """What is independent: `sums` [..., G] of the values and `sizes` [G] in cases, in an order of their own,
    so that neither the order nor the names of the cases can reach a result."""

    sums: Floats
    sizes: Floats


def units(x: ArrayLike, groups: ArrayLike | None = None) -> Units:
    """The independent units of values `x`: its cases [..., n], or the clusters that `groups` [n] names (x then [n])."""
    values = np.asarray(x, dtype=np.float64)
    if groups is None:
        return Units(np.sort(values, axis=-1), np.ones(values.shape[-1]))
    # Summing the sorted values keeps a cluster's sum free of the order of its cases.
    order = np.argsort(values, kind="stable")
    codes = np.unique(np.asarray(groups), return_inverse=True)[1][order]
    sums = np.bincount(codes, values[order]).astype(np.float64)
    sizes = np.bincount(codes).astype(np.float64)
    canonical = np.lexsort((sizes, sums))
    return Units(sums[canonical], sizes[canonical])


class Estimate(NamedTuple):
    """A mean with its cluster-robust standard error and degrees of freedom; arrays when many samples were given."""

    mean: Any
    se: Any
    df: int

    def lower(self, alpha: float) -> Any:
        """The one-sided lower bound at confidence 1 - alpha."""
        return self.mean - float(stdtrit(self.df, 1 - alpha)) * self.se

    def upper(self, alpha: float) -> Any:
        """The one-sided upper bound at confidence 1 - alpha."""
        return self.mean + float(stdtrit(self.df, 1 - alpha)) * self.se

    def below(self, target: float) -> Any:
        """The t probability of a mean this low or lower if the true mean were `target`; for one sample only."""
        distance = self.mean - target
        if self.se == 0:
            return 1.0 if distance >= 0 else 0.0
        return float(stdtr(self.df, distance / self.se))


def mean_se(sample: Units) -> Estimate:
    """Mean and cluster-robust standard error sqrt(G/(G-1) sum_g (sum_g - m n_g)^2) / N. Needs two units."""
    sums, sizes = sample
    count = sizes.size
    if count < 2:
        raise ValueError(f"a standard error needs at least two independent units, got {count}")
    total = sizes.sum()
    mean = sums.sum(axis=-1) / total
    residuals = sums - np.expand_dims(mean, -1) * sizes
    se = np.sqrt(count / (count - 1) * (residuals * residuals).sum(axis=-1)) / total
    return Estimate(mean, se, count - 1)


def plus_one(sample: Units, imaginary: float) -> Estimate:
    """Mean, error and df with one imaginary unit of average size in which every case scores `imaginary`.

    Needs two real units; `df` counts the real ones.
    """
    sums, sizes = sample
    if sizes.size < 2:
        raise ValueError(f"a bound needs at least two independent units, got {sizes.size}")
    size = sizes.mean()
    extra = np.broadcast_to(imaginary * size, (*sums.shape[:-1], 1))
    mean, se, _ = mean_se(Units(np.concatenate((sums, extra), axis=-1), np.append(sizes, size)))
    return Estimate(mean, se, sizes.size - 1)


def lower(x: ArrayLike, worst: float, alpha: float, groups: ArrayLike | None = None) -> Any:
    """The plus-one lower bound of the mean of `x` (last axis: cases) at one-sided confidence 1 - alpha."""
    return plus_one(units(x, groups), worst).lower(alpha)


def upper(x: ArrayLike, best: float, alpha: float, groups: ArrayLike | None = None) -> Any:
    """The plus-one upper bound of the mean of `x` (last axis: cases) at one-sided confidence 1 - alpha."""
    return plus_one(units(x, groups), best).upper(alpha)


def p_below(x: ArrayLike, best: float, target: float, groups: ArrayLike | None = None) -> float:
    """p that the mean of `x` is below `target`, the imaginary unit at the good end (floors, improvements)."""
    return float(plus_one(units(x, groups), best).below(target))


class Bounds(NamedTuple):
    """A mean and its one-sided bounds, none outside the scale."""

    mean: float
    low: float
    high: float


def bounds(x: ArrayLike, worst: float, best: float, alpha: float, groups: ArrayLike | None = None) -> Bounds:
    """Mean and plus-one bounds of scores on the scale `worst`..`best`, each bound at one-sided confidence 1 - alpha.

    A single unit bounds nothing, so its bounds are the ends of the scale. Raises ValueError for no values at all.
    """
    sample = units(x, groups)
    if sample.sizes.size == 0:
        raise ValueError("no values to estimate a mean from")
    mean = float(sample.sums.sum() / sample.sizes.sum())
    ends = sorted((worst, best))
    if sample.sizes.size == 1:
        return Bounds(mean, *ends)
    low, high = plus_one(sample, ends[0]).lower(alpha), plus_one(sample, ends[1]).upper(alpha)
    return Bounds(mean, max(float(low), ends[0]), min(float(high), ends[1]))


def wilson(successes: int, n: int, alpha: float = 0.05) -> Bounds:
    """Share of successes with its two-sided Wilson interval at confidence 1 - alpha (Wilson 1927)."""
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} successes of {n} is no share")
    z = float(ndtri(1 - alpha / 2))
    share = successes / n
    centre = share + z * z / (2 * n)
    spread = z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    scale = 1 + z * z / n
    return Bounds(share, (centre - spread) / scale, (centre + spread) / scale)
