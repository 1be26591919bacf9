"""One metric of one variant as arrays. The database puts a column's values into one text, or one string of bytes, which costs a
fifth of reading a row for each."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import LargeBinary, case, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.db import core
from app.runs.tables import RunScoreRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Scores(NamedTuple):
    """One metric of one variant, [cases, repeats]: values and `passed` (NaN where there is none), and what is skipped."""

    values: "NDArray[np.float64]"
    passed: "NDArray[np.float64]"
    skipped: "NDArray[np.bool_]"


async def scores(
    session: AsyncSession,
    project_id: str,
    run_id: str,
    variant_no: int,
    metric_no: int,
    shape: tuple[int, int],
    some: Sequence[int] | None = None,
) -> Scores:
    """All scores of a metric of a variant, `shape` being its run's cases and repeats; or those of `some` cases, in their order."""
    repeats = shape[1]
    place = col(RunScoreRow.case_no) * repeats + col(RunScoreRow.repeat)
    passed = case((col(RunScoreRow.passed).is_(None), 0), (core(RunScoreRow).c.passed, 1), else_=2)
    flag = passed + case((col(RunScoreRow.status) == "skipped", 3), else_=0)
    on_postgresql = session.get_bind().dialect.name == "postgresql"
    query = select(*(_bytes if on_postgresql else _texts)(place, col(RunScoreRow.value), flag)).where(
        col(RunScoreRow.project_id) == project_id,
        col(RunScoreRow.run_id) == run_id,
        col(RunScoreRow.variant_no) == variant_no,
        col(RunScoreRow.metric_no) == metric_no,
    )
    if some is not None:
        query = query.where(col(RunScoreRow.case_no).between(min(some), max(some)))
    row = (await session.execute(query)).one()
    read = await asyncio.to_thread(_read, row, shape, on_postgresql)
    return read if some is None else of_cases(read, some)


def of_cases(found: Scores, order: Sequence[int]) -> Scores:
    """The cases in another order; -1 is a case that this side does not have."""
    import numpy as np

    index = np.asarray(order, dtype=int)
    values, passed, skipped = found.values[index], found.passed[index], found.skipped[index]
    lacking = index < 0
    values[lacking], passed[lacking], skipped[lacking] = np.nan, np.nan, False
    return Scores(values, passed, skipped)


def _bytes(place: Any, value: Any, flag: Any) -> list[Any]:
    """As PostgreSQL itself sends numbers."""
    nothing: Any = literal_column("''::bytea")
    number = func.coalesce(value, literal_column("'NaN'::float8"))
    columns = [func.int4send(place), func.float8send(number), func.int4send(flag)]
    return [func.string_agg(column, nothing, type_=LargeBinary) for column in columns]


def _texts(place: Any, value: Any, flag: Any) -> list[Any]:
    """Numbers with commas between; 20 digits are what SQLite needs to give every double back as it was."""
    number = case((value.is_(None), "nan"), else_=func.printf("%!.20g", value))
    return [func.group_concat(place), func.group_concat(number), func.group_concat(flag, "")]


def _read(row: Sequence[Any], shape: tuple[int, int], on_postgresql: bool) -> Scores:
    import numpy as np

    size = shape[0] * shape[1]
    values, passed, skipped = np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, dtype=bool)
    if row[0] is not None:
        if on_postgresql:
            where, numbers = np.frombuffer(row[0], ">i4"), np.frombuffer(row[1], ">f8")
            flags = np.frombuffer(row[2], ">i4").astype(np.int64)
        else:
            where, numbers = np.fromstring(row[0], dtype=np.int64, sep=","), np.fromstring(row[1], sep=",")
            flags = np.frombuffer(row[2].encode(), np.uint8).astype(np.int64) - ord("0")
        values[where], skipped[where] = numbers, flags >= 3
        passed[where] = np.array([np.nan, 1.0, 0.0])[flags % 3]
    return Scores(values.reshape(shape), passed.reshape(shape), skipped.reshape(shape))
