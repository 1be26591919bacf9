"""The cells of a run with their answers and scores: filtered, a page at a time, or all of them for an export."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.datasets.schemas import Entry, Item
from app.datasets.service import Datasets
from app.generation.schemas import Bundle, CaseInput
from app.generation.service import sent
from app.kit.db import Sessions, batched_by_variables, core
from app.kit.errors import BadRequestError
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.kit.texts import require_findable
from app.registry.service import Registry
from app.runs import scan, store
from app.runs.cases import cases_of
from app.runs.planner import stored_bundle
from app.runs.scan import Chosen, Filters
from app.runs.schemas import AnswerRead, Result, ScoreRead, usd
from app.runs.slices import TAG, slice_of
from app.runs.spec import Metric
from app.runs.store import Loaded
from app.runs.tables import RunScoreRow, ScoreRow

Evidence = Literal["none", "stored", "all"]
"""What of an answer is read beside its text: nothing large, what is stored of it, or also the prompt, which is rendered."""


async def page(
    session: AsyncSession, run: Loaded, filters: Filters, limit: int, cursor: str | None, evidence: Evidence = "none"
) -> Page[Result]:
    """Cells in the order variant, case, repeat. Where few cells are found in long, a page is short and has a cursor still."""
    after = None if cursor is None else decode_cursor(cursor, (int, int, int))
    numbers = await chosen(session, run, filters)
    place = None if after is None else (after[0], after[1], after[2])
    found = await scan.cells(session, run, filters, numbers, limit, place)
    items = await read(session, run, found.cells, evidence)
    return Page(items, None if found.following is None else encode_cursor(*found.following))


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


async def chosen(session: AsyncSession, run: Loaded, filters: Filters) -> Chosen:
    """The filters as numbers. Raises `BadRequestError` for one that means nothing in this run."""
    spec = run.spec
    variants = list(range(len(spec.variants))) if filters.variant is None else variants_of(run, filters.variant)
    names = [m.name for m in spec.metrics]
    if filters.metric is not None and filters.metric not in names:
        raise BadRequestError.at("/metric", f"this run has no metric {filters.metric!r}; it has {', '.join(names)}")
    for name in ("passed", "minimum", "maximum"):
        if getattr(filters, name) is not None and filters.metric is None:
            pointer = {"minimum": "/min", "maximum": "/max"}.get(name, "/passed")
            raise BadRequestError.at(pointer, "say of which metric: metric=…")
    tags = [] if filters.tag is None else [filters.tag]
    for name in ("q", "error_kind"):
        require_findable(getattr(filters, name), f"/{name}")
    by, value = (None, "") if filters.slice is None else slice_of(filters.slice)
    if by == TAG:
        tags.append(value)
    cases = await cases_of(session, run)
    few = [cases.tagged.get(tag, []) for tag in tags]
    if filters.case is not None:
        few.append(cases.numbers([filters.case]))
    places = None if not few else few[0] if len(few) == 1 else sorted(set(few[0]).intersection(*few[1:]))
    number = None if filters.metric is None else names.index(filters.metric)
    return Chosen(variants, places, number, None if by in (None, TAG) else by, value)


def variants_of(run: Loaded, name: str) -> list[int]:
    """The numbers of a candidate's variants, or of one variant. Raises `BadRequestError` naming what the run has."""
    if not (found := sorted(run.spec.of(name))):
        known = ", ".join(v.id for v in run.spec.variants)
        raise BadRequestError.at("/variant", f"this run has no {name!r}; it has {known}")
    return found


async def read(session: AsyncSession, run: Loaded, cells: Sequence[Row[Any]], evidence: Evidence) -> list[Result]:
    if not cells:
        return []
    project_id = run.row.project_id
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
    rows = await _scores(session, run, cells)
    results = [
        _result(run, cell, answers.get(cell.cell_key), items[cell.case_no], rows.get((cell.variant_no, cell.case_no, cell.repeat), []))
        for cell in cells
    ]  # fmt: skip
    if evidence == "none":
        return results
    return [
        _with_evidence(result, answers.get(cell.cell_key), items[cell.case_no], bundles.get(cell.variant_no))
        for result, cell in zip(results, cells, strict=True)
    ]


async def _scores(
    session: AsyncSession, run: Loaded, cells: Sequence[Row[Any]]
) -> dict[tuple[int, int, int], list[Row[Any]]]:
    """The scores of some cells with what is kept of them, by cell and in the order of the metrics.

    Every column of the primary key is named by its values alone: rows of values as such would have SQLite read the whole run.
    """
    own, kept = core(RunScoreRow), core(ScoreRow)
    of_kept = (kept.c.label, kept.c.explanation, kept.c.evidence, kept.c.cost_nano, kept.c.tokens)
    places = {(cell.variant_no, cell.case_no, cell.repeat) for cell in cells}
    found: dict[tuple[int, int, int], list[Row[Any]]] = {}
    for some in batched_by_variables(sorted({case_no for _, case_no, _ in places}), 2):
        query = (
            select(own, kept.c.key.label("kept"), *of_kept)
            .outerjoin(kept, (kept.c.project_id == own.c.project_id) & (kept.c.key == own.c.score_key))
            .where(
                own.c.project_id == run.row.project_id,
                own.c.run_id == run.row.id,
                own.c.variant_no.in_(sorted({variant_no for variant_no, _, _ in places})),
                own.c.metric_no.in_(list(range(len(run.spec.metrics)))),
                own.c.case_no.in_(some),
            )
        )
        for row in await session.execute(query):
            if (place := (row.variant_no, row.case_no, row.repeat)) in places:
                found.setdefault(place, []).append(row)
    return {place: sorted(several, key=lambda row: row.metric_no) for place, several in found.items()}


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
        scores={run.spec.metrics[row.metric_no].name: _score(run.spec.metrics[row.metric_no], row) for row in rows},
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


def _score(metric: Metric, row: Row[Any]) -> ScoreRead:
    kept = row.kept is not None
    paid = kept and not row.cached
    return ScoreRead(
        value=row.value,
        passed=row.passed,
        label=row.label,
        status=row.status,
        explanation=row.explanation if kept else row.error or "",
        evidence=row.evidence,
        version=metric.version,
        direction=metric.direction,
        cost_usd=usd(row.cost_nano) if paid else 0.0,
        tokens=row.tokens if paid else 0,
        cached=bool(row.cached),
    )
