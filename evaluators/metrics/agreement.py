"""How far raters agree: accuracy, true rates, positional agreement, and Krippendorff's alpha; kappa is in `kappa`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from evaluators.metrics.estimate import Estimate, unknown, wilson
from evaluators.metrics.resampling import MOST_LABELS, Cases, Sampling, bounded, check_paired, weights_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Level = Literal["nominal", "ordinal", "interval"]


class Rates(msgspec.Struct, frozen=True):
    """Of the cases that the reference calls positive, the share that was found (`tpr`); of the others, the share that was
    not called positive (`tnr`)."""

    tpr: Estimate
    tnr: Estimate


def accuracy(reference: Sequence[Any], given: Sequence[Any], sampling: Sampling | None = None) -> Estimate:
    """The share of cases with equal labels, with its Wilson interval; with weights or clusters, bootstrapped."""
    check_paired(reference, given)
    equal = [a == b for a, b in zip(reference, given, strict=True)]
    return _share(equal, [True] * len(equal), sampling or Sampling())


def rates(reference: Sequence[bool], given: Sequence[bool], sampling: Sampling | None = None) -> Rates:
    """True positive and true negative rate with their intervals, Wilson or (weights, clusters) bootstrap."""
    check_paired(reference, given)
    sampling = sampling or Sampling()
    right = [bool(a) == bool(b) for a, b in zip(reference, given, strict=True)]
    return Rates(
        _share(right, [bool(a) for a in reference], sampling), _share(right, [not a for a in reference], sampling)
    )


def positional_agreement(original: Sequence[Any], swapped: Sequence[Any], confidence: float = 0.95) -> Estimate:
    """The share of pairs with the same winner in both orders, with its Wilson interval.

    A verdict that is None counts as disagreement: a judge that gave no winner did not keep to one.
    """
    check_paired(original, swapped)
    same = sum(a is not None and a == b for a, b in zip(original, swapped, strict=True))
    return wilson(same, len(original), confidence)


def corrected_rate(observed: float, tpr: float, tnr: float) -> float | None:
    """The true pass rate behind the one that a judge reports: (p + TNR - 1) / (TPR + TNR - 1), within 0..1
    (Rogan and Gladen 1978). None for a judge that is no better than chance."""
    better = tpr + tnr - 1
    return min(1.0, max(0.0, (observed + tnr - 1) / better)) if better > 0 else None


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
    weights = weights_of(sampling, units)[pairable]
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

    found = bounded(alphas, cases, sampling, max(counts.shape), "all ratings are the same")
    return msgspec.structs.replace(found, n=len(pairable))


def _share(right: Sequence[bool], within: Sequence[bool], sampling: Sampling) -> Estimate:
    """The share of `right` among the cases `within`."""
    import numpy as np

    sampling.check(len(right))
    n = sum(within)
    if sampling.weights is None and sampling.clusters is None:
        return wilson(sum(r and w for r, w in zip(right, within, strict=True)), n, sampling.confidence)
    if not n:
        return unknown("there is no case to take a share of")
    cases = Cases(np.column_stack([right, within, weights_of(sampling, len(right))]).astype(float), sampling.clusters)
    counted = cases.rows[:, 1] * cases.rows[:, 2]

    def shares(drawn: "Array") -> "Array":
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((drawn @ (cases.rows[:, 0] * counted)) / (drawn @ counted))

    return msgspec.structs.replace(bounded(shares, cases, sampling, 1, "no case has a weight"), n=n)
