"""How two measures go together: Pearson, Spearman and Kendall's tau-b, equal to scipy's, with intervals."""

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Literal

from evaluators.metrics.estimate import RESAMPLES, Estimate, codes_of, normal_quantile, percentile_bounds, unknown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Method = Literal["pearson", "spearman", "kendall"]


def correlation(
    x: Sequence[float | None],
    y: Sequence[float | None],
    method: Method = "pearson",
    *,
    confidence: float = 0.95,
    clusters: Sequence[Hashable | None] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """The correlation of two measures of the same cases; cases where one is None or NaN are left out.

    The interval is Fisher's z, with the variance of Bonett and Wright (2000) for Spearman and of Fieller et al. (1957)
    for Kendall. With `clusters` (cases of one are not independent; None stands alone) it is the percentile bootstrap that
    draws whole clusters, the same for the same `seed`. No value for a measure that does not vary or below two cases.
    Raises ValueError for lists of different lengths.
    """
    import numpy as np

    lengths = {len(x), len(y)} | (set() if clusters is None else {len(clusters)})
    if len(lengths) > 1:
        raise ValueError("the two measures and the clusters must have one entry per case")
    z = normal_quantile(confidence)
    a, b = (np.array([np.nan if v is None else v for v in side], dtype=np.float64) for side in (x, y))
    kept = np.isfinite(a) & np.isfinite(b)
    a, b, n = a[kept], b[kept], int(kept.sum())
    if n < 2:
        return unknown("fewer than two cases have both measures", n)
    measure = _measure(method)
    value = measure(a, b)
    if np.isnan(value):
        return unknown("one of the measures is the same for all cases", n)
    if clusters is None:
        low, high = _fisher(value, n, method, z)
        how = "fisher z"
    else:
        codes = codes_of([label for label, here in zip(clusters, kept, strict=True) if here])
        low, high = _bootstrap(measure, a, b, codes, confidence, seed, resamples)
        how = "bootstrap by clusters"
    return Estimate(
        value=value, low=low, high=high, n=n, confidence=confidence, method=how if low is not None else None
    )


def _measure(method: Method) -> "Callable[[Array, Array], float]":
    if method == "pearson":
        return _pearson
    if method == "spearman":
        return _spearman
    if method == "kendall":
        return _kendall
    raise ValueError(f"no correlation is called {method!r}; there are pearson, spearman and kendall")


def _pearson(a: "Array", b: "Array") -> float:
    import numpy as np

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    da, db = a - a.mean(), b - b.mean()
    # Scaled before they are multiplied: the squares of very small or very large deviations would be lost.
    da, db = da / np.abs(da).max(), db / np.abs(db).max()
    value = float((da / np.linalg.norm(da)) @ (db / np.linalg.norm(db)))
    return max(-1.0, min(1.0, value))


def _spearman(a: "Array", b: "Array") -> float:
    from scipy.stats import rankdata

    return _pearson(rankdata(a), rankdata(b))


def _kendall(a: "Array", b: "Array") -> float:
    import numpy as np
    from scipy.stats import kendalltau

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    # `asymptotic`: the exact p-value, which nobody asked for, is what costs time.
    return float(kendalltau(a, b, method="asymptotic").statistic)


def _fisher(value: float, n: int, method: Method, z: float) -> tuple[float | None, float | None]:
    import numpy as np

    least = 4 if method == "kendall" else 3
    if n <= least:
        return None, None
    if abs(value) == 1:
        return value, value
    variance = {"pearson": 1.0, "spearman": 1 + value * value / 2, "kendall": 0.437}[method] / (n - least)
    middle, spread = np.arctanh(value), z * variance**0.5
    return float(np.tanh(middle - spread)), float(np.tanh(middle + spread))


def _bootstrap(
    measure: "Callable[[Array, Array], float]",
    a: "Array",
    b: "Array",
    codes: "NDArray[np.int64]",
    confidence: float,
    seed: int,
    resamples: int,
) -> tuple[float | None, float | None]:
    import numpy as np

    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    if len(members) < 2:
        return None, None
    random = np.random.default_rng(seed)
    found = np.empty(resamples)
    for i in range(resamples):
        drawn = np.concatenate([members[g] for g in random.integers(0, len(members), len(members))])
        found[i] = measure(a[drawn], b[drawn])
    return percentile_bounds(found, confidence)
