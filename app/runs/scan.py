"""Finding the cells of a page: a run is looked through in stretches, each one range of a primary key, until the page is full
or its time is up. What no index can answer, such as a text in a million answers, so costs a page no more than any other."""

import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import Row, and_, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.schemas import Entry, Item
from app.datasets.service import Datasets
from app.kit.db import core
from app.runs import store
from app.runs.compare import Side
from app.runs.flips import flipped
from app.runs.slices import holds
from app.runs.store import Loaded
from app.runs.tables import AnswerRow, RunCellRow, RunScoreRow, ScoreRow

BUDGET_S = 0.03
"""How long a page looks for its cells; it ends short, with a cursor, when there is no more time."""
AT_LEAST = 2_000
"""Cells that are looked at however long it takes, so that pages of small runs are never short."""
LEAST, MOST = 200, 20_000
MOST_NAMED = 5_000
LAST_REPEAT = 2**15 - 1

Place = tuple[int, int, int]
"""Variant, case, repeat."""
Where = Literal["answer", "inputs", "explanation", "any"]


class Filters(NamedTuple):
    """All that is given must hold. `failed`: some metric did not pass; `passed`, `minimum` and `maximum` go with `metric`; `q` is
    text in what `q_in` says; `slice` is `tag=<tag>` or `metadata.<field>=<value>`."""

    variant: str | None = None
    case: str | None = None
    status: str | None = None
    tag: str | None = None
    metric: str | None = None
    passed: bool | None = None
    failed: bool | None = None
    flipped: tuple[Side, Side] | None = None
    q: str | None = None
    q_in: Where = "answer"
    slice: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    error_kind: str | None = None
    slower_than_ms: float | None = None


class Chosen(NamedTuple):
    """Filters as numbers: `places` are the only cases that count, None for all; `field` (`metadata.<field>`) is to have `value`."""

    variants: list[int]
    places: list[int] | None
    metric_no: int | None
    field: str | None
    value: str


class Found(NamedTuple):
    cells: list[Row[Any]]
    following: Place | None


async def cells(
    session: AsyncSession, run: Loaded, filters: Filters, chosen: Chosen, limit: int, after: Place | None
) -> Found:
    """Up to `limit` cells in the order variant, case, repeat, and where to go on; None when there are no more."""
    return await _Scan(session, run, filters, chosen, limit).run(after)


class _Stretch(NamedTuple):
    """Some variants, and cases of them: numbers from `first` to `last`, or `named` alone."""

    variants: list[int]
    first: int
    last: int
    named: list[int] | None

    @property
    def cases(self) -> list[int]:
        return self.named if self.named is not None else list(range(self.first, self.last + 1))


class _Scan:
    def __init__(self, session: AsyncSession, run: Loaded, filters: Filters, chosen: Chosen, limit: int) -> None:
        self._session, self._run, self._filters, self._chosen, self._limit = session, run, filters, chosen, limit
        self._total = len(run.cases) if chosen.places is None else len(chosen.places)
        self._items: dict[int, Item] = {}
        f = filters
        self._of_cases = (
            f.flipped is not None or chosen.field is not None or (f.q is not None and f.q_in in ("inputs", "any"))
        )
        given = (f.status, f.passed, f.failed, f.q, f.minimum, f.maximum, f.error_kind, f.slower_than_ms)
        self._plain = not self._of_cases and all(one is None for one in given)

    async def run(self, after: Place | None) -> Found:
        began, looked, found = time.perf_counter(), 0, list[Row[Any]]()
        variants = await self._possible()
        index, position = self._begin(variants, after)
        per_case = self._run.spec.repeats
        size = self._limit // per_case + 2 if self._plain else max(LEAST, self._limit)
        while index < len(variants):
            some, stretch, index, position = self._stretch(variants, index, position, size)
            before = time.perf_counter()
            found += await self._look(stretch, after, self._limit + 1 - len(found))
            if len(found) > self._limit:
                last = found[self._limit - 1]
                return Found(found[: self._limit], (last.variant_no, last.case_no, last.repeat))
            now = time.perf_counter()
            looked += some * per_case
            left = BUDGET_S - (now - began)
            if index < len(variants) and left <= 0 and looked >= AT_LEAST:
                return Found(found, (stretch.variants[-1], stretch.last, LAST_REPEAT))
            if not self._plain:
                fits = int(0.8 * some * left / max(now - before, 1e-4))
                size = max(LEAST, min(4 * size, MOST, fits))
        return Found(found, None)

    def _begin(self, variants: Sequence[int], after: Place | None) -> tuple[int, int]:
        """The first variant to look at, and the first of its cases, as positions."""
        if after is None or self._total == 0:
            return (0, 0) if self._total else (len(variants), 0)
        index = next((i for i, n in enumerate(variants) if n >= after[0]), len(variants))
        if index == len(variants) or variants[index] > after[0]:
            return index, 0
        places = self._chosen.places
        first = max(0, after[1] + (after[2] >= self._run.spec.repeats - 1))  # all of that case is behind the reader
        position = first if places is None else bisect_left(places, first)
        return (index, position) if position < self._total else (index + 1, 0)

    def _stretch(self, variants: Sequence[int], index: int, position: int, size: int) -> tuple[int, _Stretch, int, int]:
        """How many cases are next, which, and the place behind them: some of one variant's, or all of several variants'."""
        places = self._chosen.places
        if places is not None:
            size = min(size, MOST_NAMED)
        if position == 0 and size >= self._total:
            several = variants[index : index + max(1, size // self._total)]
            start, end, after = 0, self._total, (index + len(several), 0)
        else:
            start, end, several = position, min(position + size, self._total), variants[index : index + 1]
            after = (index, end) if end < self._total else (index + 1, 0)
        named = None if places is None else places[start:end]
        first, last = (start, end - 1) if named is None else (named[0], named[-1])
        return (end - start) * len(several), _Stretch(list(several), first, last, named), *after

    async def _possible(self) -> list[int]:
        """The variants that may have such cells, by their counters."""
        status, variants = self._filters.status, self._chosen.variants
        if self._filters.error_kind is not None:
            status = "errored"
        if status is None or self._plain:
            return variants
        counters = await store.counters(self._session, self._run.row.project_id, self._run.row.id)
        counted = {row.variant_no: store.cells_of(row) for row in counters}
        if status == store.PENDING:
            return [n for n in variants if counted[n].planned > counted[n].ended]
        return [n for n in variants if getattr(counted[n], status)]

    async def _look(self, stretch: _Stretch, after: Place | None, limit: int) -> list[Row[Any]]:
        matching: set[int] = set()
        if self._of_cases:
            cases = await self._cases(stretch.cases)
            if self._filters.q is not None and self._filters.q_in in ("inputs", "any"):
                matching = await self._with_text(cases)
                cases = cases if self._filters.q_in == "any" else [n for n in cases if n in matching]
            if not cases:
                return []
            if len(cases) < len(stretch.cases):
                stretch = stretch._replace(named=cases)
        query = select(core(RunCellRow)).where(*_within(RunCellRow, self._run, stretch), *self._rows(stretch, matching))
        if after is not None and after[0] == stretch.variants[0] and after[1] == stretch.first:
            same = and_(col(RunCellRow.case_no) == after[1], col(RunCellRow.repeat) <= after[2])
            query = query.where(or_(col(RunCellRow.variant_no) != after[0], ~same))
        order = (col(RunCellRow.variant_no), col(RunCellRow.case_no), col(RunCellRow.repeat))
        return list(await self._session.execute(query.order_by(*order).limit(limit)))

    async def _cases(self, some: list[int]) -> list[int]:
        """Those that what is asked of cases alone holds for."""
        if self._filters.flipped is not None:
            ours, theirs = self._filters.flipped
            changed = await flipped(self._session, ours, theirs, self._filters.metric, some)
            some = [n for n in some if n in changed]
        if self._chosen.field is not None:
            items = await self._read(some)
            some = [n for n in some if holds(items[n].metadata, self._chosen.field, self._chosen.value)]
        return some

    async def _with_text(self, some: list[int]) -> set[int]:
        sought = (self._filters.q or "").lower()
        items = await self._read(some)
        return {n for n in some if any(sought in text.lower() for text in _texts(items[n].inputs))}

    async def _read(self, some: list[int]) -> dict[int, Item]:
        """Their items; each is read once for all variants of a page."""
        lacking = [n for n in some if n not in self._items]
        entries = [Entry(case.id, case.digest, case.tags) for case in (self._run.cases[n] for n in lacking)]
        found = await Datasets(self._session, self._run.row.project_id).some(entries)
        self._items |= dict(zip(lacking, found, strict=True))
        return self._items

    def _rows(self, stretch: _Stretch, matching: set[int]) -> list[Any]:
        f = self._filters
        conditions: list[Any] = []
        if f.status is not None:
            conditions.append(col(RunCellRow.status) == f.status)
        if f.error_kind is not None:
            conditions.append(col(RunCellRow.error_kind) == f.error_kind)
        if f.passed is not None or f.minimum is not None or f.maximum is not None:
            asked = [col(RunScoreRow.metric_no) == self._chosen.metric_no]
            if f.passed is not None:
                asked.append(col(RunScoreRow.passed) == f.passed)
            if f.minimum is not None:
                asked.append(col(RunScoreRow.value) >= f.minimum)
            if f.maximum is not None:
                asked.append(col(RunScoreRow.value) <= f.maximum)
            conditions.append(self._scored(stretch, *asked))
        if f.failed is not None:
            every = list(range(len(self._run.spec.metrics)))
            lost = self._scored(stretch, col(RunScoreRow.metric_no).in_(every), col(RunScoreRow.passed) == False)  # noqa: E712
            conditions.append(lost if f.failed else ~lost)
        if f.slower_than_ms is not None:
            conditions.append(_answer(col(AnswerRow.latency_ms) > f.slower_than_ms))
        if f.q is not None and f.q_in != "inputs":
            either = [] if f.q_in == "explanation" else [_answer(_has(col(AnswerRow.text), f.q))]
            if f.q_in != "answer":
                either += [self._explained(stretch, f.q)]
            if matching:
                either.append(col(RunCellRow.case_no).in_(sorted(matching)))
            conditions.append(or_(*either))
        return conditions

    def _scored(self, stretch: _Stretch, *conditions: Any) -> Any:
        """Cells with such a score. Every metric is named, so that each is one range of the primary key."""
        place = (col(RunScoreRow.variant_no), col(RunScoreRow.case_no), col(RunScoreRow.repeat))
        some = select(*place).where(*_within(RunScoreRow, self._run, stretch), *conditions)
        return tuple_(col(RunCellRow.variant_no), col(RunCellRow.case_no), col(RunCellRow.repeat)).in_(some)

    def _explained(self, stretch: _Stretch, text: str) -> Any:
        every = col(RunScoreRow.metric_no).in_(list(range(len(self._run.spec.metrics))))
        kept = exists().where(
            col(ScoreRow.project_id) == col(RunScoreRow.project_id),
            col(ScoreRow.key) == col(RunScoreRow.score_key),
            _has(col(ScoreRow.explanation), text),
        )
        return self._scored(stretch, every, or_(_has(col(RunScoreRow.error), text), kept))


def _within(table: Any, run: Loaded, stretch: _Stretch) -> list[Any]:
    variants = stretch.variants
    return [
        col(table.project_id) == run.row.project_id,
        col(table.run_id) == run.row.id,
        col(table.variant_no) == variants[0] if len(variants) == 1 else col(table.variant_no).in_(variants),
        col(table.case_no).between(stretch.first, stretch.last)
        if stretch.named is None
        else col(table.case_no).in_(stretch.named),
    ]


def _answer(condition: Any) -> Any:
    return exists().where(
        col(AnswerRow.project_id) == col(RunCellRow.project_id),
        col(AnswerRow.cell_key) == col(RunCellRow.cell_key),
        condition,
    )


def _has(column: Any, text: str) -> Any:
    return func.lower(column).contains(text.lower(), autoescape=True)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    return [text for inner in value for text in _texts(inner)] if isinstance(value, list) else []
