"""From cells to one value per case: repeats averaged first, then endpoints; lost cases counted, never guessed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.gates.evidence import Array, Case, Evidence, Flags, Metric, Scores, Side
from app.stats.estimates import mean_se, units
from app.stats.paired import mcnemar
from app.stats.planning import Runs

Codes = NDArray[np.int64]

# Differences are kept on a grid this fine (in widths of the scale): what rounding did to two equal scores is then no
# difference, and adding the same amount to both sides changes nothing.
_GRID = 2.0**-40
_UNEVEN_LOSS = 0.01

# The candidate's own failures, read like any other metric.
ERRORS = Metric("errors", direction="minimize")


class UnusableError(Exception):
    """Evidence that a rule cannot be judged on, whatever the numbers say; the message is the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """One side of one metric. `mean` [cases, endpoints] is oriented (higher is better), NaN where no repeat is left;
    `variance` is that of single runs, NaN below two; `runs` counts the repeats that are left."""

    mean: Array
    variance: Array
    runs: Array
    skipped: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The values that a rule is judged on, one per case that has them, and what is known about the others.

    `filled` holds the same with every lost case at its worst (None when nothing was lost); `groups` and
    `filled_groups` are cluster codes, None when every case is its own cluster.
    """

    values: Array
    groups: Codes | None
    filled: Array | None
    filled_groups: Codes | None
    eligible: int
    lost: int
    skipped: int
    lost_candidate: int
    lost_baseline: int
    uneven: float
    repeats: int
    runs: Runs | None

    @property
    def n(self) -> int:
        return int(self.values.size)

    @property
    def clusters(self) -> int:
        return self.n if self.groups is None else int(np.unique(self.groups).size)


@dataclass(slots=True, eq=False)
class Samples:
    """Makes the samples of one body of evidence; a side's averages are computed once for all rules and slices."""

    evidence: Evidence
    cluster_field: str | None
    _cells: dict[tuple[str, str, tuple[str, ...]], Cells] = field(default_factory=dict)
    _codes: list[Codes | None] = field(default_factory=list)

    def difference(self, metric: Metric, endpoints: tuple[str, ...], within: Flags) -> Sample:
        """Candidate minus baseline per case, oriented so that below zero is worse."""
        if (baseline := self.evidence.baseline) is None:
            raise UnusableError("nothing is live to compare with")
        c = self._side("candidate", self.evidence.candidate, metric, endpoints)
        b = self._side("baseline", baseline, metric, endpoints)
        worst, best = _ends(metric)
        quantum = _GRID * (best - worst if np.isfinite(best - worst) else _largest(c.mean, b.mean))
        skipped = c.skipped & b.skipped
        d = _snap((c.mean - b.mean).mean(axis=1), quantum)
        filled = _fill(c.mean, worst) - _fill(b.mean, best)
        runs = _runs(c, b, within & np.isfinite(d))
        lost_c, lost_b = _lost(c), _lost(b)
        return self._sample(
            d, _snap(filled.mean(axis=1), quantum), within, skipped, lost_c, lost_b, runs, c.runs, b.runs
        )

    def level(self, metric: Metric, endpoints: tuple[str, ...], within: Flags) -> Sample:
        """The candidate's own score per case, oriented so that higher is better."""
        c = self._side("candidate", self.evidence.candidate, metric, endpoints)
        worst, _ = _ends(metric)
        values = c.mean.mean(axis=1)
        lost, none = ~np.isfinite(values), np.zeros(values.size, dtype=bool)
        runs = _runs(c, None, within & ~lost)
        return self._sample(values, _fill(c.mean, worst).mean(axis=1), within, c.skipped, lost, none, runs, c.runs)

    def amounts(self, name: str, arrays: Mapping[str, Array], endpoints: tuple[str, ...]) -> Array:
        """Mean amount per [case, endpoint]. Raises UnusableError when an endpoint has none recorded."""
        if absent := [endpoint for endpoint in endpoints if endpoint not in arrays]:
            raise UnusableError(f"{name} at {', '.join(absent)} were not recorded")
        return _average([Scores(arrays[endpoint]) for endpoint in endpoints], len(self.evidence.cases)).mean

    def _side(self, name: str, side: Side, metric: Metric, endpoints: tuple[str, ...]) -> Cells:
        key = (name, metric.name, endpoints)
        if key not in self._cells:
            found = {endpoint: _scores(side, metric, endpoint) for endpoint in endpoints}
            if absent := [endpoint for endpoint, scores in found.items() if scores is None]:
                raise UnusableError(f"the {name} has no {metric.name} at {', '.join(absent)}")
            scores = [each for each in found.values() if each is not None]
            _check_scale(metric, name, scores)
            cells = _average(scores, len(self.evidence.cases))
            if metric.direction == "minimize":
                cells = Cells(-cells.mean, cells.variance, cells.runs, cells.skipped)
            self._cells[key] = cells
        return self._cells[key]

    def _sample(
        self,
        values: Array,
        filled: Array,
        within: Flags,
        skipped: Flags,
        lost_c: Flags,
        lost_b: Flags,
        runs: Runs | None,
        *counts: Array,
    ) -> Sample:
        eligible = within & ~skipped
        kept = eligible & np.isfinite(values)
        lost, lost_c, lost_b = eligible & ~kept, eligible & lost_c, eligible & lost_b
        codes = self._clusters()
        fillable = bool(lost.any()) and bool(np.isfinite(filled[eligible]).all())
        return Sample(
            values=values[kept],
            groups=None if codes is None else codes[kept],
            filled=filled[eligible] if fillable else None,
            filled_groups=codes[eligible] if fillable and codes is not None else None,
            eligible=int(eligible.sum()),
            lost=int(lost.sum()),
            skipped=int((within & skipped).sum()),
            lost_candidate=int(lost_c.sum()),
            lost_baseline=int(lost_b.sum()),
            uneven=mcnemar(int((lost_c & ~lost_b).sum()), int((lost_b & ~lost_c).sum())) if lost.any() else 1.0,
            repeats=int(min(np.median(count[kept]) for count in counts)) if kept.any() else 0,
            runs=runs,
        )

    def _clusters(self) -> Codes | None:
        if not self._codes:
            self._codes.append(_cluster_codes(self.evidence.cases, self.cluster_field))
        return self._codes[0]


def uneven_loss(sample: Sample) -> bool:
    """Whether the two sides lost so different cases (exact McNemar, p < 0.01) that the rest is no fair comparison."""
    return sample.uneven < _UNEVEN_LOSS


def slices(cases: Sequence[Case], name: str) -> dict[str, Flags]:
    """The cases of every value of a metadata field (or `tags`), by value. Raises UnusableError when no case has it."""
    members: dict[str, list[int]] = {}
    for index, case in enumerate(cases):
        for value in case.tags if name == "tags" else _values(case.fields.get(name)):
            members.setdefault(value, []).append(index)
    if not members:
        raise UnusableError(f"no case has the field {name}")
    found = {}
    for value, indices in sorted(members.items()):
        found[value] = np.zeros(len(cases), dtype=bool)
        found[value][indices] = True
    return found


def _scores(side: Side, metric: Metric, endpoint: str) -> Scores | None:
    if metric is ERRORS:
        return None if (failed := side.failed.get(endpoint)) is None else Scores(failed)
    return side.scores.get((metric.name, endpoint))


def _values(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def _cluster_codes(cases: Sequence[Case], name: str | None) -> Codes | None:
    labels = [case.cluster if name is None else _label(case.fields.get(name)) for case in cases]
    if all(label is None for label in labels):
        if name is not None and cases:
            raise UnusableError(f"no case has the field {name} that the policy clusters by")
        return None
    known: dict[object, int] = {}
    codes = [known.setdefault(index if label is None else label, len(known)) for index, label in enumerate(labels)]
    return None if len(known) == len(cases) else np.array(codes, dtype=np.int64)


def _label(value: object) -> str | None:
    return None if value is None else str(value)


def _ends(metric: Metric) -> tuple[float, float]:
    """Worst and best end of the oriented scale; infinite where the metric declares none."""
    low = -np.inf if metric.low is None else metric.low
    high = np.inf if metric.high is None else metric.high
    return (low, high) if metric.direction == "maximize" else (-high, -low)


def _check_scale(metric: Metric, side: str, scores: Sequence[Scores]) -> None:
    low = -np.inf if metric.low is None else metric.low
    high = np.inf if metric.high is None else metric.high
    outside = sum(int(((s.values < low) | (s.values > high))[np.isfinite(s.values)].sum()) for s in scores)
    if outside:
        raise UnusableError(f"{outside} scores of the {side} lie outside the range that {metric.name} declares")


def _average(scores: Sequence[Scores], cases: int) -> Cells:
    """Averages over repeats for every (case, endpoint)."""
    for score in scores:
        if score.values.ndim != 2 or score.values.shape[0] != cases:
            raise ValueError(f"cells must be [{cases} cases, repeats], got {score.values.shape}")
    columns = [_column(score.values) for score in scores]
    mean, variance, runs = (np.stack([column[i] for column in columns], axis=1) for i in range(3))
    skipped = np.ones(cases, dtype=bool)
    for score in scores:
        skipped &= never_applies(score)
    return Cells(mean, variance, runs, skipped)


def never_applies(scores: Scores) -> Flags:
    """The cases that every run of a metric skipped."""
    if scores.skipped is None:
        return np.zeros(scores.values.shape[0], dtype=bool)
    return np.asarray(scores.skipped.all(axis=1))


def _column(values: Array) -> tuple[Array, Array, Array]:
    present = np.isfinite(values)
    runs = present.sum(axis=1).astype(np.float64)
    known = np.where(present, values, 0.0)
    mean = np.divide(known.sum(axis=1), runs, out=np.full(runs.size, np.nan), where=runs > 0)
    if values.shape[1] < 2:
        return mean, np.full(runs.size, np.nan), runs
    spread = np.where(present, values - np.where(runs > 0, mean, 0.0)[:, None], 0.0)
    variance = np.divide((spread**2).sum(axis=1), runs - 1, out=np.full(runs.size, np.nan), where=runs > 1)
    return mean, variance, runs


def _runs(c: Cells, b: Cells | None, kept: Flags) -> Runs | None:
    """How much of the cases' variance comes from single runs; None below two runs everywhere."""
    sides = [c] if b is None else [c, b]
    endpoints = c.mean.shape[1]
    within, noise, repeats = 0.0, 0.0, []
    for side in sides:
        known = kept & np.isfinite(side.variance).all(axis=1)
        if not known.any():
            return None
        within += _mean(side.variance[known].sum(axis=1)) / endpoints**2
        noise += _mean((side.variance[known] / side.runs[known]).sum(axis=1)) / endpoints**2
        repeats.append(float(np.median(side.runs[kept])))
    return Runs(within, noise, int(min(repeats)))


def _mean(values: Array) -> float:
    """The mean, to the last bit the same in whatever order the cases stand."""
    return float(np.sort(values).mean())


def _lost(cells: Cells) -> Flags:
    return np.asarray(np.isnan(cells.mean).any(axis=1))


def _fill(mean: Array, value: float) -> Array:
    return np.where(np.isfinite(mean), mean, value)


def _snap(values: Array, quantum: float) -> Array:
    return np.rint(values / quantum) * quantum if quantum > 0 else values


def _largest(*arrays: Array) -> float:
    finite = [np.abs(array[np.isfinite(array)]) for array in arrays]
    return max((float(part.max()) for part in finite if part.size), default=0.0)


def spread(values: Array, groups: Codes | None) -> tuple[float, int, float]:
    """Standard deviation of a unit, number of units, and cases per unit."""
    sample = units(values, groups)
    estimate = mean_se(sample)
    count = int(sample.sizes.size)
    return float(estimate.se) * count**0.5, count, float(sample.sizes.sum()) / count
