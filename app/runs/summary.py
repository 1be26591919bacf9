"""A run's states, and the summary that is computed once when it comes to rest."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import and_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.db import core
from app.runs import columns
from app.runs.derived import one_per_case
from app.runs.schemas import MetricSummary
from app.runs.spec import Case, Metric, Spec
from app.runs.tables import RunRow, RunScoreRow, RunVariantRow, ScoreRow
from evaluators.contract import Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE = 0.95


async def unfinished(session: AsyncSession) -> list[tuple[str, str]]:
    """Runs of every project that were at work when a process ended, oldest first."""
    query = select(col(RunRow.project_id), col(RunRow.id)).where(col(RunRow.status).in_(["queued", "running"]))
    return [
        (project_id, run_id) for project_id, run_id in (await session.execute(query.order_by(col(RunRow.id)))).all()
    ]


async def begin(session: AsyncSession, project_id: str, run_id: str, now: datetime) -> None:
    row = await session.get(RunRow, (project_id, run_id))
    if row is not None:
        row.status, row.started_at, row.finished_at = "running", row.started_at or now, None
        await session.flush()


async def rest(
    session: AsyncSession, project_id: str, run_id: str, status: str, reason: str | None, now: datetime
) -> None:
    runs = core(RunRow)
    await session.execute(
        update(runs)
        .where(runs.c.project_id == project_id, runs.c.id == run_id)
        .values(status=status, ends_as=status, reason=reason, finished_at=now)
    )


async def summaries(
    session: AsyncSession, project_id: str, run_id: str, spec: Spec, cases: Sequence[Case]
) -> list[dict[str, MetricSummary]]:
    """Each variant's metrics: n, missing, mean and bounds, over cases with their repeats made one number."""
    clusters = [case.cluster for case in cases]
    found: list[dict[str, MetricSummary]] = []
    for variant_no in range(len(spec.variants)):
        found.append({})
        for metric_no, metric in enumerate(spec.metrics):
            shape = (len(cases), spec.repeats)
            scores = await columns.scores(session, project_id, run_id, variant_no, metric_no, shape)
            read = await asyncio.to_thread(summary_of, metric, *scores, clusters)
            agreed = await _agreement(session, project_id, run_id, variant_no, metric_no, metric)
            found[-1][metric.name] = msgspec.structs.replace(read, agreement=agreed)
    return found


async def _agreement(
    session: AsyncSession, project_id: str, run_id: str, variant_no: int, metric_no: int, metric: Metric
) -> dict[str, float]:
    """How far the judges of a metric agree with each other, or one with itself."""
    from evaluators.judging import JudgeScorer
    from evaluators.registry import scorers

    scorer = scorers().get(metric.use) if metric.judged and metric.derived is None else None
    if scorer is None or not issubclass(scorer, JudgeScorer) or "agreement" not in vars(scorer):
        return {}
    query = (
        select(col(ScoreRow.value), col(ScoreRow.status), col(ScoreRow.explanation), col(ScoreRow.evidence))
        .join(
            RunScoreRow,
            and_(
                col(RunScoreRow.project_id) == col(ScoreRow.project_id), col(RunScoreRow.score_key) == col(ScoreRow.key)
            ),
        )
        .where(
            col(RunScoreRow.project_id) == project_id,
            col(RunScoreRow.run_id) == run_id,
            col(RunScoreRow.variant_no) == variant_no,
            col(RunScoreRow.metric_no) == metric_no,
        )
    )
    scores = [
        Score(value=value, status=status, explanation=explanation, evidence=evidence)
        for value, status, explanation, evidence in (await session.execute(query)).all()
    ]
    return await asyncio.to_thread(scorer.agreement, scores)


async def keep(
    session: AsyncSession, project_id: str, run_id: str, metrics: Sequence[dict[str, MetricSummary]]
) -> None:
    """Stores the metrics of all variants."""
    variants = core(RunVariantRow)
    for variant_no, summary in enumerate(metrics):
        await session.execute(
            update(variants)
            .where(
                variants.c.project_id == project_id, variants.c.run_id == run_id, variants.c.variant_no == variant_no
            )
            .values(metrics=msgspec.to_builtins(summary))
        )


def summary_of(
    metric: Metric,
    values: "NDArray[np.float64]",
    passed: "NDArray[np.float64]",
    skipped: "NDArray[np.bool_]",
    clusters: Sequence[str | None] = (),
) -> MetricSummary:
    """Mean over cases with one-sided bounds: plus-one where the scale has two ends, Student's t elsewhere."""
    import numpy as np

    counted = ~skipped.all(axis=1)
    cases = one_per_case(metric, values, passed)
    there = np.isfinite(cases)
    means = cases[there]
    said = passed[np.isfinite(passed)]
    measured = values[np.isfinite(values)] if metric.high is None else np.empty(0)
    median, p90, p95 = np.percentile(measured, [50, 90, 95]).tolist() if measured.size else (None, None, None)
    metric = metric.of_cases
    ends = None if metric.high is None else (metric.low, metric.high)
    low, high = bounds_of(means, ends, groups(clusters, there))
    n = len(means)
    return MetricSummary(
        n=n,
        missing=int(counted.sum()) - n,
        mean=float(means.mean()) if n else None,
        low=low,
        high=high,
        direction=metric.direction,
        unit=metric.unit,
        pass_rate=float(said.mean()) if said.size else None,
        median=median,
        p90=p90,
        p95=p95,
    )


def groups(clusters: Sequence[str | None], there: "NDArray[np.bool_]") -> "NDArray[np.int64] | None":
    """Which cases are not independent: equal numbers for cases of one cluster; None when each stands alone."""
    import numpy as np

    if not any(cluster is not None for cluster in clusters):
        return None
    numbers: dict[str | int, int] = {}
    alike = [numbers.setdefault(n if c is None else c, len(numbers)) for n, c in enumerate(clusters)]
    return np.asarray(alike, dtype=np.int64)[there]


def bounds_of(
    values: "NDArray[np.float64]", ends: tuple[float, float] | None, groups: "NDArray[np.int64] | None"
) -> tuple[float | None, float | None]:
    """One-sided bounds of a mean, each at `CONFIDENCE`: plus-one between the `ends` of the scale, else Student's t."""
    from app.stats.estimates import bounds, mean_se, units

    alpha = 1 - CONFIDENCE
    if ends is not None:
        return bounds(values, *ends, alpha, groups)[1:] if len(values) else (None, None)
    independent = units(values, groups)
    if independent.sizes.size < 2:
        return None, None
    plain = mean_se(independent)
    return float(plain.lower(alpha)), float(plain.upper(alpha))
