"""The cells of a run with their answers and scores: filtered, a page at a time, or all of them for an export."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import Row, Select, exists, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.schemas import Entry, Item
from app.datasets.service import Datasets
from app.generation.schemas import Bundle, CaseInput
from app.generation.service import sent
from app.kit.db import Sessions, batched_by_variables, core
from app.kit.errors import BadRequestError
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.registry.service import Registry
from app.runs import store
from app.runs.compare import Side, comparison
from app.runs.planner import stored_bundle
from app.runs.schemas import AnswerRead, Result, ScoreRead, usd
from app.runs.spec import Metric
from app.runs.store import Loaded
from app.runs.tables import AnswerRow, RunCellRow, RunScoreRow

CELL = (col(RunCellRow.variant_no), col(RunCellRow.case_no), col(RunCellRow.repeat))


class Filters(NamedTuple):
    """All that is given must hold. `failed`: some metric did not pass; `passed` goes with `metric`; `q` is text in the answer."""

    variant: str | None = None
    case: str | None = None
    status: str | None = None
    tag: str | None = None
    metric: str | None = None
    passed: bool | None = None
    failed: bool | None = None
    flipped: tuple[Side, Side] | None = None
    q: str | None = None


Evidence = Literal["none", "stored", "all"]
"""What of an answer is read beside its text: nothing large, what is stored of it, or also the prompt, which is rendered."""


async def page(
    session: AsyncSession, run: Loaded, filters: Filters, limit: int, cursor: str | None, evidence: Evidence = "none"
) -> Page[Result]:
    """Cells in the order variant, case, repeat."""
    query = (await _filtered(session, run, filters)).order_by(*CELL).limit(limit + 1)
    if cursor is not None:
        query = query.where(tuple_(*CELL) > tuple_(*[literal(part) for part in decode_cursor(cursor, (int, int, int))]))
    cells = list(await session.execute(query))
    items = await _read(session, run, cells[:limit], evidence)
    last = cells[limit - 1] if len(cells) > limit else None
    return Page(items, None if last is None else encode_cursor(last.variant_no, last.case_no, last.repeat))


async def each(
    sessions: Sessions, run: Loaded, size: int = 1_000, evidence: Evidence = "none"
) -> AsyncIterator[list[Result]]:
    """Every cell, in portions, between which no session is open: their reader may be slow, or go away."""
    cursor = None
    while True:
        async with sessions() as session:
            found = await page(session, run, Filters(), size, cursor, evidence)
        yield found.items
        cursor = found.next_cursor
        if cursor is None:
            return


async def _filtered(session: AsyncSession, run: Loaded, filters: Filters) -> Select[Any]:
    query = select(core(RunCellRow)).where(
        col(RunCellRow.project_id) == run.row.project_id, col(RunCellRow.run_id) == run.row.id
    )
    if filters.variant is not None:
        numbers = run.spec.of(filters.variant)
        if not numbers:
            known = ", ".join(v.id for v in run.spec.variants)
            raise BadRequestError.at("/variant", f"this run has no {filters.variant!r}; it has {known}")
        query = query.where(col(RunCellRow.variant_no).in_(numbers))
    if filters.status is not None:
        query = query.where(col(RunCellRow.status) == filters.status)
    places: set[int] | None = None
    if filters.case is not None:
        places = {n for n, case in enumerate(run.cases) if case.id == filters.case}
    if filters.tag is not None:
        tagged = {n for n, case in enumerate(run.cases) if filters.tag in case.tags}
        places = tagged if places is None else places & tagged
    if filters.flipped is not None:
        flips = (await comparison(session, *filters.flipped)).flips
        flipped = {flip.case for flip in flips if filters.metric in (None, flip.metric)}
        changed = {n for n, case in enumerate(run.cases) if case.id in flipped}
        places = changed if places is None else places & changed
    if places is not None:
        some = batched_by_variables(sorted(places))
        query = query.where(or_(*[col(RunCellRow.case_no).in_(part) for part in some]) if some else literal(False))
    if filters.metric is not None and filters.metric not in {m.name for m in run.spec.metrics}:
        known = ", ".join(m.name for m in run.spec.metrics)
        raise BadRequestError.at("/metric", f"this run has no metric {filters.metric!r}; it has {known}")
    if filters.passed is not None:
        if filters.metric is None:
            raise BadRequestError.at("/passed", "say of which metric: metric=…")
        number = next(n for n, m in enumerate(run.spec.metrics) if m.name == filters.metric)
        query = query.where(_scored(col(RunScoreRow.metric_no) == number, col(RunScoreRow.passed) == filters.passed))
    if filters.failed is not None:
        lost = _scored(col(RunScoreRow.passed) == False)  # noqa: E712 - SQL
        query = query.where(lost if filters.failed else ~lost)
    if filters.q is not None:
        found = exists().where(
            col(AnswerRow.project_id) == col(RunCellRow.project_id),
            col(AnswerRow.cell_key) == col(RunCellRow.cell_key),
            func.lower(col(AnswerRow.text)).contains(filters.q.lower(), autoescape=True),
        )
        query = query.where(found)
    return query


def _scored(*conditions: Any) -> Any:
    return exists().where(
        col(RunScoreRow.project_id) == col(RunCellRow.project_id),
        col(RunScoreRow.run_id) == col(RunCellRow.run_id),
        col(RunScoreRow.variant_no) == col(RunCellRow.variant_no),
        col(RunScoreRow.case_no) == col(RunCellRow.case_no),
        col(RunScoreRow.repeat) == col(RunCellRow.repeat),
        *conditions,
    )


async def _read(session: AsyncSession, run: Loaded, cells: Sequence[Row[Any]], evidence: Evidence) -> list[Result]:
    if not cells:
        return []
    project_id, run_id = run.row.project_id, run.row.id
    keys = [c.cell_key for c in cells if c.status in ("cached", "answered", "failed")]
    answers = await store.answers(session, project_id, keys, () if evidence == "none" else store.LARGE)
    bundles: dict[int, Bundle] = {}
    if evidence == "all":
        registry = Registry(session, project_id)
        for number in {cell.variant_no for cell in cells}:
            bundles[number] = await stored_bundle(registry, run.spec.variants[number])
    numbers = sorted({cell.case_no for cell in cells})
    entries = [Entry(run.cases[n].id, run.cases[n].digest, run.cases[n].tags) for n in numbers]
    items = dict(zip(numbers, await Datasets(session, project_id).some(entries), strict=True))
    rows: dict[tuple[int, int, int], list[Row[Any]]] = {}
    for some in batched_by_variables([(c.variant_no, c.case_no, c.repeat) for c in cells], 4):
        query = select(core(RunScoreRow)).where(
            col(RunScoreRow.project_id) == project_id,
            col(RunScoreRow.run_id) == run_id,
            tuple_(col(RunScoreRow.variant_no), col(RunScoreRow.case_no), col(RunScoreRow.repeat)).in_(some),
        )
        for row in await session.execute(query):
            rows.setdefault((row.variant_no, row.case_no, row.repeat), []).append(row)
    scored = [row.score_key for several in rows.values() for row in several if row.score_key is not None]
    scores = await store.scores(session, project_id, scored)
    results = [
        _result(run, cell, answers.get(cell.cell_key), items[cell.case_no], rows.get((cell.variant_no, cell.case_no, cell.repeat), []), scores)
        for cell in cells
    ]  # fmt: skip
    if evidence == "none":
        return results
    return [
        _with_evidence(result, answers.get(cell.cell_key), items[cell.case_no], bundles.get(cell.variant_no))
        for result, cell in zip(results, cells, strict=True)
    ]


def _with_evidence(result: Result, row: Row[Any] | None, item: Item, bundle: Bundle | None) -> Result:
    if row is None or result.answer is None:
        return result
    answer = store.answer_of(row)
    stored: dict[str, Any] = {name: getattr(answer, name) for name in store.LARGE}
    if bundle is None:  # a file of many thousand lines names only what is there
        stored = {name: value for name, value in stored.items() if value is not None}
    shown = msgspec.structs.replace(result.answer, **stored)
    if bundle is not None:
        prompt = None if item.erased else sent(bundle, CaseInput(item.inputs, item.history), answer.context)
        shown = msgspec.structs.replace(shown, prompt=prompt)
    return msgspec.structs.replace(result, answer=shown)


def _result(
    run: Loaded,
    cell: Row[Any],
    answer: Row[Any] | None,
    item: Item,
    rows: Sequence[Row[Any]],
    scores: dict[str, Row[Any]],
) -> Result:
    if cell.status not in ("cached", "answered", "failed"):
        answer = None
    return Result(
        variant=run.spec.variants[cell.variant_no].id,
        case=run.cases[cell.case_no].id,
        repeat=cell.repeat,
        status=cell.status,
        answer=None if answer is None else _answer(run, answer),
        error=cell.error if answer is None else answer.error,
        scores={
            run.spec.metrics[row.metric_no].name: _score(
                run.spec.metrics[row.metric_no], row, scores.get(row.score_key or "")
            )
            for row in sorted(rows, key=lambda row: row.metric_no)
        },
        inputs=item.inputs,
        reference=item.reference,
        tags=item.tags,
        error_kind=cell.error_kind,
    )


def _answer(run: Loaded, row: Row[Any]) -> AnswerRead:
    answer = store.answer_of(row)
    return AnswerRead(
        text=answer.text,
        parsed=answer.parsed,
        tool_calls=None if answer.tool_calls is None else [msgspec.to_builtins(call) for call in answer.tool_calls],
        finish_reason=answer.finish_reason,
        usage=None if answer.usage is None else msgspec.to_builtins(answer.usage),
        cost_usd=None if answer.cost_nano is None else usd(answer.cost_nano),
        latency_ms=answer.latency_ms,
        cached=row.run_id != run.row.id,
        context=answer.context,
        model=answer.model,
        ttft_ms=answer.ttft_ms,
    )


def _score(metric: Metric, row: Row[Any], kept: Row[Any] | None) -> ScoreRead:
    paid = kept is not None and not row.cached
    return ScoreRead(
        value=row.value,
        passed=row.passed,
        label=None if kept is None else kept.label,
        status=row.status,
        explanation=(row.error or "") if kept is None else kept.explanation,
        evidence=None if kept is None else kept.evidence,
        version=metric.version,
        direction=metric.direction,
        cost_usd=usd(kept.cost_nano) if kept is not None and paid else 0.0,
        tokens=kept.tokens if kept is not None and paid else 0,
        cached=bool(row.cached),
    )
