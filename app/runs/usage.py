"""What answers of earlier runs took: tokens and time, by endpoint and prompt."""

from collections.abc import Sequence
from statistics import fmean, median
from typing import NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.runs.spec import Variant
from app.runs.tables import AnswerRow, RunCellRow, RunRow

RUNS = 30
"""The newest runs of the project that are looked at."""
ANSWERS = 200
CASES = 1_000
"""Answers are read of the first so many cases of a variant: a range of the primary key, however large the run was."""


class Usual(NamedTuple):
    """What a call took: means of tokens, the median of seconds. `prompt_tokens` are only known of the same prompt."""

    prompt_tokens: float | None
    completion_tokens: float | None
    seconds: float


class _Variant(msgspec.Struct, frozen=True):
    """What tells a variant of a stored run apart; all else of its spec is skipped."""

    endpoint_digest: str
    bundle: str


class _Spec(msgspec.Struct, frozen=True):
    variants: list[_Variant]


async def usual(session: AsyncSession, project_id: str, variants: Sequence[Variant]) -> list[Usual | None]:
    """By variant: what its answers took in the newest run that has some, else what those of its endpoint did."""
    query = select(col(RunRow.id), col(RunRow.spec)).where(col(RunRow.project_id) == project_id)
    places: dict[str, list[tuple[str, int]]] = {}
    for run_id, spec in (await session.execute(query.order_by(col(RunRow.id).desc()).limit(RUNS))).all():
        for number, stored in enumerate(msgspec.convert(spec, _Spec).variants):
            places.setdefault(stored.bundle, []).append((run_id, number))
            places.setdefault(stored.endpoint_digest, []).append((run_id, number))
    found: dict[str, Usual | None] = {}
    for digest in {d for variant in variants for d in (variant.bundle, variant.endpoint_digest)}:
        found[digest] = await _first(session, project_id, places.get(digest, ()))
    taken: list[Usual | None] = []
    for variant in variants:
        same, like = found[variant.bundle], found[variant.endpoint_digest]
        taken.append(same or (None if like is None else like._replace(prompt_tokens=None)))
    return taken


async def _first(session: AsyncSession, project_id: str, places: Sequence[tuple[str, int]]) -> Usual | None:
    for run_id, number in places[:3]:
        query = (
            select(col(AnswerRow.prompt_tokens), col(AnswerRow.completion_tokens), col(AnswerRow.latency_ms))
            .join(
                RunCellRow,
                (col(AnswerRow.project_id) == col(RunCellRow.project_id))
                & (col(AnswerRow.cell_key) == col(RunCellRow.cell_key)),
            )
            .where(
                col(RunCellRow.project_id) == project_id,
                col(RunCellRow.run_id) == run_id,
                col(RunCellRow.variant_no) == number,
                col(RunCellRow.case_no) < CASES,
                col(RunCellRow.status).in_(["answered", "cached"]),
            )
            .limit(ANSWERS)
        )
        rows = (await session.execute(query)).all()
        times = [row.latency_ms for row in rows if row.latency_ms is not None]
        if times:
            return Usual(
                _mean([row.prompt_tokens for row in rows]),
                _mean([row.completion_tokens for row in rows]),
                median(times) / 1_000,
            )
    return None


def _mean(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
