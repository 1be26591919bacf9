"""Slow, literal versions of the formulas, written from the definitions, for the product's fast ones to agree with."""

from itertools import product

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def mean_se(sums: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    total, count = sizes.sum(), len(sums)
    mean = sums.sum() / total
    return mean, np.sqrt(count / (count - 1) * ((sums - mean * sizes) ** 2).sum()) / total


def clusters(x: ArrayLike, groups: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(x, float)
    if groups is None:
        return x, np.ones(len(x))
    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    return np.bincount(codes, x), np.bincount(codes).astype(float)


def plus_one(x: ArrayLike, imaginary: float, groups: ArrayLike | None = None) -> tuple[float, float, int]:
    sums, sizes = clusters(x, groups)
    mean, se = mean_se(np.r_[sums, imaginary * sizes.mean()], np.r_[sizes, sizes.mean()])
    return mean, se, len(sums) - 1


def lower(x: ArrayLike, worst: float, alpha: float, groups: ArrayLike | None = None) -> float:
    mean, se, df = plus_one(x, worst, groups)
    return float(mean - stats.t.ppf(1 - alpha, df) * se)


def upper(x: ArrayLike, best: float, alpha: float, groups: ArrayLike | None = None) -> float:
    mean, se, df = plus_one(x, best, groups)
    return float(mean + stats.t.ppf(1 - alpha, df) * se)


def p_worse_exact(d: ArrayLike, groups: ArrayLike | None = None) -> float:
    sums, _ = clusters(d, groups)
    sums = sums[sums != 0]
    signs = np.array(list(product((-1, 1), repeat=len(sums))))
    return float((signs @ sums <= sums.sum() + 1e-12).mean())


def p_below(x: ArrayLike, best: float, target: float, groups: ArrayLike | None = None) -> float:
    mean, se, df = plus_one(x, best, groups)
    return float(stats.t.cdf((mean - target) / se, df))


def holm(p: ArrayLike) -> np.ndarray:
    p = np.asarray(p, float)
    order, size = np.argsort(p), len(p)
    adjusted = np.empty(size)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * (size - np.arange(size))))
    return adjusted


def ratio(c: ArrayLike, b: ArrayLike, alpha: float) -> tuple[float, float, float]:
    c, b = np.asarray(c, float), np.asarray(b, float)
    n = len(c)
    value = c.sum() / b.sum()
    se = np.std(c - value * b, ddof=1) / (b.mean() * np.sqrt(n)) / value
    q = stats.t.ppf(1 - alpha, n - 1)
    return value, value * np.exp(-q * se), value * np.exp(q * se)


def quantile_upper(x: ArrayLike, q: float, alpha: float) -> float:
    x = np.sort(np.asarray(x, float))
    k = int(stats.binom.ppf(1 - alpha, len(x), q)) + 1
    return float(x[k - 1]) if k <= len(x) else float("inf")


def n_needed(sd: float, margin: float, alpha: float = 0.05, power: float = 0.8, worst: float = 1.0) -> int | None:
    n = 5
    while n <= 10**6:
        se = np.sqrt((sd**2 + worst**2 / (n + 1)) / (n + 1))
        need = stats.t.ppf(1 - alpha, n - 1) * se + stats.norm.ppf(power) * sd / np.sqrt(n)
        if margin - worst / (n + 1) >= need:
            return n
        n = n + 1 if n < 400 else int(n * 1.01) + 1
    return None
