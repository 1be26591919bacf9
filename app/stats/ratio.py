"""Ratios of cost and latency, and budgets for a quantile."""

from math import exp, log
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, bdtrik, stdtr, stdtrit


class Ratio(NamedTuple):
    """A ratio candidate / baseline, estimated on the log scale."""

    log_ratio: float
    se: float
    df: int

    @property
    def value(self) -> float:
        return exp(self.log_ratio)

    def lower(self, alpha: float) -> float:
        """The one-sided lower bound at confidence 1 - alpha."""
        return exp(self.log_ratio - float(stdtrit(self.df, 1 - alpha)) * self.se)

    def upper(self, alpha: float) -> float:
        """The one-sided upper bound at confidence 1 - alpha."""
        return exp(self.log_ratio + float(stdtrit(self.df, 1 - alpha)) * self.se)

    def p_above(self, limit: float) -> float:
        """The t p-value that the true ratio is above `limit`."""
        distance = log(limit) - self.log_ratio
        if self.se == 0:
            return 1.0 if distance >= 0 else 0.0
        return float(stdtr(self.df, distance / self.se))


def of_totals(candidate: ArrayLike, baseline: ArrayLike) -> Ratio:
    """Ratio of the totals of paired amounts per unit (what is paid is a total), linearised on the log scale.

    Raises ValueError unless both totals are positive and there are two units.
    """
    c, b = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if c.size < 2 or c.sum() <= 0 or b.sum() <= 0:
        raise ValueError("a ratio of totals needs two pairs and positive totals on both sides")
    ratio = float(c.sum() / b.sum())
    se = float(np.std(c - ratio * b, ddof=1) / (b.mean() * np.sqrt(c.size))) / ratio
    return Ratio(log(ratio), se, c.size - 1)


def of_means(candidate: ArrayLike, baseline: ArrayLike) -> Ratio:
    """Geometric mean of paired ratios (latency). Raises ValueError unless all are positive and there are two pairs."""
    c, b = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if c.size < 2 or (c <= 0).any() or (b <= 0).any():
        raise ValueError("a mean ratio needs two pairs of positive amounts")
    logs = np.log(c) - np.log(b)
    return Ratio(float(logs.mean()), float(logs.std(ddof=1) / np.sqrt(logs.size)), logs.size - 1)


def quantile_upper(x: ArrayLike, q: float, alpha: float) -> float:
    """Distribution-free upper bound of the q-quantile at confidence 1 - alpha: an order statistic.

    Infinite when there are too few values for any finite bound (fewer than 59 for q = 0.95, alpha = 0.05).
    """
    values = np.sort(np.asarray(x, dtype=np.float64))
    n = values.size
    if n == 0:
        return float("inf")
    # bdtrik inverts the binomial distribution on a continuous scale; step down when the integer below will do.
    k = int(np.ceil(bdtrik(1 - alpha, n, q)))
    if k > 0 and bdtr(k - 1, n, q) >= 1 - alpha:
        k -= 1
    return float(values[k]) if k < n else float("inf")


def quantile_p_above(x: ArrayLike, q: float, limit: float) -> float:
    """Exact binomial p-value that the q-quantile is above `limit`, from the count of values within it."""
    values = np.asarray(x, dtype=np.float64)
    return float(bdtr(int(np.count_nonzero(values <= limit)), values.size, q)) if values.size else 1.0
