"""A run's states, and the summary that is computed once when it comes to rest."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.db import core
from app.runs.schemas import MetricSummary
from app.runs.spec import Metric, Spec
from app.runs.tables import RunRow, RunScoreRow, RunVariantRow

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
        row.status, row.started_at, row.finished_at, row.reason = "running", row.started_at or now, None, None
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


async def summarise(session: AsyncSession, project_id: str, run_id: str, spec: Spec, cases: int) -> None:
    """Stores each variant's metrics: n, missing, mean and bounds, over cases with their repeats averaged."""
    for variant_no in range(len(spec.variants)):
        found: dict[str, Any] = {}
        for metric_no, metric in enumerate(spec.metrics):
            values, skipped = await grid(session, project_id, run_id, variant_no, metric_no, cases, spec.repeats)
            summary = await asyncio.to_thread(summary_of, metric, values, skipped)
            found[metric.name] = {name: getattr(summary, name) for name in summary.__struct_fields__}
        variants = core(RunVariantRow)
        await session.execute(
            update(variants)
            .where(
                variants.c.project_id == project_id, variants.c.run_id == run_id, variants.c.variant_no == variant_no
            )
            .values(metrics=found)
        )


async def grid(
    session: AsyncSession, project_id: str, run_id: str, variant_no: int, metric_no: int, cases: int, repeats: int
) -> "tuple[NDArray[np.float64], NDArray[np.bool_]]":
    """Values of one metric of one variant, [cases, repeats], NaN where there is none; and where it does not apply."""
    import numpy as np

    query = select(
        col(RunScoreRow.case_no), col(RunScoreRow.repeat), col(RunScoreRow.value), col(RunScoreRow.status)
    ).where(
        col(RunScoreRow.project_id) == project_id,
        col(RunScoreRow.run_id) == run_id,
        col(RunScoreRow.variant_no) == variant_no,
        col(RunScoreRow.metric_no) == metric_no,
    )
    values = np.full((cases, repeats), np.nan)
    skipped = np.zeros((cases, repeats), dtype=bool)
    rows: Sequence[Any] = (await session.execute(query)).all()
    if rows:
        case_no, repeat, value, status = zip(*rows, strict=True)
        values[list(case_no), list(repeat)] = [np.nan if v is None else v for v in value]
        skipped[list(case_no), list(repeat)] = [s == "skipped" for s in status]
    return values, skipped


def summary_of(metric: Metric, values: "NDArray[np.float64]", skipped: "NDArray[np.bool_]") -> MetricSummary:
    """Mean over cases with one-sided bounds: plus-one where the scale has two ends, Student's t elsewhere."""
    import numpy as np

    from app.stats.estimates import lower, mean_se, units, upper

    counted = ~skipped.all(axis=1)
    with np.errstate(invalid="ignore"):
        sums, counts = np.nansum(values, axis=1), np.isfinite(values).sum(axis=1)
    means = sums[counts > 0] / counts[counts > 0]
    n = len(means)
    low = high = None
    if n >= 2:
        alpha = 1 - CONFIDENCE
        if metric.high is None:
            plain = mean_se(units(means))
            low, high = float(plain.lower(alpha)), float(plain.upper(alpha))
        else:
            low, high = float(lower(means, metric.low, alpha)), float(upper(means, metric.high, alpha))
    return MetricSummary(
        n=n,
        missing=int(counted.sum()) - n,
        mean=float(means.mean()) if n else None,
        low=low,
        high=high,
        direction=metric.direction,
        unit=metric.unit,
    )
