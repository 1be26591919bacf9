"""How two measures go together: Pearson, Spearman and Kendall's tau-b, equal to scipy's, with intervals."""

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Literal

from evaluators.metrics.estimate import RESAMPLES, Estimate, normal_quantile, percentile_bounds, unknown
from evaluators.metrics.resampling import Cases

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Method = Literal["pearson", "spearman", "kendall"]

MOST_DISTINCT = 2000


def correlation(
    x: Sequence[float | None],
    y: Sequence[float | None],
    method: Method = "pearson",
    *,
    confidence: float = 0.95,
    weights: Sequence[float] | None = None,
    clusters: Sequence[Hashable | None] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """The correlation of two measures of the same cases; cases where one is None or NaN are left out.

    The interval is Fisher's z, with the variance of Bonett and Wright (2000) for Spearman and of Fieller et al. (1957)
    for Kendall. With `clusters` (cases of one are not independent; None stands alone) or `weights` (how many cases each
    stands for) it is the percentile bootstrap that draws whole clusters, the same for the same `seed`; Kendall's tau of
    more than 2,000 different pairs then has no bounds. No value for a measure that does not vary or below two cases.
    Raises ValueError for lists of different lengths.
    """
    import numpy as np

    if len({len(side) for side in (x, y, weights, clusters) if side is not None}) > 1:
        raise ValueError("the two measures, the weights and the clusters must have one entry per case")
    if weights is not None and not all(0 < weight < float("inf") for weight in weights):
        raise ValueError("weights must be above 0 and finite")
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
    if clusters is None and weights is None:
        low, high = _fisher(value, n, method, z)
        return _estimate(value, low, high, n, confidence, "fisher z")
    given = np.ones(len(kept)) if weights is None else np.array(weights, dtype=np.float64)
    alike = None if clusters is None else [label for label, here in zip(clusters, kept, strict=True) if here]
    cases = Cases(np.column_stack([a, b, given[kept]]), alike)
    if method == "kendall" and len(np.unique(cases.rows[:, :2], axis=0)) > MOST_DISTINCT:
        return _estimate(value, None, None, n, confidence, None)
    table = _Table(cases.rows, method)
    value = float(table.correlations(cases.counts[None, :])[0])
    found = [table.correlations(drawn) for drawn in cases.draws(resamples, seed, 4 * len(cases.rows))]
    low, high = percentile_bounds(np.concatenate(found), confidence) if cases.units > 1 else (None, None)
    return _estimate(value, low, high, n, confidence, "bootstrap")


def _estimate(
    value: float, low: float | None, high: float | None, n: int, confidence: float, method: str | None
) -> Estimate:
    how = None if low is None else method
    return Estimate(value=value, low=low, high=high, n=n, confidence=confidence, method=how)


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
    return float(kendalltau(a, b).statistic)


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


class _Table:
    """Cases by their two measures, for correlations of many weighted samples at once; weights are [samples, cases]."""

    def __init__(self, rows: "Array", method: Method) -> None:
        import numpy as np

        self._method = method
        distinct, place = np.unique(rows[:, :2], axis=0, return_inverse=True)
        # Alike cases are one: what is drawn of them is added up before anything is computed of pairs.
        self._gather = np.zeros((len(rows), len(distinct)))
        self._gather[np.arange(len(rows)), place.ravel()] = rows[:, 2]
        self._x, self._y = distinct[:, 0], distinct[:, 1]
        self._concordance: Array | None = None
        if method == "kendall":
            signs = [np.sign(side[:, None] - side[None, :]) for side in (self._x, self._y)]
            self._concordance = signs[0] * signs[1]

    def correlations(self, drawn: "Array") -> "Array":
        import numpy as np

        weights = drawn @ self._gather
        with np.errstate(invalid="ignore", divide="ignore"):
            if self._concordance is not None:
                pairs = ((weights @ self._concordance) * weights).sum(axis=1)
                return np.asarray(pairs / np.sqrt(_untied(self._x, weights) * _untied(self._y, weights)))
            x, y = self._x[None, :], self._y[None, :]
            if self._method == "spearman":
                x, y = _midranks(self._x, weights), _midranks(self._y, weights)
            total = weights.sum(axis=1, keepdims=True)
            dx = x - (weights * x).sum(axis=1, keepdims=True) / total
            dy = y - (weights * y).sum(axis=1, keepdims=True) / total
            spread = np.sqrt((weights * dx**2).sum(axis=1)) * np.sqrt((weights * dy**2).sum(axis=1))
            return np.asarray((weights * dx * dy).sum(axis=1) / spread)


def _of_values(values: "Array", weights: "Array") -> "tuple[Array, NDArray[np.int64]]":
    """The weight of each distinct value, [samples, values], and which of them each case has."""
    import numpy as np

    distinct, place = np.unique(values, return_inverse=True)
    marks = np.zeros((len(values), len(distinct)))
    marks[np.arange(len(values)), place] = 1
    return weights @ marks, place


def _midranks(values: "Array", weights: "Array") -> "Array":
    import numpy as np

    counts, place = _of_values(values, weights)
    ranks: Array = (np.cumsum(counts, axis=1) - counts / 2)[:, place]
    return ranks


def _untied(values: "Array", weights: "Array") -> "Array":
    """How many ordered pairs have different values."""
    counts, _ = _of_values(values, weights)
    pairs: Array = counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1)
    return pairs
