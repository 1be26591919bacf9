"""How far two or more raters agree, beyond chance and with bounds: kappa, alpha, true rates, positional agreement."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from evaluators.metrics.estimate import RESAMPLES, Estimate, percentile_bounds, unknown, wilson
from evaluators.metrics.resampling import Cases

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Weighting = Literal["none", "linear", "quadratic"]
Level = Literal["nominal", "ordinal", "interval"]

MOST_LABELS = 100


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


class Rates(msgspec.Struct, frozen=True):
    """Of the cases that the reference calls positive, the share that was found (`tpr`); of the others, the share that was
    not called positive (`tnr`)."""

    tpr: Estimate
    tnr: Estimate


def accuracy(reference: Sequence[Any], given: Sequence[Any], sampling: Sampling | None = None) -> Estimate:
    """The share of cases with equal labels, with its Wilson interval; with weights or clusters, bootstrapped."""
    _check_paired(reference, given)
    equal = [a == b for a, b in zip(reference, given, strict=True)]
    return _share(equal, [True] * len(equal), sampling or Sampling())


def rates(reference: Sequence[bool], given: Sequence[bool], sampling: Sampling | None = None) -> Rates:
    """True positive and true negative rate with their intervals, Wilson or (weights, clusters) bootstrap."""
    _check_paired(reference, given)
    sampling = sampling or Sampling()
    right = [bool(a) == bool(b) for a, b in zip(reference, given, strict=True)]
    return Rates(
        _share(right, [bool(a) for a in reference], sampling), _share(right, [not a for a in reference], sampling)
    )


def positional_agreement(original: Sequence[Any], swapped: Sequence[Any], confidence: float = 0.95) -> Estimate:
    """The share of pairs with the same winner in both orders, with its Wilson interval.

    A verdict that is None counts as disagreement: a judge that gave no winner did not keep to one.
    """
    _check_paired(original, swapped)
    same = sum(a is not None and a == b for a, b in zip(original, swapped, strict=True))
    return wilson(same, len(original), confidence)


def corrected_rate(observed: float, tpr: float, tnr: float) -> float | None:
    """The true pass rate behind the one that a judge reports: (p + TNR - 1) / (TPR + TNR - 1), within 0..1
    (Rogan and Gladen 1978). None for a judge that is no better than chance."""
    better = tpr + tnr - 1
    return min(1.0, max(0.0, (observed + tnr - 1) / better)) if better > 0 else None


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

    _check_paired(a, b)
    sampling = sampling or Sampling()
    sampling.check(len(a))
    if not a:
        return unknown("there is no case that both have labelled")
    coded = _Coded({*a, *b}, weighting, scores, labels)
    if coded.size > MOST_LABELS:
        return unknown(f"{coded.size} different labels are more than the {MOST_LABELS} that kappa is for", len(a))
    cases = Cases(np.column_stack([coded.cells(a, b), _weights(sampling, len(a))]), sampling.clusters)
    spread = coded.spread(cases.rows[:, 0], cases.rows[:, 1])
    return _bounded(
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

    _check_paired(reference, before)
    _check_paired(reference, now)
    sampling = sampling or Sampling()
    sampling.check(len(reference))
    if not reference:
        return unknown("there is no case that all have labelled")
    coded = _Coded({*reference, *before, *now}, weighting, scores, None)
    if coded.size > MOST_LABELS:
        return unknown(f"{coded.size} different labels are more than the {MOST_LABELS} that kappa is for")
    columns = [coded.cells(reference, before), coded.cells(reference, now), _weights(sampling, len(reference))]
    cases = Cases(np.column_stack(columns), sampling.clusters)
    old, new = (coded.spread(cases.rows[:, i], cases.rows[:, 2]) for i in (0, 1))
    return _bounded(
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


def krippendorff_alpha(
    ratings: Sequence[Sequence[Any]], *, level: Level = "nominal", sampling: Sampling | None = None
) -> Estimate:
    """Krippendorff's alpha of several raters, [raters][units], None where one gave nothing; at most 1, bootstrapped.

    Units with a single rating say nothing about agreement and are left out. Nominal ratings are labels, ordinal and
    interval ones numbers. No value where all ratings are the same. Raises ValueError for raters of different lengths and
    ratings that are no numbers where they must be. Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability"
    (2011), in moments: the ordinal metric is the interval metric of mid-ranks.
    """
    import numpy as np

    if len({len(row) for row in ratings}) > 1:
        raise ValueError("every rater needs one entry per unit; None where a rating is missing")
    sampling = sampling or Sampling()
    units = len(ratings[0]) if ratings else 0
    sampling.check(units)
    pairable = [u for u in range(units) if sum(row[u] is not None for row in ratings) > 1]
    if not pairable:
        return unknown("no unit was rated twice")
    values = sorted({row[u] for row in ratings for u in pairable if row[u] is not None})
    if level != "nominal" and not all(isinstance(v, int | float) and abs(v) < float("inf") for v in values):
        raise ValueError(f"{level} ratings must be finite numbers")
    if len(values) > MOST_LABELS and level == "nominal":
        return unknown(f"{len(values)} different labels are more than {MOST_LABELS}", len(pairable))
    number = {value: i for i, value in enumerate(values)}
    given = np.zeros((len(pairable), len(values)))
    for place, u in enumerate(pairable):
        for row in ratings:
            if row[u] is not None:
                given[place, number[row[u]]] += 1
    weights = _weights(sampling, units)[pairable]
    clusters = None if sampling.clusters is None else [sampling.clusters[u] for u in pairable]
    cases = Cases(np.column_stack([given, weights]), clusters)
    counts, share = cases.rows[:, :-1], cases.rows[:, -1]
    sizes = counts.sum(axis=1)
    numbers = np.array(values if level == "interval" else range(len(values)), dtype=np.float64)

    def alphas(drawn: "Array") -> "Array":
        weighted = drawn * share
        per_value = weighted @ counts
        total = per_value.sum(axis=1)
        if level == "nominal":
            observed = weighted @ ((sizes**2 - (counts**2).sum(axis=1)) / (sizes - 1))
            expected = total**2 - (per_value**2).sum(axis=1)
        else:
            scale = np.broadcast_to(numbers, per_value.shape)
            if level == "ordinal":
                scale = np.cumsum(per_value, axis=1) - per_value / 2
            # Around their mean, for the differences of large squares would lose their digits.
            scale = scale - (per_value * scale).sum(axis=1, keepdims=True) / total[:, None]
            first, second = scale @ counts.T, scale**2 @ counts.T
            observed = (weighted * (2 * (sizes * second - first**2) / (sizes - 1))).sum(axis=1)
            expected = 2 * total * (per_value * scale**2).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(expected > 0, 1 - (total - 1) * observed / expected, np.nan)

    found = _bounded(alphas, cases, sampling, max(counts.shape), "all ratings are the same")
    return msgspec.structs.replace(found, n=len(pairable))


def _check_paired(a: Sequence[Any], b: Sequence[Any]) -> None:
    if len(a) != len(b):
        raise ValueError(f"{len(a)} labels cannot be paired with {len(b)}")


def _weights(sampling: Sampling, n: int) -> "Array":
    """The weights with mean 1, so that an unweighted sample and one with equal weights are the same."""
    import numpy as np

    if sampling.weights is None:
        return np.ones(n)
    weights = np.array(sampling.weights, dtype=np.float64)
    return np.asarray(weights / weights.mean())


def _share(right: Sequence[bool], within: Sequence[bool], sampling: Sampling) -> Estimate:
    """The share of `right` among the cases `within`."""
    import numpy as np

    sampling.check(len(right))
    n = sum(within)
    if sampling.weights is None and sampling.clusters is None:
        return wilson(sum(r and w for r, w in zip(right, within, strict=True)), n, sampling.confidence)
    if not n:
        return unknown("there is no case to take a share of")
    cases = Cases(np.column_stack([right, within, _weights(sampling, len(right))]).astype(float), sampling.clusters)
    counted = cases.rows[:, 1] * cases.rows[:, 2]

    def shares(drawn: "Array") -> "Array":
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((drawn @ (cases.rows[:, 0] * counted)) / (drawn @ counted))

    return msgspec.structs.replace(_bounded(shares, cases, sampling, 1, "no case has a weight"), n=n)


def _bounded(
    measure: "Callable[[Array], Array]", cases: Cases, sampling: Sampling, width: int, reason: str
) -> Estimate:
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
