"""The cells of a case beside each other, and metrics over parts of a run's cases."""

import asyncio
import time
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.schemas import Entry, Item
from app.datasets.service import Datasets
from app.kit.db import core
from app.kit.errors import BadRequestError
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.runs import columns, results
from app.runs.cases import cases_of
from app.runs.scan import BUDGET_S, Filters
from app.runs.schemas import CaseCell, CaseRead, MetricSummary, Result, RunSlices, SliceRead
from app.runs.slices import METADATA, TAG, by_of, holds, told
from app.runs.store import Loaded
from app.runs.summary import summary_of
from app.runs.tables import RunCellRow

MOST_CELLS = 5_000
"""Cells of one page: it has fewer cases than were asked for where they have many."""
MOST_SLICES = 200
SMALL = 30
AT_ONCE = 2_000


async def page(
    session: AsyncSession, run: Loaded, filters: Filters, variants: Sequence[str], limit: int, cursor: str | None
) -> Page[CaseRead]:
    """Cases in the order of the dataset, with the cells of `variants` (all by default). Of the filters those of cases count."""
    numbers = sorted({n for name in variants for n in results.variants_of(run, name)}) or list(
        range(len(run.spec.variants))
    )
    limit = max(1, min(limit, MOST_CELLS // (len(numbers) * run.spec.repeats)))
    start = 0 if cursor is None else int(decode_cursor(cursor, (int,))[0]) + 1
    places, following = await _places(session, run, filters, start, limit)
    table = core(RunCellRow)
    query = select(table).where(
        col(RunCellRow.project_id) == run.row.project_id,
        col(RunCellRow.run_id) == run.row.id,
        col(RunCellRow.variant_no).in_(numbers),
        col(RunCellRow.case_no).in_(places),
    )
    cells = (await session.execute(query.order_by(table.c.case_no, table.c.variant_no, table.c.repeat))).all()
    by_case: dict[str, list[Result]] = {}
    for result in await results.read(session, run, cells, "none"):
        by_case.setdefault(result.case, []).append(result)
    return Page(
        [_beside(several) for several in by_case.values()], None if following is None else encode_cursor(following)
    )


async def _places(
    session: AsyncSession, run: Loaded, filters: Filters, start: int, limit: int
) -> tuple[list[int], int | None]:
    """The numbers of the next cases, and the last number that was looked at; None when no more are left."""
    chosen = await results.chosen(session, run, filters)
    left = [n for n in (range(len(run.cases)) if chosen.places is None else chosen.places) if n >= start]
    if chosen.field is None:
        return left[:limit], left[limit - 1] if len(left) > limit else None
    found: list[int] = []
    began, position = time.perf_counter(), 0
    while position < len(left) and (position < AT_ONCE or time.perf_counter() - began < BUDGET_S):
        some = left[position : position + AT_ONCE // 4]
        for n, item in zip(some, await _items(session, run, some), strict=True):
            if holds(item.metadata, chosen.field, chosen.value):
                if len(found) == limit:
                    return found, n - 1
                found.append(n)
        position += len(some)
    return found, left[position - 1] if position < len(left) else None


async def _items(session: AsyncSession, run: Loaded, numbers: Sequence[int]) -> list[Item]:
    entries = [Entry(case.id, case.digest, case.tags) for case in (run.cases[n] for n in numbers)]
    return await Datasets(session, run.row.project_id).some(entries)


def _beside(several: Sequence[Result]) -> CaseRead:
    first = several[0]
    cells = [CaseCell(r.variant, r.repeat, r.status, r.answer, r.error, r.scores, r.error_kind) for r in several]
    return CaseRead(first.case, first.inputs, first.reference, first.tags, cells, differing(cells))


def differing(cells: Sequence[CaseCell]) -> list[str]:
    """What is not the same in all cells; a call's text is compared with its calls of tools."""
    seen: dict[str, set[str]] = {}
    for cell in cells:
        answer = cell.answer
        seen.setdefault("status", set()).add("failed" if cell.status == "failed" else "" if answer else cell.status)
        seen.setdefault("answer", set()).add("" if answer is None else repr((answer.text, answer.tool_calls)))
        for name, score in cell.scores.items():
            seen.setdefault(f"score {name}", set()).add(repr((score.value, score.passed, score.status)))
    return [name.removeprefix("score ") for name, values in seen.items() if len(values) > 1]


async def slices(session: AsyncSession, run: Loaded, by: str | None) -> RunSlices:
    """Every metric of every variant over all cases, as in the run itself, and over those of each slice."""
    members = {} if by is None else await _members(session, run, by_of(by))
    if len(members) > MOST_SLICES:
        raise BadRequestError.at(
            "/by", f"{by} has {len(members)} values; at most {MOST_SLICES} slices can be summed up"
        )
    clusters = [case.cluster for case in run.cases]
    shape = (len(run.cases), run.spec.repeats)
    found: list[SliceRead] = []
    for variant_no, variant in enumerate(run.spec.variants):
        for metric_no, metric in enumerate(run.spec.metrics):
            scores = await columns.scores(session, run.row.project_id, run.row.id, variant_no, metric_no, shape)
            for name, numbers in [(None, None), *members.items()]:
                some, alike = scores, clusters
                if numbers is not None:
                    some, alike = columns.of_cases(scores, numbers), [clusters[n] for n in numbers]
                read = await asyncio.to_thread(summary_of, metric, *some, alike)
                found.append(_slice(variant.id, metric.name, name, read))
    return RunSlices(by, {name: len(numbers) for name, numbers in members.items()}, found)


def _slice(variant: str, metric: str, name: str | None, read: MetricSummary) -> SliceRead:
    same = {f: getattr(read, f) for f in ("n", "missing", "mean", "low", "high", "direction", "unit", "pass_rate")}
    return SliceRead(variant=variant, metric=metric, slice=name, **same, small=read.n < SMALL)


async def _members(session: AsyncSession, run: Loaded, by: str) -> dict[str, list[int]]:
    """The numbers of the cases of each slice, the slices in the order of their names."""
    if by == TAG:
        return dict(sorted((await cases_of(session, run)).tagged.items()))
    field = by.removeprefix(METADATA)
    found: dict[str, list[int]] = {}
    for start in range(0, len(run.cases), AT_ONCE):
        some = range(start, min(start + AT_ONCE, len(run.cases)))
        for n, item in zip(some, await _items(session, run, some), strict=True):
            if field in item.metadata:
                found.setdefault(told(item.metadata[field]), []).append(n)
    if not found:
        raise BadRequestError.at("/by", f"no case of this run has the field {field!r} in its metadata")
    return dict(sorted(found.items()))
