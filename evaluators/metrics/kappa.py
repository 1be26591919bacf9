"""Cohen's kappa of two raters, plain and weighted, and how it moved."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from evaluators.metrics.estimate import Estimate, unknown
from evaluators.metrics.resampling import MOST_LABELS, Cases, Sampling, bounded, check_paired, weights_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Weighting = Literal["none", "linear", "quadratic"]


def cohen_kappa(
    a: Sequence[Hashable],
    b: Sequence[Hashable],
    *,
    weighting: Weighting = "none",
    scores: Mapping[Any, float] | None = None,
    labels: Sequence[Hashable] | None = None,
    sampling: Sampling | None = None,
) -> Estimate:
    """Cohen's kappa of two raters (Cohen 1960, 1968), -1..1, with bootstrap bounds; equal to scikit-learn's.

    Weighted kappa counts a disagreement by the distance of the labels' `scores`, linear or squared; without scores by the
    distance of their places in `labels`, which default to sorted order. No value where both raters only ever gave the
    same one label. Raises ValueError for lists of different lengths, and for a label without score or place.
    """
    import numpy as np

    check_paired(a, b)
    sampling = sampling or Sampling()
    sampling.check(len(a))
    if not a:
        return unknown("there is no case that both have labelled")
    coded = _Coded({*a, *b}, weighting, scores, labels)
    if coded.size > MOST_LABELS:
        return unknown(f"{coded.size} different labels are more than the {MOST_LABELS} that kappa is for", len(a))
    cases = Cases(np.column_stack([coded.cells(a, b), weights_of(sampling, len(a))]), sampling.clusters)
    spread = coded.spread(cases.rows[:, 0], cases.rows[:, 1])
    return bounded(
        lambda drawn: coded.kappas(drawn @ spread), cases, sampling, coded.size**2, "both only ever gave the same label"
    )


def kappa_difference(
    reference: Sequence[Hashable],
    before: Sequence[Hashable],
    now: Sequence[Hashable],
    *,
    weighting: Weighting = "none",
    scores: Mapping[Any, float] | None = None,
    sampling: Sampling | None = None,
) -> Estimate:
    """Cohen's kappa of `now` with the reference minus that of `before`, on the same cases, with paired bootstrap bounds.

    Arguments and errors are those of `cohen_kappa`.
    """
    import numpy as np

    check_paired(reference, before)
    check_paired(reference, now)
    sampling = sampling or Sampling()
    sampling.check(len(reference))
    if not reference:
        return unknown("there is no case that all have labelled")
    coded = _Coded({*reference, *before, *now}, weighting, scores, None)
    if coded.size > MOST_LABELS:
        return unknown(f"{coded.size} different labels are more than the {MOST_LABELS} that kappa is for")
    columns = [coded.cells(reference, before), coded.cells(reference, now), weights_of(sampling, len(reference))]
    cases = Cases(np.column_stack(columns), sampling.clusters)
    old, new = (coded.spread(cases.rows[:, i], cases.rows[:, 2]) for i in (0, 1))
    return bounded(
        lambda drawn: coded.kappas(drawn @ new) - coded.kappas(drawn @ old),
        cases,
        sampling,
        coded.size**2,
        "one of them only ever agreed on the same label",
    )


class _Coded:
    """Labels as numbers, and how far apart two of them are."""

    def __init__(
        self,
        occurring: set[Any],
        weighting: Weighting,
        scores: Mapping[Any, float] | None,
        labels: Sequence[Hashable] | None,
    ) -> None:
        import numpy as np

        order: list[Any] = list(labels) if labels is not None else sorted(occurring)
        if missing := sorted(map(str, occurring - set(order))):
            raise ValueError(f"{', '.join(missing)} is none of the labels {', '.join(map(str, order))}")
        if scores is not None and (without := [str(label) for label in order if label not in scores]):
            raise ValueError(f"no score was given for {', '.join(without)}")
        self.size = len(order)
        self._number = {label: i for i, label in enumerate(order)}
        places = np.array([i if scores is None else scores[label] for i, label in enumerate(order)], dtype=np.float64)
        distance = np.abs(places[:, None] - places[None, :])
        if weighting == "none":
            distance = 1 - np.eye(self.size)
        elif weighting == "quadratic":
            distance = distance**2
        self._distance = distance

    def cells(self, a: Sequence[Hashable], b: Sequence[Hashable]) -> "NDArray[np.int64]":
        """For each case its place in the table of both labels, read row by row."""
        import numpy as np

        number = self._number
        return np.array([number[x] * self.size + number[y] for x, y in zip(a, b, strict=True)], dtype=np.int64)

    def spread(self, cells: "Array", weights: "Array") -> "Array":
        """What each row adds to the table, [rows, size * size]."""
        import numpy as np

        spread = np.zeros((len(cells), self.size**2))
        spread[np.arange(len(cells)), cells.astype(int)] = weights
        return spread

    def kappas(self, tables: "Array") -> "Array":
        """Kappa of each table; NaN where both have one label only."""
        import numpy as np

        tables = tables.reshape(-1, self.size, self.size)
        total, rows, columns = tables.sum(axis=(1, 2)), tables.sum(axis=2), tables.sum(axis=1)
        observed = (tables * self._distance).sum(axis=(1, 2)) * total
        expected = np.einsum("ri,ij,rj->r", rows, self._distance, columns)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(1 - observed / expected)
