"""Metrics made of other scores of the same cell, and the one place where a case's repeats become one number."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.db import core, insert_rows
from app.kit.digests import digest
from app.kit.errors import FieldError, InvalidContentError
from app.registry.derived import DerivedError, DerivedSpec, Range, range_of, reduction_problem
from app.runs.spec import Metric, Spec
from app.runs.tables import RunScoreRow
from evaluators.contract import Score
from evaluators.metrics.formula import Formula, NoValueError, composite
from evaluators.metrics.reducers import COUNTING, WITH_K, reduce_cases

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_AT_ONCE = 10_000
_WITHOUT_VALUE = ("error", "unscored", "skipped")


class Made(msgspec.Struct, frozen=True):
    """How a derived metric is made, as a run stores it."""

    formula: str | None
    weights: dict[str, float] | None
    threshold: float | None


def metrics_of(derived: Sequence[DerivedSpec], metrics: Sequence[Metric]) -> list[Metric]:
    """The derived metrics of a suite, behind those that they are made of.

    Raises `InvalidContentError` with the pointer of one that makes no sense.
    """
    found: list[Metric] = []
    for i, spec in enumerate(derived):
        before = {metric.name: metric for metric in (*metrics, *found)}
        at = f"/derived/{i}"
        if spec.name in before:
            raise InvalidContentError.at(f"{at}/name", f"another metric is called {spec.name!r}")
        try:
            read = range_of(spec, {name: Range(m.direction, m.low, m.high) for name, m in before.items()})
        except DerivedError as error:
            raise InvalidContentError.at(at + error.pointer, error.message) from error
        check_reduction(spec.reduce, spec.k, spec.threshold is not None, at)
        names = Formula(spec.formula).names if spec.formula is not None else tuple(spec.weights or {})
        parts = [before[name] for name in names]
        made = msgspec.to_builtins(Made(spec.formula, spec.weights, spec.threshold))
        judged = next((part for part in parts if part.judged), None)
        found.append(
            Metric(
                name=spec.name,
                use="formula" if spec.formula is not None else "composite",
                version=1,
                args={},
                when=[],
                weight=1.0,
                direction=read.direction,
                low=read.low,
                high=read.high,
                unit=None,
                binary=False,
                identity=digest({"made": made, "of": {part.name: part.identity for part in parts}}),
                rubric=None if judged is None else judged.rubric,
                rubric_ref=None if judged is None else judged.rubric_ref,
                judge=None if judged is None else judged.judge,
                derived=made,
                reduce=spec.reduce,
                k=spec.k or 1,
            )
        )
    return found


def check_reduction(reduce: Any, k: int | None, says_passed: bool, pointer: str) -> None:
    """Raises `InvalidContentError` for a reducer that this metric cannot have."""
    problem: FieldError | None = reduction_problem(reduce, k, says_passed, pointer)
    if problem is not None:
        raise InvalidContentError(problem.detail, [problem])


def check_repeats(metrics: Sequence[Metric], repeats: int) -> None:
    """Raises `InvalidContentError` for a metric that needs more repeats than a run has."""
    for metric in metrics:
        if metric.reduce in WITH_K and metric.k > repeats:
            detail = f"{metric.name}: {metric.reduce} with k {metric.k} needs as many repeats; the run has {repeats}"
            raise InvalidContentError.at("/repeats", detail)


def one_per_case(metric: Metric, values: "Array", passed: "Array") -> "Array":
    """What the repeats of each case come to, both [cases, repeats]; NaN where that is not known.

    The mean is that of the repeats that are there; all others need every repeat.
    """
    worse = "low" if metric.direction == "maximize" else "high"
    return reduce_cases(values, passed, metric.reduce, metric.k, partial=metric.reduce == "mean", worse=worse)


def reduced(metric: Metric, values: "Array", passed: "Array") -> "tuple[Array, Array]":
    """Values and passed as a comparison or a gate averages them: the mean leaves both as they are; of every other reducer
    the values are [cases, 1], and a majority or at least k say themselves whether the case passed."""
    import numpy as np

    if metric.reduce == "mean":
        return values, passed
    if (
        metric.reduce in WITH_K and metric.k > values.shape[1]
    ):  # another run's, with fewer repeats than this metric needs
        return np.full((len(values), 1), np.nan), passed
    found = one_per_case(metric, values, passed)[:, None]
    said = np.repeat(found, passed.shape[1], axis=1) if metric.of_cases.binary and metric.reduce in COUNTING else passed
    return found, said


class _Known(NamedTuple):
    value: float | None
    status: str


async def complete(session: AsyncSession, project_id: str, run_id: str, spec: Spec) -> None:
    """Computes the derived metrics of all cells whose other scores are there, anew. For a transaction that writes."""
    numbers = [number for number, metric in enumerate(spec.metrics) if metric.derived is not None]
    if not numbers:
        return
    same = (col(RunScoreRow.project_id) == project_id, col(RunScoreRow.run_id) == run_id)
    await session.execute(delete(core(RunScoreRow)).where(*same, col(RunScoreRow.metric_no).in_(numbers)))
    for variant_no in range(len(spec.variants)):
        query = select(
            col(RunScoreRow.case_no),
            col(RunScoreRow.repeat),
            col(RunScoreRow.metric_no),
            col(RunScoreRow.value),
            col(RunScoreRow.status),
        ).where(*same, col(RunScoreRow.variant_no) == variant_no)
        cells: dict[tuple[int, int], dict[str, _Known]] = {}
        for case_no, repeat, number, value, status in (await session.execute(query)).all():
            cells.setdefault((case_no, repeat), {})[spec.metrics[number].name] = _Known(value, status)
        place = {"project_id": project_id, "run_id": run_id, "variant_no": variant_no}
        rows = await asyncio.to_thread(_rows, spec.metrics, numbers, cells, place)
        for start in range(0, len(rows), _AT_ONCE):
            await insert_rows(session, RunScoreRow, rows[start : start + _AT_ONCE])


def _rows(
    metrics: Sequence[Metric],
    numbers: Sequence[int],
    cells: dict[tuple[int, int], dict[str, _Known]],
    place: dict[str, Any],
) -> list[dict[str, Any]]:
    ready = [(number, metrics[number], msgspec.convert(metrics[number].derived, Made)) for number in numbers]
    formulas = {number: Formula(made.formula) for number, _, made in ready if made.formula is not None}
    rows = []
    for (case_no, repeat), known in cells.items():
        for number, metric, made in ready:
            score = _score(metric, made, formulas.get(number), known)
            known[metric.name] = _Known(score.value, score.status)
            rows.append(
                {
                    **place, "metric_no": number, "case_no": case_no, "repeat": repeat, "value": score.value,
                    "passed": score.passed, "status": score.status, "score_key": None, "error": score.explanation,
                }
            )  # fmt: skip
    return rows


def _score(metric: Metric, made: Made, formula: Formula | None, known: dict[str, _Known]) -> Score:
    """What one cell scores. A part without a value leaves it without one, for the same reason as the part."""
    values = {name: part.value for name, part in known.items()}
    try:
        value = formula.value(values) if formula is not None else composite(values, made.weights or {})
    except NoValueError as error:
        part = known.get(error.missing) if error.missing is not None else None
        if part is not None and part.status in _WITHOUT_VALUE:
            return Score(value=None, status=part.status, explanation=str(error))  # type: ignore[arg-type]
        # A division by zero is no reason to leave the case out: it is counted as missing.
        return Score.unscored(str(error))
    ends = (metric.low, float("inf") if metric.high is None else metric.high)
    if not ends[0] - 1e-9 <= value <= ends[1] + 1e-9:
        return Score.unscored(f"{value:g} lies outside of the range that {metric.name} declares")
    value = min(max(value, ends[0]), ends[1])
    passed = None
    if made.threshold is not None:
        passed = value >= made.threshold if metric.direction == "maximize" else value <= made.threshold
    parts = formula.names if formula is not None else tuple(made.weights or {})
    shown = ", ".join(f"{name} {values[name]:g}" for name in parts if values.get(name) is not None)
    return Score.ok(value, f"{made.formula or 'weighted mean'}: {shown}", passed=passed)
