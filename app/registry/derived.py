"""Metrics of a suite that are made of its others, and how a case's repeats become one number."""

import math
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

import msgspec

from app.kit.errors import FieldError
from app.registry.kinds.base import Content
from evaluators.metrics.formula import Formula, FormulaError, check_weights
from evaluators.metrics.interval import Interval
from evaluators.metrics.reducers import COUNTING, WITH_K, Reducer

Direction = Literal["maximize", "minimize"]
Repeats = Annotated[int, msgspec.Meta(ge=1, le=100)]


class DerivedSpec(Content, frozen=True):
    """A metric of each cell, made of its other scores: by `formula` over their names, or their mean by `weights`.

    A weighted mean has the direction of its metrics, which must be the same. A formula's is `direction`. Its range is worked
    out from those of its metrics; where that leaves it open, `low` is to be given (`high` may stay open), and `low` and
    `high` also narrow it. From `threshold` on its values pass (up to it, where less is better).
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    formula: str | None = None
    weights: dict[str, float] | None = None
    direction: Direction = "maximize"
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    reduce: Reducer = "mean"
    k: Repeats | None = None


class Range(NamedTuple):
    """How a metric's values are to be read; `high` None: without upper end."""

    direction: Direction
    low: float
    high: float | None

    @property
    def interval(self) -> Interval:
        return Interval(self.low, math.inf if self.high is None else self.high)


class DerivedError(Exception):
    """A derived metric that makes no sense; `pointer` is the place within its entry."""

    def __init__(self, message: str, pointer: str) -> None:
        super().__init__(message)
        self.message, self.pointer = message, pointer


def range_of(spec: DerivedSpec, ranges: Mapping[str, Range]) -> Range:
    """The range of a derived metric, given those of the metrics before it. Raises DerivedError for one that cannot be
    computed, has no lower end, or could never fail."""
    if (spec.formula is None) == (spec.weights is None):
        raise DerivedError("a derived metric has either `formula` or `weights`", "/formula")
    found = _of_formula(spec, ranges) if spec.formula is not None else _of_weights(spec, ranges)
    low, high = found.low, found.high
    if high is not None and low >= high:
        raise DerivedError(f"its values are always {low:g}", "/formula" if spec.formula is not None else "/weights")
    if spec.threshold is not None:
        never = spec.threshold <= low if found.direction == "maximize" else high is not None and spec.threshold >= high
        if never or (high is not None and spec.threshold > high) or spec.threshold < low:
            top = "any number" if high is None else f"{high:g}"
            raise DerivedError(
                f"threshold {spec.threshold:g} can never fail or never pass: its values go from {low:g} to {top}",
                "/threshold",
            )
    return found


def _of_formula(spec: DerivedSpec, ranges: Mapping[str, Range]) -> Range:
    try:
        formula = Formula(spec.formula or "")
    except FormulaError as error:
        raise DerivedError(str(error), "/formula") from error
    _check_known(formula.names, ranges, "/formula")
    ends = formula.interval({name: ranges[name].interval for name in formula.names})
    low = ends.low if spec.low is None else max(ends.low, spec.low)
    high = ends.high if spec.high is None else min(ends.high, spec.high)
    if not math.isfinite(low):
        raise DerivedError("its values have no lower end that could be worked out: give `low`", "/low")
    return Range(spec.direction, low, high if math.isfinite(high) else None)


def _of_weights(spec: DerivedSpec, ranges: Mapping[str, Range]) -> Range:
    weights = spec.weights or {}
    try:
        check_weights(weights)
    except FormulaError as error:
        raise DerivedError(str(error), "/weights") from error
    _check_known(weights, ranges, "/weights")
    for field in ("low", "high"):
        if getattr(spec, field) is not None:
            raise DerivedError("a weighted mean has the range of its metrics; leave it out", f"/{field}")
    directions = {ranges[name].direction for name in weights}
    if len(directions) > 1:
        raise DerivedError(
            "of some of its metrics more is better, of others less: turn those round with `negate`", "/weights"
        )
    if open_ := [name for name in weights if ranges[name].high is None]:
        raise DerivedError(
            f"{', '.join(open_)} has no upper end and would outweigh the others; use a formula", "/weights"
        )
    total = math.fsum(weights.values())
    low, high = (
        math.fsum(weight * ranges[name].interval[end] for name, weight in weights.items()) / total for end in (0, 1)
    )
    return Range(directions.pop(), low, high)


def _check_known(names: object, ranges: Mapping[str, Range], pointer: str) -> None:
    unknown = [name for name in names if name not in ranges]  # type: ignore[attr-defined]
    if unknown:
        known = ", ".join(ranges) or "none"
        raise DerivedError(f"{unknown[0]!r} is no metric before it; there are {known}", pointer)


def reduction_problem(reduce: Reducer, k: int | None, says_passed: bool | None, pointer: str) -> FieldError | None:
    """What is wrong with a reducer; `says_passed` is whether the metric knows passed and failed, None when unknown yet."""
    if (k is not None) != (reduce in WITH_K):
        if k is None:
            return FieldError(f"{pointer}/k", f"{reduce} needs `k`")
        return FieldError(f"{pointer}/k", f"{reduce} has no `k`; it belongs to {', '.join(sorted(WITH_K))}")
    if reduce in COUNTING and says_passed is False:
        return FieldError(f"{pointer}/reduce", f"{reduce} counts what passed: give the metric a threshold")
    return None
