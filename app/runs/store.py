"""Reading and writing of runs in bulk. Every function works within the caller's transaction."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.schemas import Item
from app.generation.schemas import Answer
from app.kit.db import batched_by_variables, core, insert_rows
from app.llm.schemas import ToolCall, Usage
from app.runs.schemas import NANO, RESTING, Cells
from app.runs.scoring import Scored
from app.runs.spec import Case, Cell, Spec, decode_cases
from app.runs.tables import (
    AnswerRow,
    RunCasesRow,
    RunCellRow,
    RunErrorRow,
    RunRow,
    RunScoreRow,
    RunVariantRow,
    ScoreRow,
)
from evaluators.contract import Chunk, Score

PENDING = "pending"
COUNTED = ("cached", "answered", "failed", "errored", "cancelled")


class Ended(NamedTuple):
    """What is known of a cell now. Its `status` is `pending` when there is more to come.

    `answer` is None when infrastructure failed, or when nothing is to be done with it; `paid` when this run made the call
    and the answer is to be kept. `scores` are by metric number. `stored` is called once all of this is in the database.
    """

    cell: Cell
    key: str
    status: str
    answer: Answer | None
    paid: bool
    scores: dict[int, Scored]
    error_kind: str | None = None
    error: str | None = None
    item: Item | None = None
    stored: Callable[[], None] | None = None


class Known(NamedTuple):
    """An answer that is there: its status, and the run that paid for it."""

    status: str
    run_id: str


class Attempt(NamedTuple):
    """A run, and how often it had been begun when work on it began here."""

    project_id: str
    run_id: str
    attempt: int


class Loaded(NamedTuple):
    """A run as it is stored."""

    row: RunRow
    spec: Spec
    cases: list[Case]


async def load(session: AsyncSession, project_id: str, run_id: str, *, cases: bool = True) -> Loaded | None:
    """A run; without its cases, which may be many, where they are not needed."""
    row = await session.get(RunRow, (project_id, run_id), populate_existing=True)
    if row is None:
        return None
    spec = msgspec.convert(row.spec, Spec)
    kept = await session.get(RunCasesRow, (project_id, run_id)) if cases else None
    return Loaded(row, spec, decode_cases(kept.cases) if kept else [])


async def open_cells(session: AsyncSession, project_id: str, run_id: str, cells: Sequence[Cell]) -> dict[Cell, str]:
    """Those of these cells that have not ended, with their keys, in the order given."""
    by_variant: dict[int, set[int]] = {}
    for cell in cells:
        by_variant.setdefault(cell.variant_no, set()).add(cell.case_no)
    found: dict[Cell, str] = {}
    for variant_no, cases in by_variant.items():
        for some in batched_by_variables(cases):
            query = select(col(RunCellRow.case_no), col(RunCellRow.repeat), col(RunCellRow.cell_key)).where(
                *_of(RunCellRow, project_id, run_id),
                col(RunCellRow.variant_no) == variant_no,
                col(RunCellRow.case_no).in_(some),
                col(RunCellRow.status) == PENDING,
            )
            found |= {Cell(variant_no, c, r): key for c, r, key in (await session.execute(query)).all()}
    return {cell: found[cell] for cell in cells if cell in found}


async def pending_cells(session: AsyncSession, project_id: str, run_id: str) -> list[tuple[Cell, str]]:
    """The cells that have not ended, with their keys."""
    query = select(
        col(RunCellRow.variant_no), col(RunCellRow.case_no), col(RunCellRow.repeat), col(RunCellRow.cell_key)
    ).where(*_of(RunCellRow, project_id, run_id), col(RunCellRow.status) == PENDING)
    return [(Cell(v, c, r), key) for v, c, r, key in (await session.execute(query)).all()]


async def known(session: AsyncSession, project_id: str, keys: Iterable[str]) -> dict[str, Known]:
    """Which answers are there, by cell key."""
    found: dict[str, Known] = {}
    for some in batched_by_variables(dict.fromkeys(keys), 2):
        query = select(col(AnswerRow.cell_key), col(AnswerRow.status), col(AnswerRow.run_id)).where(
            col(AnswerRow.project_id) == project_id, col(AnswerRow.cell_key).in_(some)
        )
        found |= {key: Known(status, run_id) for key, status, run_id in (await session.execute(query)).all()}
    return found


LARGE = ("chunks", "trajectory", "logprobs")
"""The columns of an answer that are read only when they are asked for."""


async def answers(
    session: AsyncSession, project_id: str, keys: Iterable[str], large: Iterable[str] = ()
) -> dict[str, Row[Any]]:
    """Stored answers by cell key: rows with the columns of `AnswerRow`, which cost a third of its instances; of the `LARGE`
    ones those named."""
    table = core(AnswerRow)
    columns = [column for column in table.c if column.name not in LARGE or column.name in large]
    found: dict[str, Row[Any]] = {}
    for some in batched_by_variables(dict.fromkeys(keys), 2):
        query = select(*columns).where(table.c.project_id == project_id, table.c.cell_key.in_(some))
        found |= {row.cell_key: row for row in await session.execute(query)}
    return found


async def scores(session: AsyncSession, project_id: str, keys: Iterable[str]) -> dict[str, Row[Any]]:
    """Stored scores by their key: rows with the columns of `ScoreRow`."""
    table = core(ScoreRow)
    found: dict[str, Row[Any]] = {}
    for some in batched_by_variables(dict.fromkeys(keys), 2):
        query = select(table).where(table.c.project_id == project_id, table.c.key.in_(some))
        found |= {row.key: row for row in await session.execute(query)}
    return found


async def counters(session: AsyncSession, project_id: str, run_id: str) -> list[RunVariantRow]:
    query = select(RunVariantRow).where(*_of(RunVariantRow, project_id, run_id)).order_by(col(RunVariantRow.variant_no))
    return list(await session.scalars(query.execution_options(populate_existing=True)))


async def open_count(session: AsyncSession, project_id: str, run_id: str) -> int:
    """How many cells have not ended, from the counters."""
    rows = await counters(session, project_id, run_id)
    return sum(row.planned - cells_of(row).ended for row in rows)


async def errors(session: AsyncSession, project_id: str, run_id: str) -> dict[str, int]:
    """Errored cells by kind."""
    query = (
        select(col(RunErrorRow.kind), func.sum(col(RunErrorRow.cells)))
        .where(*_of(RunErrorRow, project_id, run_id))
        .group_by(col(RunErrorRow.kind))
    )
    return {kind: int(cells) for kind, cells in (await session.execute(query)).all() if cells}


async def insert_cells(session: AsyncSession, project_id: str, run_id: str, keys: list[list[list[str]]]) -> None:
    rows = (
        {
            "project_id": project_id, "run_id": run_id, "variant_no": v, "case_no": c, "repeat": r,
            "cell_key": key, "status": PENDING, "error_kind": None, "error": None,
        }
        for v, variant in enumerate(keys)
        for c, case in enumerate(variant)
        for r, key in enumerate(case)
    )  # fmt: skip
    while some := list(islice(rows, 10_000)):
        await insert_rows(session, RunCellRow, some)


async def lock(session: AsyncSession, project_id: str, run_id: str) -> RunRow | None:
    """The run's row, which nobody else changes before the transaction ends."""
    return await session.get(RunRow, (project_id, run_id), populate_existing=True, with_for_update=True)


def begin_anew(row: RunRow, rests_as: str = "done") -> None:
    """A run at rest is to be worked on again; `rests_as` is its status after that, if nothing stops it."""
    row.status, row.ends_as, row.rests_as = "queued", "done", rests_as
    row.reason = None if rests_as == "done" else row.reason
    row.attempt += 1


async def write(
    session: AsyncSession, place: Attempt, ended: Sequence[Ended], scorers: Sequence[str], now: datetime
) -> set[Cell]:
    """Everything about cells that ended, in one go: answers, scores, states and counters. `scorers` by metric number.

    Returns the cells that this ended. Those that somebody else had ended stay as they are; once the run is stopped, or begun
    anew, only what was paid for is kept. Rows are written in the order of their keys, so that processes wait for each other
    instead of blocking each other.
    """
    project_id, run_id = place.project_id, place.run_id
    at_work = await _is_at_work(session, place)
    same = {"project_id": project_id, "run_id": run_id}
    await insert_rows(
        session,
        AnswerRow,
        sorted(
            (_answer_row(project_id, run_id, e, now) for e in ended if e.paid and e.answer is not None),
            key=lambda row: row["cell_key"],
        ),
        ignore_existing=True,
    )
    await insert_rows(
        session,
        ScoreRow,
        sorted(
            (
                _score_row(project_id, e.key, scored.key, scored.score, scorers[metric_no], now)
                for e in ended
                for metric_no, scored in e.scores.items()
                if scored.fresh and scored.key is not None
            ),
            key=lambda row: row["key"],
        ),
        ignore_existing=True,
    )
    mine: set[Cell] = set()
    if at_work:
        final = sorted((e for e in ended if e.status != PENDING), key=lambda e: e.cell)
        mine = await _still_open(session, project_id, run_id, [e.cell for e in final])
        await insert_rows(
            session,
            RunScoreRow,
            [
                {
                    **same, "variant_no": e.cell.variant_no, "metric_no": metric_no, "case_no": e.cell.case_no, "repeat": e.cell.repeat,
                    "value": score.value, "passed": score.passed, "status": score.status, "score_key": key,
                    "error": score.explanation if key is None else None, "cached": score.cached or not fresh,
                }
                for e in sorted(ended, key=lambda e: e.cell)
                if e.status == PENDING or e.cell in mine
                for metric_no, (score, key, fresh) in e.scores.items()
            ],
            ignore_existing=True,
        )  # fmt: skip
        if final := [e for e in final if e.cell in mine]:
            await _end_cells(session, project_id, run_id, final)
    await _count(session, project_id, run_id, ended, mine)
    return mine


async def _is_at_work(session: AsyncSession, place: Attempt) -> bool:
    """Whether cells may still be ended; it stays so until this transaction ends."""
    query = select(col(RunRow.status), col(RunRow.ends_as), col(RunRow.attempt)).where(
        col(RunRow.project_id) == place.project_id, col(RunRow.id) == place.run_id
    )
    row = (await session.execute(query.with_for_update(read=True))).first()
    return row is not None and row.status not in RESTING and row.ends_as == "done" and row.attempt == place.attempt


async def _still_open(session: AsyncSession, project_id: str, run_id: str, cells: Sequence[Cell]) -> set[Cell]:
    """Those that have not ended; nobody else ends them before this transaction does."""
    if not cells:
        return set()
    columns = (col(RunCellRow.variant_no), col(RunCellRow.case_no), col(RunCellRow.repeat))
    found: set[Cell] = set()
    for variant_no in sorted({cell.variant_no for cell in cells}):
        cases = sorted({cell.case_no for cell in cells if cell.variant_no == variant_no})
        query = (
            select(*columns)
            .where(
                *_of(RunCellRow, project_id, run_id),
                col(RunCellRow.variant_no) == variant_no,
                col(RunCellRow.case_no).in_(cases),
                col(RunCellRow.status) == PENDING,
            )
            .order_by(*columns)
            .with_for_update()
        )
        found |= {Cell(*row) for row in (await session.execute(query)).all()}
    return found & set(cells)


async def _end_cells(session: AsyncSession, project_id: str, run_id: str, ended: Sequence[Ended]) -> None:
    """Cells that end alike are the rule, and are written together."""
    alike: dict[tuple[int, int, str, str | None, str | None], list[int]] = {}
    for e in ended:
        alike.setdefault((e.cell.variant_no, e.cell.repeat, e.status, e.error_kind, e.error), []).append(e.cell.case_no)
    cells = core(RunCellRow)
    for (variant_no, repeat, status, kind, error), cases in sorted(alike.items(), key=lambda each: each[0][:3]):
        for some in batched_by_variables(cases):
            place = (cells.c.variant_no == variant_no, cells.c.repeat == repeat, cells.c.case_no.in_(some))
            await session.execute(
                update(cells)
                .where(*_of(RunCellRow, project_id, run_id), *place)
                .values(status=status, error_kind=kind, error=error)
            )


async def _count(session: AsyncSession, project_id: str, run_id: str, ended: Sequence[Ended], mine: Set[Cell]) -> None:
    """Counts what these cells cost, and the ends of those that are `mine`."""
    totals: dict[int, dict[str, int]] = {}
    kinds: dict[tuple[int, str], int] = {}
    for e in ended:
        total = totals.setdefault(e.cell.variant_no, dict.fromkeys((*COUNTED, "cost_nano", "judge_cost_nano"), 0))
        final = e.status != PENDING and e.cell in mine
        if final:
            total[e.status] += 1
        if e.paid and e.answer is not None:
            total["cost_nano"] += e.answer.cost_nano or 0
        total["judge_cost_nano"] += sum(round(s.score.cost * NANO) for s in e.scores.values() if s.fresh)
        if final and e.error_kind is not None:
            kinds[e.cell.variant_no, e.error_kind] = kinds.get((e.cell.variant_no, e.error_kind), 0) + 1
    variants = core(RunVariantRow)
    for variant_no, total in sorted(totals.items()):
        changed = {name: amount for name, amount in total.items() if amount}
        if not changed:
            continue
        await session.execute(
            update(variants)
            .where(*_of(RunVariantRow, project_id, run_id), variants.c.variant_no == variant_no)
            .values({name: variants.c[name] + amount for name, amount in changed.items()})
        )
    for (variant_no, kind), cells in sorted(kinds.items()):
        await _count_error(
            session, {"project_id": project_id, "run_id": run_id, "variant_no": variant_no, "kind": kind}, cells
        )


async def _count_error(session: AsyncSession, place: dict[str, Any], cells: int) -> None:
    errors = core(RunErrorRow)
    insert = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    statement = insert(errors).values(**place, cells=cells)
    counted = {"cells": errors.c.cells + cells}
    await session.execute(statement.on_conflict_do_update(index_elements=list(place), set_=counted))


async def cancel_pending(session: AsyncSession, project_id: str, run_id: str) -> None:
    """What has not ended ends as cancelled."""
    query = (
        select(col(RunCellRow.variant_no), func.count())
        .where(*_of(RunCellRow, project_id, run_id), col(RunCellRow.status) == PENDING)
        .group_by(col(RunCellRow.variant_no))
    )
    open_ = {row[0]: row[1] for row in (await session.execute(query)).all()}
    cells, variants = core(RunCellRow), core(RunVariantRow)
    await session.execute(
        update(cells).where(*_of(RunCellRow, project_id, run_id), cells.c.status == PENDING).values(status="cancelled")
    )
    for variant_no, count in open_.items():
        await session.execute(
            update(variants)
            .where(*_of(RunVariantRow, project_id, run_id), variants.c.variant_no == variant_no)
            .values(cancelled=variants.c.cancelled + count)
        )


async def reopen(session: AsyncSession, project_id: str, run_id: str, statuses: Sequence[str]) -> int:
    """Cells that ended as one of `statuses` are pending again; their counters go back. Returns how many."""
    cells, variants = core(RunCellRow), core(RunVariantRow)
    reopened = 0
    for status in statuses:
        query = (
            select(col(RunCellRow.variant_no), func.count())
            .where(*_of(RunCellRow, project_id, run_id), col(RunCellRow.status) == status)
            .group_by(col(RunCellRow.variant_no))
        )
        for variant_no, count in (await session.execute(query)).all():
            reopened += count
            await session.execute(
                update(variants)
                .where(*_of(RunVariantRow, project_id, run_id), variants.c.variant_no == variant_no)
                .values({status: variants.c[status] - count})
            )
        await session.execute(
            update(cells)
            .where(*_of(RunCellRow, project_id, run_id), cells.c.status == status)
            .values(status=PENDING, error_kind=None, error=None)
        )
    if "errored" in statuses:
        await session.execute(delete(RunErrorRow).where(*_of(RunErrorRow, project_id, run_id)))
    return reopened


async def reopen_unjudged(session: AsyncSession, project_id: str, run_id: str) -> None:
    """Cells that have an answer, and a score that was lost to infrastructure, are pending again."""
    lost = (*_of(RunScoreRow, project_id, run_id), col(RunScoreRow.status) == "error")
    query = select(
        col(RunCellRow.variant_no), col(RunCellRow.case_no), col(RunCellRow.repeat), col(RunCellRow.status)
    ).where(
        *_of(RunCellRow, project_id, run_id),
        col(RunCellRow.status).in_(["cached", "answered", "failed"]),
        exists().where(
            *lost,
            col(RunScoreRow.variant_no) == col(RunCellRow.variant_no),
            col(RunScoreRow.case_no) == col(RunCellRow.case_no),
            col(RunScoreRow.repeat) == col(RunCellRow.repeat),
        ),
    )
    found = (await session.execute(query)).all()
    if not found:
        return
    places = [Ended(Cell(v, c, r), "", PENDING, None, False, {}) for v, c, r, _ in found]
    await _end_cells(session, project_id, run_id, places)
    variants = core(RunVariantRow)
    for (variant_no, status), count in Counter((v, s) for v, _, _, s in found).items():
        await session.execute(
            update(variants)
            .where(*_of(RunVariantRow, project_id, run_id), variants.c.variant_no == variant_no)
            .values({status: variants.c[status] - count})
        )
    await session.execute(delete(core(RunScoreRow)).where(*lost))


async def forget_scores(session: AsyncSession, project_id: str, run_id: str) -> None:
    """The run's own copies of its scores; the scores themselves stay."""
    await session.execute(delete(RunScoreRow).where(*_of(RunScoreRow, project_id, run_id)))


def total(rows: Iterable[RunVariantRow]) -> Cells:
    return sum((cells_of(row) for row in rows), Cells())


def cells_of(row: RunVariantRow) -> Cells:
    return Cells(row.planned, row.cached, row.answered, row.failed, row.errored, row.cancelled)


def answer_of(row: Row[Any]) -> Answer:
    """A stored answer as it was given, but for large columns that were not read."""
    usage = None
    if row.prompt_tokens is not None and row.completion_tokens is not None:
        usage = Usage(row.prompt_tokens, row.completion_tokens, row.cached_tokens or 0)
    return Answer(
        status="failed" if row.status == "failed" else "answered",
        text=row.text,
        parsed=row.parsed,
        tool_calls=None if row.tool_calls is None else msgspec.convert(row.tool_calls, list[ToolCall]),
        finish_reason=row.finish_reason,
        usage=usage,
        cost_nano=row.cost_nano,
        latency_ms=row.latency_ms,
        context=row.context,
        error=row.error,
        model=row.model,
        chunks=_chunks(getattr(row, "chunks", None)),
        trajectory=getattr(row, "trajectory", None),
        logprobs=getattr(row, "logprobs", None),
        ttft_ms=row.ttft_ms,
    )


def _chunks(stored: Any) -> list[Chunk] | None:
    return None if stored is None else msgspec.convert(stored, list[Chunk])


def score_of(row: Row[Any]) -> Score:
    """A stored score; what its judge cost was paid then."""
    return Score(
        value=row.value,
        passed=row.passed,
        label=row.label,
        explanation=row.explanation,
        evidence=row.evidence,
        status=row.status,
        cached=True,
    )


def _answer_row(project_id: str, run_id: str, ended: Ended, now: datetime) -> dict[str, Any]:
    answer = ended.answer
    assert answer is not None  # noqa: S101 - the caller filters
    usage = answer.usage
    return {
        "project_id": project_id,
        "cell_key": ended.key,
        "run_id": run_id,
        "status": answer.status,
        "text": answer.text,
        "parsed": answer.parsed,
        "tool_calls": None if answer.tool_calls is None else msgspec.to_builtins(answer.tool_calls),
        "finish_reason": answer.finish_reason,
        "prompt_tokens": None if usage is None else usage.prompt_tokens,
        "completion_tokens": None if usage is None else usage.completion_tokens,
        "cached_tokens": None if usage is None else usage.cached_tokens,
        "cost_nano": answer.cost_nano,
        "latency_ms": answer.latency_ms,
        "context": answer.context,
        "error": answer.error,
        "model": answer.model,
        "created_at": now,
        "ttft_ms": answer.ttft_ms,
        "chunks": None if answer.chunks is None else msgspec.to_builtins(answer.chunks),
        "trajectory": answer.trajectory,
        "logprobs": answer.logprobs,
    }


def _score_row(project_id: str, cell_key: str, key: str, score: Score, scorer: str, now: datetime) -> dict[str, Any]:
    return {
        "project_id": project_id,
        "key": key,
        "cell_key": cell_key,
        "scorer": scorer,
        "value": score.value,
        "passed": score.passed,
        "label": None if score.label is None else score.label[:200],
        "status": score.status,
        "explanation": score.explanation,
        "evidence": score.evidence,
        "cost_nano": round(score.cost * NANO),
        "tokens": score.tokens,
        "created_at": now,
    }


def _of(table: Any, project_id: str, run_id: str) -> tuple[Any, Any]:
    return col(table.project_id) == project_id, col(table.run_id) == run_id


async def briefly(
    session: AsyncSession, project_id: str, ids: Iterable[str]
) -> dict[str, tuple[str | None, str, datetime]]:
    """By id: suite, status, and when it was made."""
    query = select(col(RunRow.id), col(RunRow.suite), col(RunRow.status), col(RunRow.created_at)).where(
        col(RunRow.project_id) == project_id, col(RunRow.id).in_(set(ids))
    )
    return {row[0]: (row[1], row[2], row[3]) for row in (await session.execute(query)).all()}
