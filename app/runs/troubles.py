"""What kept a side from its answers or its scores, in one sentence."""

from typing import Any

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.sensitivity import above
from app.runs.compare import Side
from app.runs.masking import level_of
from app.runs.tables import RunCellRow, RunScoreRow

LONGEST = 300
SHOWN_TO = "internal"
"""The clearance of a reader's key."""


async def first_trouble(session: AsyncSession, sides: list[Side]) -> str | None:
    """The first lost answer of the first side that has one, else the first lost score, else why the run ended early.

    Many keys read it, and an endpoint's error may quote what it was sent: where that is above `SHOWN_TO` its kind is told alone.
    """
    for table in (RunCellRow, RunScoreRow):
        for side in sides:
            if (found := await _first(session, side, table)) is not None:
                return f"first error: {found}"
    for side in sides:
        row = side.run.row
        if row.status != "done" and row.reason:
            return f"run {row.id} ended early ({row.status}): {_short(row.reason)}"
    return None


async def _first(session: AsyncSession, side: Side, table: Any) -> str | None:
    lost = "errored" if table is RunCellRow else "error"
    kind: Any = col(RunCellRow.error_kind) if table is RunCellRow else literal("score")
    query = (
        select(table.variant_no, table.error, kind)
        .where(
            col(table.project_id) == side.run.row.project_id,
            col(table.run_id) == side.run.row.id,
            col(table.variant_no).in_(side.variants),
            col(table.status) == lost,
            col(table.error).is_not(None),
        )
        .order_by(col(table.case_no), col(table.repeat), col(table.variant_no))
        .limit(1)
    )
    found = (await session.execute(query)).first()
    if found is None:
        return None
    number, error, kind = found
    endpoint = side.endpoint(number)
    level = await level_of(session, side.run)
    if above(level, SHOWN_TO):
        what = "a scorer's error" if table is RunScoreRow else f"{kind or 'an error'}"
        return f"endpoint {endpoint!r}: {what}; it may quote {level} values, and stands in the run's results"
    # A judge's error names the judge's endpoint; the endpoint under test says where.
    return _short(error if endpoint in error else f"endpoint {endpoint!r}: {error}")


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST else flat[: LONGEST - 1] + "…"
