"""What a measure of many cases is: a number between bounds, or no number and the reason; and how bounds are drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 2000


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """`value` between `low` and `high` (two-sided, at `confidence`), made of `n` cases.

    A `value` of None has a `reason`. Bounds are None where nothing bounds it; `method` says what bounds it otherwise.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    confidence: float = 0.95
    method: str | None = None
    reason: str | None = None


def unknown(reason: str, n: int = 0) -> Estimate:
    return Estimate(value=None, n=n, reason=reason)


def normal_quantile(confidence: float) -> float:
    """The z of a two-sided interval. Raises ValueError for a confidence that is not between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not at {confidence}")
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    """A share of `n` with its Wilson score interval (Wilson 1927). Raises ValueError for more successes than cases."""
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} is no share")
    z = normal_quantile(confidence)
    if n == 0:
        return unknown("there is no case to take a share of")
    share = successes / n
    centre = share + z * z / (2 * n)
    spread = z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    scale = 1 + z * z / n
    return Estimate(
        value=share,
        low=max(0.0, (centre - spread) / scale),
        high=min(1.0, (centre + spread) / scale),
        n=n,
        confidence=confidence,
        method="wilson",
    )


def codes_of(labels: Sequence[Any]) -> "NDArray[np.int64]":
    """Equal numbers for equal labels, in the order in which they first appear; None is a label of its own each time."""
    import numpy as np

    known: dict[Any, int] = {}
    keys = [("alone", i) if label is None else ("label", label) for i, label in enumerate(labels)]
    return np.array([known.setdefault(key, len(known)) for key in keys], dtype=np.int64)


def percentile_bounds(values: "NDArray[np.float64]", confidence: float) -> tuple[float | None, float | None]:
    """The middle `confidence` of bootstrap values; None where most resamples have no value."""
    import numpy as np

    finite = values[np.isfinite(values)]
    if finite.size < max(2, values.size // 2):
        return None, None
    low, high = np.quantile(finite, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
