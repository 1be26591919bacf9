from collections.abc import AsyncIterator
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import ServerSentEvent, Stream
from litestar.response.sse import ServerSentEventMessage
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit
from app.kit.texts import require_findable
from app.runs.asked import RunClone, RunExtend, RunPlan
from app.runs.export import MEDIA_TYPES, export
from app.runs.masking import Masking
from app.runs.scan import Filters, Where
from app.runs.schemas import (
    CaseRead,
    CellStatus,
    Comparison,
    ExportFormat,
    Result,
    RunCreate,
    RunRead,
    RunRescore,
    RunResume,
    RunSlices,
    RunStarted,
    RunStatus,
    RunSummary,
)
from app.runs.service import Runs
from app.runs.slices import METADATA

READ, WRITE = {"permission": "runs:read"}, {"permission": "runs:write"}
MAX_WAIT_S = 600


class RunController(Controller):
    path = "/api/v1/runs"
    tags = ("Runs",)

    @post("/", operation_id="create_run", opt=WRITE, status_code=202)
    async def create(
        self,
        caller: NamedDependency[Caller],
        state: State,
        data: JSONBody[RunCreate],
        wait: Annotated[float, QueryParameter(ge=0, le=MAX_WAIT_S)] = 0.0,
    ) -> Response[RunStarted | RunRead]:
        """Start a run. With `wait` (seconds), the finished run when it ends in time."""
        runs: Runs = state.runs
        started = await runs.create(caller, data)
        if wait > 0 and await runs.wait(caller.project_id, started.id, wait):
            async with state.sessions() as session:
                return Response(await runs.get(session, caller.project_id, started.id), status_code=200)
        return Response(started, status_code=202)

    @post("/plan", operation_id="plan_run", opt=WRITE, status_code=200)
    async def plan(self, caller: NamedDependency[Caller], state: State, data: JSONBody[RunCreate]) -> RunPlan:
        """What such a run would call, and what that may take, by endpoint. Stores nothing and calls nothing."""
        runs: Runs = state.runs
        return await runs.plan(caller, data)

    @get("/", operation_id="list_runs", opt=READ)
    async def page(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
        status: FromQuery[RunStatus | None] = None,
        suite: FromQuery[str | None] = None,
    ) -> Page[RunSummary]:
        """Runs, newest first."""
        require_findable(suite, "/suite")
        runs: Runs = state.runs
        return await runs.page(session, caller.project_id, checked_limit(limit), cursor, status, suite)

    @get("/{run_id:str}", operation_id="get_run", opt=READ)
    async def one(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        run_id: FromPath[str],
    ) -> RunRead:
        """A run with its counters, costs and metrics."""
        runs: Runs = state.runs
        return await runs.get(session, caller.project_id, run_id)

    @get("/{run_id:str}/events", operation_id="watch_run", opt=READ)
    async def events(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        run_id: FromPath[str],
    ) -> ServerSentEvent:
        """Server-sent events: `progress` while it runs, `done` when it rests."""
        runs: Runs = state.runs
        await runs.loaded(session, caller.project_id, run_id)

        async def told() -> AsyncIterator[ServerSentEventMessage]:
            number = 0
            async for progress in runs.progress(caller.project_id, run_id):
                number += 1
                name = "progress" if progress.status in ("queued", "running") else "done"
                yield ServerSentEventMessage(event=name, id=str(number), data=msgspec.json.encode(progress).decode())

        return ServerSentEvent(told())

    @get("/{run_id:str}/results", operation_id="list_results", opt=READ)
    async def results(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        run_id: FromPath[str],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
        variant: FromQuery[str | None] = None,
        case: FromQuery[str | None] = None,
        status: FromQuery[CellStatus | None] = None,
        tag: FromQuery[str | None] = None,
        metric: FromQuery[str | None] = None,
        passed: FromQuery[bool | None] = None,
        failed: FromQuery[bool | None] = None,
        flipped_against: FromQuery[str | None] = None,
        q: FromQuery[str | None] = None,
        q_in: FromQuery[Where] = "answer",
        slice: FromQuery[str | None] = None,  # noqa: A002 - the route's own words
        min: FromQuery[float | None] = None,  # noqa: A002
        max: FromQuery[float | None] = None,  # noqa: A002
        error_kind: FromQuery[str | None] = None,
        slower_than_ms: FromQuery[float | None] = None,
        evidence: FromQuery[bool] = False,
    ) -> Page[Result]:
        """Cells with their answers and scores. Readable while the run is at work. What may hold values above the key's
        clearance is masked. With `evidence`, also what was retrieved, sent and said in between.

        `slice` is `tag=<tag>` or `metadata.<field>=<value>`; `q` is text in the answer, or in what `q_in` says; `min` and `max`
        bound the value of `metric`. A page is looked for in a limited time: where few cells are found among many, it holds
        fewer than `limit`, perhaps none, and `next_cursor` goes on behind those that were looked at. The end is where
        `next_cursor` is null.
        """
        runs: Runs = state.runs
        filters = Filters(
            variant, case, status, tag, metric, passed, failed, None, q, q_in, slice, min, max, error_kind, slower_than_ms
        )  # fmt: skip
        run = await runs.loaded(session, caller.project_id, run_id)
        masking = await Masking.of(session, run, caller.clearance)
        if q is not None:
            masking.allow_search()
        if slice is not None and slice.startswith(METADATA):
            masking.allow_slices()
        page = await runs.results(
            session,
            caller.project_id,
            run_id,
            filters,
            flipped_against,
            checked_limit(limit),
            cursor,
            evidence=evidence,
        )
        return Page(masking.of_all(page.items), page.next_cursor)

    @get("/{run_id:str}/cases", operation_id="list_run_cases", opt=READ)
    async def cases(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        run_id: FromPath[str],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
        variant: FromQuery[list[str] | None] = None,
        case: FromQuery[str | None] = None,
        tag: FromQuery[str | None] = None,
        slice: FromQuery[str | None] = None,  # noqa: A002 - the route's own word
    ) -> Page[CaseRead]:
        """Cases with the answers and scores of all variants (or of those named) beside each other, and what differs. Pages may
        hold fewer cases than `limit`; the end is where `next_cursor` is null."""
        runs: Runs = state.runs
        masking = await Masking.of(session, await runs.loaded(session, caller.project_id, run_id), caller.clearance)
        if slice is not None and slice.startswith(METADATA):
            masking.allow_slices()
        filters = Filters(case=case, tag=tag, slice=slice)
        page = await runs.cases(
            session, caller.project_id, run_id, filters, variant or [], checked_limit(limit), cursor
        )
        return Page([masking.beside(one) for one in page.items], page.next_cursor)

    @get("/{run_id:str}/summary", operation_id="sum_up_run", opt=READ)
    async def summary(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        run_id: FromPath[str],
        by: FromQuery[str | None] = None,
    ) -> RunSlices:
        """Each metric of each variant over all cases and, with `by` (`tag` or `metadata.<field>`), over those of each slice."""
        runs: Runs = state.runs
        if by is not None and by.startswith(METADATA):
            run = await runs.loaded(session, caller.project_id, run_id)
            (await Masking.of(session, run, caller.clearance)).allow_slices()
        return await runs.slices(session, caller.project_id, run_id, by)

    @get("/{run_id:str}/comparison", operation_id="compare_run", opt=READ)
    async def comparison(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        run_id: FromPath[str],
        candidate: FromQuery[str | None] = None,
        baseline: FromQuery[str | None] = None,
    ) -> Comparison:
        """Two candidates or variants, paired by case: per metric and tag, with the cases that changed sides."""
        runs: Runs = state.runs
        return await runs.comparison(session, caller.project_id, run_id, candidate, baseline)

    @get("/{run_id:str}/export", operation_id="export_run", opt=READ)
    async def export(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        run_id: FromPath[str],
        format: FromQuery[Literal["jsonl", "csv", "parquet"]] = "jsonl",  # noqa: A002 - the route's own word
    ) -> Stream:
        """All cells as JSON lines, CSV or Parquet."""
        runs: Runs = state.runs
        run = await runs.loaded(session, caller.project_id, run_id)
        masking = await Masking.of(session, run, caller.clearance)
        kind: ExportFormat = format

        headers = {
            "Content-Disposition": f'attachment; filename="{run_id}.{kind}"',
            "X-Content-Type-Options": "nosniff",
        }
        return Stream(export(state.sessions, run, kind, masking), media_type=MEDIA_TYPES[kind], headers=headers)

    @post("/{run_id:str}/cancel", operation_id="cancel_run", opt=WRITE, status_code=200)
    async def cancel(self, caller: NamedDependency[Caller], state: State, run_id: FromPath[str]) -> RunRead:
        """Stop a run: no new call from now on."""
        runs: Runs = state.runs
        return await runs.cancel(caller, run_id)

    @post("/{run_id:str}/resume", operation_id="resume_run", opt=WRITE, status_code=202)
    async def resume(
        self,
        caller: NamedDependency[Caller],
        state: State,
        run_id: FromPath[str],
        data: JSONBody[RunResume | None] = None,
    ) -> RunRead:
        """Run what was cancelled, or lost to infrastructure; with `only` errors the latter alone."""
        runs: Runs = state.runs
        return await runs.resume(caller, run_id, data or RunResume())

    @post("/{run_id:str}/extend", operation_id="extend_run", opt=WRITE, status_code=202)
    async def extend(
        self, caller: NamedDependency[Caller], state: State, run_id: FromPath[str], data: JSONBody[RunExtend]
    ) -> RunRead:
        """More cases or repeats into a run at rest; what it has stays."""
        runs: Runs = state.runs
        return await runs.extend(caller, run_id, data)

    @post("/{run_id:str}/clone", operation_id="clone_run", opt=WRITE, status_code=202)
    async def clone(
        self,
        caller: NamedDependency[Caller],
        state: State,
        run_id: FromPath[str],
        data: JSONBody[RunClone | None] = None,
    ) -> RunStarted:
        """A new run, asked for as this one was, with the versions that it had, but for the changes."""
        runs: Runs = state.runs
        return await runs.clone(caller, run_id, data or RunClone())

    @post("/{run_id:str}/rescore", operation_id="rescore_run", opt=WRITE, status_code=202)
    async def rescore(
        self,
        caller: NamedDependency[Caller],
        state: State,
        run_id: FromPath[str],
        data: JSONBody[RunRescore | None] = None,
    ) -> RunRead:
        """Score the stored answers again, by the current scorers of the suite."""
        runs: Runs = state.runs
        return await runs.rescore(caller, run_id, data or RunRescore())


router = Router("/", route_handlers=[RunController])
