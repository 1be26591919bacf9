"""Paired comparisons: is the candidate worse than the baseline on the same cases?"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr

from app.stats.estimates import Floats, mean_se, units

FLIPS = 9_999
EXACT_UP_TO = 14
# Below this level 9,999 flips tell too little (early looks, very many rules); `p_worse_t` is asked instead.
FINEST_FLIP_LEVEL = 0.001
_BLOCK = 8
_SIGNS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float64) * 2 - 1


def p_worse(d: ArrayLike, groups: ArrayLike | None = None, seed: int = 0, flips: int = FLIPS) -> float:
    """Sign-flip p-value that the mean difference is below zero; exact for a change that does nothing.

    The signs of the cluster sums of `d` (candidate minus baseline, per case) are flipped; p is the share of flips
    with a sum at or below the observed one. Zero sums drop out. Up to 14 remaining clusters are enumerated, more are
    flipped `flips` times with the stream of `seed` (the observed signs counted as one flip, so p is never 0).
    """
    sums = units(d, groups).sums
    observed = sums[sums != 0]
    if observed.size == 0:
        return 1.0
    sizes = np.sort(np.abs(observed))
    # Sums of the same terms in another order differ in the last bits; they are ties, not orderings.
    threshold = float(observed.sum() + 1e-12 * sizes.sum())
    if sizes.size <= EXACT_UP_TO:
        return float((_all_flips(sizes) <= threshold).mean())
    return float((1 + np.count_nonzero(_random_flips(sizes, seed, flips) <= threshold)) / (flips + 1))


def p_worse_t(d: ArrayLike, groups: ArrayLike | None = None) -> float:
    """Student t p-value that the mean difference is below zero, for levels too small for random flips to resolve.

    Never below 2^-k for k clusters that differ, the smallest p-value that the exact sign-flip test could give: without
    that bound a handful of equal differences, which have no variance, would count as certainty.
    """
    sample = units(d, groups)
    different = int(np.count_nonzero(sample.sums))
    return max(float(mean_se(sample).below(0.0)), 2.0**-different)


def _all_flips(sizes: Floats) -> Floats:
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate((sums - size, sums + size))
    return sums


def _random_flips(sizes: Floats, seed: int, flips: int) -> Floats:
    """Sums under random signs, eight units at a time: one random byte looks up one of their 256 signed sums."""
    blocks = -(-sizes.size // _BLOCK)
    padded = np.zeros(blocks * _BLOCK)
    padded[: sizes.size] = sizes
    tables = padded.reshape(blocks, _BLOCK) @ _SIGNS.T
    # Raw 64-bit words, because numpy promises the same stream in every version only for these.
    words = np.random.PCG64(seed).random_raw(-(-blocks * flips // 8))
    picks = words.astype("<u8", copy=False).view(np.uint8)[: blocks * flips].reshape(blocks, flips)
    total = np.zeros(flips)
    for table, pick in zip(tables, picks, strict=True):
        total += table[pick]
    return total


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided McNemar p-value from the two counts of discordant pairs (McNemar 1947, exact binomial)."""
    total = only_first + only_second
    if total == 0:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(only_first, only_second), total, 0.5)))


def holm(p: ArrayLike) -> Floats:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979)."""
    raw = np.asarray(p, dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    adjusted = np.empty(raw.size)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(raw[order] * (raw.size - np.arange(raw.size))))
    return adjusted
