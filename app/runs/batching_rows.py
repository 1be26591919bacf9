"""The batches of runs as they are stored: reading, writing, and which cells are in them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import col

from app.kit.db import Sessions, core
from app.runs.batching_tables import RunBatchRow
from app.runs.schemas import RESTING
from app.runs.spec import Cell, Spec
from app.runs.tables import RunRow

MOST_QUESTIONS = 5_000
ONE = 0x6261746368
"""The advisory lock of the process that looks after batches."""
LIVE = ("open", "submitting", "waiting")
TRIED = ("ended", "refused")

Asked = tuple[Cell, str]
"""A cell and its key."""

_cells = msgspec.msgpack.Decoder(list[tuple[int, int, int, str]])


@asynccontextmanager
async def alone(sessions: Sessions) -> AsyncIterator[bool]:
    """Whether no other process looks after batches as long as the block lasts. A process that dies leaves its place."""
    engine: AsyncEngine = sessions.kw["bind"]
    if engine.dialect.name != "postgresql":
        yield True
        return
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        mine = bool(await connection.scalar(select(func.pg_try_advisory_lock(ONE))))
        try:
            yield mine
        finally:
            if mine:
                await connection.execute(select(func.pg_advisory_unlock(ONE)))


async def live(session: AsyncSession) -> list[tuple[RunBatchRow, bool, int]]:
    """All that are to be looked after, oldest first; whether their runs are at rest, and their runs' attempts."""
    query = select(RunBatchRow, col(RunRow.status), col(RunRow.attempt)).join(
        RunRow, (col(RunRow.project_id) == col(RunBatchRow.project_id)) & (col(RunRow.id) == col(RunBatchRow.run_id))
    )
    found = await session.execute(query.where(col(RunBatchRow.status).in_(LIVE)).order_by(col(RunBatchRow.id)))
    return [(row, status in RESTING, attempt) for row, status, attempt in found.all()]


async def reserved_nano(session: AsyncSession, project_id: str, run_id: str) -> int:
    """What a run's live batches may cost."""
    query = select(func.coalesce(func.sum(col(RunBatchRow.reserved_nano)), 0)).where(
        col(RunBatchRow.project_id) == project_id,
        col(RunBatchRow.run_id) == run_id,
        col(RunBatchRow.status).in_(LIVE),
    )
    return int((await session.execute(query)).scalar_one())


async def notes(session: AsyncSession, project_id: str, run_id: str) -> list[str]:
    """What went otherwise than planned with a run's batches."""
    query = select(col(RunBatchRow.error)).where(
        col(RunBatchRow.project_id) == project_id,
        col(RunBatchRow.run_id) == run_id,
        col(RunBatchRow.error).is_not(None),
    )
    found = (await session.execute(query.order_by(col(RunBatchRow.id)))).all()
    return list(dict.fromkeys(str(note) for (note,) in found))


def encoded(asked: Iterable[Asked]) -> bytes:
    return msgspec.msgpack.encode([(*cell, key) for cell, key in asked])


def decoded(data: bytes) -> list[Asked]:
    return [(Cell(v, c, r), key) for v, c, r, key in _cells.decode(data)]


async def of_run(session: AsyncSession, project_id: str, run_id: str) -> list[RunBatchRow]:
    query = select(RunBatchRow).where(col(RunBatchRow.project_id) == project_id, col(RunBatchRow.run_id) == run_id)
    return list(await session.scalars(query))


async def change(session: AsyncSession, row: RunBatchRow, **values: Any) -> bool:
    """Whether the row was still as it was read; the row in hand is changed too."""
    table = core(RunBatchRow)
    changed = await session.execute(
        update(table)
        .where(
            table.c.project_id == row.project_id,
            table.c.run_id == row.run_id,
            table.c.id == row.id,
            table.c.status == row.status,
        )
        .values(**values)
        .returning(table.c.id)
    )
    if changed.first() is None:
        return False
    for name, value in values.items():
        setattr(row, name, value)
    return True


def grouped(spec: Spec, asked: Iterable[Asked]) -> Iterable[list[Asked]]:
    """Cells of one endpoint and of at most so many keys, those of a key together."""
    lanes: dict[str, dict[str, list[Asked]]] = {}
    for cell, key in asked:
        lane = lanes.setdefault(spec.variants[cell.variant_no].endpoint_digest, {})
        lane.setdefault(key, []).append((cell, key))
    for lane in lanes.values():
        several = list(lane.values())
        for i in range(0, len(several), MOST_QUESTIONS):
            yield [each for group in several[i : i + MOST_QUESTIONS] for each in group]


def by_key(asked: Iterable[Asked]) -> dict[str, list[Cell]]:
    found: dict[str, list[Cell]] = {}
    for cell, key in asked:
        found.setdefault(key, []).append(cell)
    return found
