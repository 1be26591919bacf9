"""Runs of one suite over time, from what they counted when they came to rest."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.runs.schemas import NANO, MetricSummary
from app.runs.spec import Spec, Variant
from app.runs.tables import AnswerRow, RunCellRow, RunRow, RunVariantRow


class PastVariant(NamedTuple):
    """A variant and what its run says of it. `cost_per_cell_usd` is over what this run paid for."""

    number: int
    variant: Variant
    metrics: dict[str, MetricSummary]
    cost_per_cell_usd: float | None


class Past(NamedTuple):
    """A run that is at rest."""

    id: str
    at: datetime
    spec: Spec
    variants: list[PastVariant]


async def of_suite(
    session: AsyncSession,
    project_id: str,
    suite: str,
    limit: int,
    *,
    since: datetime | None = None,
    fresh: bool = False,
    statuses: Collection[str] = ("done",),
) -> list[Past]:
    """The newest `limit` runs of a suite by its name, newest first; with `fresh`, those alone whose answers are their own."""
    query = select(RunRow).where(
        col(RunRow.project_id) == project_id, col(RunRow.suite) == suite, col(RunRow.status).in_(list(statuses))
    )
    if since is not None:
        query = query.where(col(RunRow.created_at) >= since)
    if fresh:
        query = query.where(col(RunRow.spec)["fresh"].as_boolean())
    rows = list(await session.scalars(query.order_by(col(RunRow.id).desc()).limit(limit)))
    counters: dict[str, dict[int, RunVariantRow]] = {row.id: {} for row in rows}
    found = select(RunVariantRow).where(
        col(RunVariantRow.project_id) == project_id, col(RunVariantRow.run_id).in_(list(counters))
    )
    for counter in await session.scalars(found):
        counters[counter.run_id][counter.variant_no] = counter
    past = []
    for row in rows:
        spec = msgspec.convert(row.spec, Spec)
        variants = [_variant(n, variant, counters[row.id][n]) for n, variant in enumerate(spec.variants)]
        past.append(Past(row.id, row.created_at, spec, variants))
    return past


async def models(session: AsyncSession, project_id: str, run_id: str, variant_no: int) -> list[str]:
    """The names of the models that answers of a variant carry, as their endpoint gave them."""
    query = (
        select(col(AnswerRow.model))
        .join(
            RunCellRow,
            (col(RunCellRow.project_id) == AnswerRow.project_id) & (col(RunCellRow.cell_key) == AnswerRow.cell_key),
        )
        .where(
            col(RunCellRow.project_id) == project_id,
            col(RunCellRow.run_id) == run_id,
            col(RunCellRow.variant_no) == variant_no,
            col(AnswerRow.model).is_not(None),
        )
        .distinct()
    )
    return sorted(str(name) for name in await session.scalars(query))


async def made_by(session: AsyncSession, project_id: str, actor: str) -> str | None:
    """The run that an actor who makes one has made."""
    query = select(col(RunRow.id)).where(col(RunRow.project_id) == project_id, col(RunRow.created_by) == actor)
    return await session.scalar(query.order_by(col(RunRow.id).desc()).limit(1))


def _variant(number: int, variant: Variant, row: RunVariantRow) -> PastVariant:
    metrics = {name: msgspec.convert(told, MetricSummary) for name, told in (row.metrics or {}).items()}
    paid = row.answered + row.failed
    return PastVariant(number, variant, metrics, row.cost_nano / NANO / paid if paid else None)
