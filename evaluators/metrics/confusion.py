"""Which label was given for which: the confusion matrix and what is read off it. Equal to scikit-learn's, with its
`zero_division=0`: a share of nothing is 0."""

from collections.abc import Sequence
from typing import Literal

import msgspec

Average = Literal["macro", "micro", "weighted"]


class LabelScores(msgspec.Struct, frozen=True):
    """Precision, recall and F-beta; `support` is how many cases have the label."""

    precision: float
    recall: float
    f: float
    support: int


class Confusion(msgspec.Struct, frozen=True):
    """`counts[i][j]` cases have label `labels[i]` and were given `labels[j]`."""

    labels: list[str]
    counts: list[list[int]]

    @property
    def n(self) -> int:
        return sum(map(sum, self.counts))

    @property
    def accuracy(self) -> float:
        return _share(sum(self.counts[i][i] for i in range(len(self.labels))), self.n)

    @property
    def mcc(self) -> float:
        """Matthews' correlation in Gorodkin's form for several labels, -1..1; 0 where one side has one label only."""
        true = [sum(row) for row in self.counts]
        given = [sum(row[j] for row in self.counts) for j in range(len(self.labels))]
        n, right = self.n, sum(self.counts[i][i] for i in range(len(self.labels)))
        both = sum(t * g for t, g in zip(true, given, strict=True))
        spread = (n * n - sum(g * g for g in given)) * (n * n - sum(t * t for t in true))
        return (right * n - both) / spread**0.5 if spread else 0.0

    def of(self, label: str, beta: float = 1.0) -> LabelScores:
        """The scores of one label. Raises ValueError for one that does not occur."""
        return self.per_label(beta)[label] if label in self.labels else _no_such(label, self.labels)

    def per_label(self, beta: float = 1.0) -> dict[str, LabelScores]:
        """Every label's scores. Raises ValueError for a `beta` that is not above 0."""
        _check(beta)
        found = {}
        for i, label in enumerate(self.labels):
            right, support = self.counts[i][i], sum(self.counts[i])
            found[label] = _scores(right, sum(row[i] for row in self.counts), support, beta, support)
        return found

    def averaged(self, average: Average = "macro", beta: float = 1.0) -> LabelScores:
        """Over all labels: each counts alike (`macro`), by its cases (`weighted`), or all cases are one (`micro`)."""
        each = list(self.per_label(beta).values())
        n = self.n
        if average == "micro":
            return _scores(sum(self.counts[i][i] for i in range(len(self.labels))), n, n, beta, n)
        weights = [label.support if average == "weighted" else 1 for label in each]
        total = sum(weights)
        if not total:
            return LabelScores(0.0, 0.0, 0.0, 0)
        means = [
            sum(weight * getattr(label, name) for weight, label in zip(weights, each, strict=True)) / total
            for name in ("precision", "recall", "f")
        ]
        return LabelScores(means[0], means[1], means[2], n)


def confusion(expected: Sequence[str], given: Sequence[str], labels: Sequence[str] | None = None) -> Confusion:
    """The matrix of two lists of labels, paired by place. `labels` sets their order and may name more than occur.

    Raises ValueError for lists of different lengths, and for a label that `labels` lacks.
    """
    if len(expected) != len(given):
        raise ValueError(f"{len(expected)} expected labels cannot be paired with {len(given)} given ones")
    order = sorted({*expected, *given}) if labels is None else list(dict.fromkeys(labels))
    place = {label: i for i, label in enumerate(order)}
    counts = [[0] * len(order) for _ in order]
    for true, said in zip(expected, given, strict=True):
        if true not in place or said not in place:
            _no_such(true if true not in place else said, order)
        counts[place[true]][place[said]] += 1
    return Confusion(order, counts)


def _scores(right: int, given: int, true: int, beta: float, support: int) -> LabelScores:
    squared = beta * beta
    return LabelScores(
        _share(right, given), _share(right, true), _share((1 + squared) * right, given + squared * true), support
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _check(beta: float) -> None:
    if not 0 < beta < float("inf"):
        raise ValueError(f"beta must be above 0 and finite, not {beta}")


def _no_such(label: str, labels: Sequence[str]) -> LabelScores:
    raise ValueError(f"{label!r} is none of the labels {', '.join(labels)}")
