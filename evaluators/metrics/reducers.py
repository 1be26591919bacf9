"""From the repeats of a case to one number. A case that lacks a repeat is unknown, unless `partial` is asked for."""

from collections.abc import Sequence
from math import comb
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Reducer = Literal["mean", "median", "mode", "max", "min", "majority", "at_least_k", "pass_at_k", "pass_hat_k"]

REDUCERS: tuple[Reducer, ...] = get_args(Reducer)
COUNTING: frozenset[Reducer] = frozenset({"majority", "at_least_k", "pass_at_k", "pass_hat_k"})
"""They count repeats that passed: whatever the scale was, their values lie in [0, 1] and higher is better."""
WITH_K: frozenset[Reducer] = frozenset({"at_least_k", "pass_at_k", "pass_hat_k"})


def pass_at_k(n: int, passed: int, k: int) -> float:
    """The chance that at least one of `k` tries passes: 1 - C(n - c, k) / C(n, k), unbiased (arXiv 2107.03374)."""
    _check_counts(n, passed, k)
    return 1 - comb(n - passed, k) / comb(n, k)


def pass_hat_k(n: int, passed: int, k: int) -> float:
    """The chance that all of `k` tries pass: C(c, k) / C(n, k), unbiased (arXiv 2406.12045)."""
    _check_counts(n, passed, k)
    return comb(passed, k) / comb(n, k)


def reduce(
    values: Sequence[float | None], how: Reducer = "mean", k: int = 1, *, partial: bool = False, worse: str = "low"
) -> float | None:
    """`reduce_cases` for one case; None where it is unknown. The values of a counting reducer are 1 (passed) or 0."""
    import numpy as np

    given = np.array([[np.nan if value is None else value for value in values]], dtype=np.float64)
    found = float(reduce_cases(given, given, how, k, partial=partial, worse=worse)[0])
    return None if np.isnan(found) else found


def reduce_cases(
    values: "Array",
    passed: "Array",
    how: Reducer = "mean",
    k: int = 1,
    *,
    partial: bool = False,
    worse: str = "low",
) -> "Array":
    """One number per case of `values` and `passed` (1 or 0), both [cases, repeats] with NaN where there is none.

    NaN for a case without any repeat, or, unless `partial`, without one of them. Counting reducers read `passed`, all
    others `values`. The mode of several equally frequent values is the worse of them, which `worse` (low or high) names;
    a majority is more than half. Raises ValueError for a `k` that is not between 1 and the number of repeats, and for an
    unknown reducer.
    """
    import numpy as np

    if how not in REDUCERS:
        raise ValueError(f"no reducer is called {how!r}; there are {', '.join(REDUCERS)}")
    repeats = values.shape[1]
    if how in WITH_K and not 1 <= k <= repeats:
        raise ValueError(f"{how} with k {k} needs at least k repeats; there are {repeats}")
    read = passed if how in COUNTING else values
    present = np.isfinite(read)
    counts = present.sum(axis=1)
    known = counts > 0 if partial else counts == repeats
    if how in WITH_K:
        known &= counts >= k
    found = np.full(read.shape[0], np.nan)
    if not known.any():
        return found
    rows, there = read[known], present[known]
    if how in COUNTING:
        found[known] = _counted(np.where(there, rows, 0).sum(axis=1).astype(int), counts[known], how, k)
    elif how == "mean":
        found[known] = np.where(there, rows, 0).sum(axis=1) / counts[known]
    elif how == "mode":
        found[known] = [_mode(row[here], worse) for row, here in zip(rows, there, strict=True)]
    else:
        found[known] = getattr(np, f"nan{how}")(rows, axis=1)
    return found


def _counted(passed: "NDArray[np.int64]", counts: "NDArray[np.int64]", how: Reducer, k: int) -> "Array":
    import numpy as np

    if how == "majority":
        return (2 * passed > counts).astype(np.float64)
    if how == "at_least_k":
        return (passed >= k).astype(np.float64)
    measure = pass_at_k if how == "pass_at_k" else pass_hat_k
    return np.array([measure(int(n), int(c), k) for c, n in zip(passed, counts, strict=True)], dtype=np.float64)


def _mode(row: "Array", worse: str) -> float:
    import numpy as np

    distinct, counts = np.unique(row, return_counts=True)
    most = distinct[counts == counts.max()]
    return float(most[0] if worse == "low" else most[-1])


def _check_counts(n: int, passed: int, k: int) -> None:
    if not 0 <= passed <= n:
        raise ValueError(f"{passed} of {n} tries cannot have passed")
    if not 1 <= k <= n:
        raise ValueError(f"k lies between 1 and the {n} tries, not at {k}")
