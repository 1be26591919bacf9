"""The case bootstrap of this room: cases are drawn with what was said about them, clusters as a whole."""

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING

from evaluators.metrics.estimate import codes_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_AT_ONCE = 2_000_000  # numbers in memory, per chunk of resamples


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
        share = self.counts / self.n if self._codes is None else np.full(self.units, 1 / self.units)
        at_once = max(1, min(resamples, _AT_ONCE // max(len(self.rows), width)))
        for start in range(0, resamples, at_once):
            drawn = random.multinomial(self.units, share, size=min(at_once, resamples - start)).astype(np.float64)
            yield drawn if self._codes is None else drawn[:, self._codes]
