"""The case bootstrap of this room: cases are drawn with what was said about them, clusters as a whole."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from evaluators.metrics.estimate import RESAMPLES, Estimate, codes_of, percentile_bounds, unknown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MOST_LABELS = 100
"""More different labels than these are numbers, and not labels."""
_AT_ONCE = 2_000_000  # numbers in memory, per chunk of resamples


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How cases were drawn and how their bounds are: `weights` are inverse inclusion probabilities (None: all alike),
    `clusters` name cases that are not independent (None stands alone); bounds are the percentile bootstrap."""

    weights: Sequence[float] | None = None
    clusters: Sequence[Hashable | None] | None = None
    confidence: float = 0.95
    seed: int = 0
    resamples: int = RESAMPLES

    def check(self, n: int) -> None:
        """Raises ValueError for lists of another length than `n`, and for weights that are not above 0."""
        for name, given in (("weights", self.weights), ("clusters", self.clusters)):
            if given is not None and len(given) != n:
                raise ValueError(f"{len(given)} {name} were given for {n} cases")
        if self.weights is not None and not all(0 < weight < float("inf") for weight in self.weights):
            raise ValueError("weights must be above 0 and finite")


class Cases:
    """Cases as rows [n, features]. Equal rows are drawn together, which changes no result and saves most of the work.

    `rows` are the distinct ones (all of them with clusters), `counts` how often each was seen.
    """

    def __init__(self, rows: "Array", clusters: Sequence[Hashable | None] | None = None) -> None:
        import numpy as np

        self.n = len(rows)
        if clusters is None:
            self.rows, counts = np.unique(rows, axis=0, return_counts=True)
            self.counts: Array = counts.astype(np.float64)
            self._codes = None
            self.units = self.n
        else:
            self.rows, self.counts = rows, np.ones(len(rows))
            self._codes = codes_of(clusters)
            self.units = int(self._codes.max()) + 1 if self.n else 0

    def draws(self, resamples: int, seed: int, width: int = 1) -> "Iterator[Array]":
        """How often each row is drawn, [some, rows], until there were `resamples`. `width`: numbers needed per draw."""
        import numpy as np

        random = np.random.default_rng(seed)
        at_once = max(1, min(resamples, _AT_ONCE // max(len(self.rows), width)))
        for start in range(0, resamples, at_once):
            size = min(at_once, resamples - start)
            if self._codes is None:
                yield random.multinomial(self.units, self.counts / self.n, size=size).astype(np.float64)
                continue
            drawn = random.integers(0, self.units, (size, self.units))
            drawn += np.arange(size)[:, None] * self.units
            counts = np.bincount(drawn.ravel(), minlength=size * self.units).reshape(size, self.units)
            yield counts[:, self._codes].astype(np.float64)


def check_paired(a: Sequence[Any], b: Sequence[Any]) -> None:
    if len(a) != len(b):
        raise ValueError(f"{len(a)} labels cannot be paired with {len(b)}")


def weights_of(sampling: Sampling, n: int) -> "Array":
    """The weights with mean 1, so that an unweighted sample and one with equal weights are the same."""
    import numpy as np

    if sampling.weights is None:
        return np.ones(n)
    weights = np.array(sampling.weights, dtype=np.float64)
    return np.asarray(weights / weights.mean())


def bounded(measure: "Callable[[Array], Array]", cases: Cases, sampling: Sampling, width: int, reason: str) -> Estimate:
    """The measure of the cases as they are, between the bounds of its resamples."""
    import numpy as np

    value = float(measure(cases.counts[None, :])[0])
    if not np.isfinite(value):
        return unknown(reason, cases.n)
    low = high = None
    if cases.units > 1 and sampling.resamples:
        found = [measure(drawn) for drawn in cases.draws(sampling.resamples, sampling.seed, width)]
        low, high = percentile_bounds(np.concatenate(found), sampling.confidence)
    return Estimate(
        value=value,
        low=low,
        high=high,
        n=cases.n,
        confidence=sampling.confidence,
        method=None if low is None else "bootstrap",
    )
