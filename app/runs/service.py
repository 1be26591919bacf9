"""Runs: made, watched, stopped, continued, read. The engine executes them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access.schemas import Caller
from app.datasets.schemas import Entry
from app.datasets.service import Datasets
from app.generation.service import Generation
from app.kit.changes import Change, record
from app.kit.clock import Clock
from app.kit.db import Sessions, writing
from app.kit.errors import InvalidContentError
from app.kit.ids import new_id
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.llm.service import LLM
from app.registry.lineage import Lineage
from app.registry.repository import Repository
from app.runs import batching_rows, beside, compare, control, results, store
from app.runs.asked import RunClone, RunExtend, RunPlan
from app.runs.cases import load
from app.runs.compare import CaseInfo, RunEvidence, Side
from app.runs.engine import Engine
from app.runs.errors import RunActiveError, RunNotFoundError
from app.runs.matrix import drafted
from app.runs.pace import Pace
from app.runs.planner import Planned, Planner
from app.runs.processes import Processes
from app.runs.queue import PRIORITIES, Queue
from app.runs.scan import Filters
from app.runs.schemas import (
    NANO,
    RESTING,
    CandidateRead,
    CaseRead,
    Cells,
    Comparison,
    MetricSummary,
    Progress,
    Result,
    RunCreate,
    RunRead,
    RunRescore,
    RunResume,
    RunSlices,
    RunStarted,
    RunSummary,
    VariantRead,
    usd,
)
from app.runs.spec import encode_cases
from app.runs.store import Loaded
from app.runs.tables import RunCasesRow, RunRow, RunVariantRow
from app.runs.troubles import first_trouble
from evaluators.own.loading import OwnScorers

PROGRESS_S = 0.25


class Runs:
    """The runs of this process's database; what the application holds. Projects are kept apart by every call."""

    def __init__(
        self,
        sessions: Sessions,
        llm: LLM,
        generation: Generation,
        clock: Clock,
        own: OwnScorers,
        queue: Queue | None = None,
        processes: Processes | None = None,
        *,
        works: bool = True,
    ) -> None:
        """`own` are the scorers that suites may name as files of the project; with a shared `queue`, others work on the same
        runs, and this process only if it `works`."""
        self._sessions, self._clock, self._own = sessions, clock, own
        self._engine = Engine(sessions, llm, generation, clock, own, queue, processes, works=works)

    async def start(self) -> None:
        await self._engine.start()

    async def close(self) -> None:
        await self._engine.close()

    async def create(self, caller: Caller, asked: RunCreate, epochs: Mapping[str, str] | None = None) -> RunStarted:
        """Plans a run, stores it, and begins. Nothing is stored when anything is wrong with it.

        `epochs`, by candidate id, keep the answers of a side apart: a release's baseline is run afresh in the epoch of the
        release that is live.
        """
        run_id = new_id("run")
        async with self._sessions.begin() as session:
            await writing(session)
            planner = Planner(session, caller.project_id, caller.actor, self._own, caller.clearance)
            planned = await planner.plan(asked, run_id, epochs)
            plan = await planner.expected(planned)
            await self._store(session, caller, asked, run_id, planned)
            spec = planned.spec
            details = {"suite": spec.suite, "candidates": {v.id: v.bundle for v in spec.variants}}
            _note(session, caller, "created", run_id, spec.suite_digest, details)
        await self._engine.launch(caller.project_id, run_id)
        cells = Cells(planned=plan.cells, cached=plan.cached)
        return RunStarted(run_id, "running", cells, plan.estimated_cost_usd, planned.spec.warnings, plan)

    async def plan(self, caller: Caller, asked: RunCreate) -> RunPlan:
        """What such a run would do and take. Stores nothing and calls nothing; refuses what `create` would refuse."""
        async with self._sessions() as session:
            if drafted(asked):
                await writing(session)  # contents are kept to be planned with, and forgotten with the transaction
            planner = Planner(session, caller.project_id, caller.actor, self._own, caller.clearance)
            plan = await planner.expected(await planner.plan(asked, new_id("run")))
            await session.rollback()
        return plan

    async def wait(self, project_id: str, run_id: str, seconds: float) -> bool:
        """Whether the run comes to rest within that time."""
        return await self._engine.wait(project_id, run_id, seconds)

    async def get(self, session: AsyncSession, project_id: str, run_id: str) -> RunRead:
        run = await self._load(session, project_id, run_id, cases=False)
        rows = await store.counters(session, project_id, run_id)
        errors = await store.errors(session, project_id, run_id)
        return _read(run, rows, errors, await batching_rows.notes(session, project_id, run_id))

    async def page(
        self,
        session: AsyncSession,
        project_id: str,
        limit: int,
        cursor: str | None,
        status: str | None,
        suite: str | None,
    ) -> Page[RunSummary]:
        """Newest first."""
        query = select(RunRow).where(col(RunRow.project_id) == project_id)
        if status is not None:
            query = query.where(col(RunRow.status) == status)
        if suite is not None:
            query = query.where(col(RunRow.suite) == suite)
        if cursor is not None:
            query = query.where(col(RunRow.id) < decode_cursor(cursor, (str,))[0])
        rows = list(await session.scalars(query.order_by(col(RunRow.id).desc()).limit(limit + 1)))
        found = rows[:limit]
        counters: dict[str, list[RunVariantRow]] = {row.id: [] for row in found}
        variants = select(RunVariantRow).where(
            col(RunVariantRow.project_id) == project_id, col(RunVariantRow.run_id).in_(list(counters))
        )
        for counter in await session.scalars(variants):
            counters[counter.run_id].append(counter)
        items = [_summary(row, counters[row.id]) for row in found]
        return Page(items, encode_cursor(found[-1].id) if len(rows) > limit else None)

    async def progress(self, project_id: str, run_id: str) -> AsyncIterator[Progress]:
        """Where the run stands, four times a second and once more when it rests."""
        pace = Pace()
        while True:
            async with self._sessions() as session:
                run = await self.get(session, project_id, run_id)
            yield pace.progress(run)
            if run.status in RESTING:
                return
            await self._engine.wait(project_id, run_id, PROGRESS_S)

    async def cancel(self, caller: Caller, run_id: str, reason: str = "cancelled by its user") -> RunRead:
        """No new call from now on. A run at rest stays as it is."""
        async with self._sessions() as session:
            run = await self._load(session, caller.project_id, run_id, cases=False)
        change = _change(caller, "cancelled", run_id, run.spec.suite_digest, {"suite": run.spec.suite}, reason)
        await self._engine.stop(caller.project_id, run_id, "cancelled", reason, change)
        async with self._sessions() as session:
            return await self.get(session, caller.project_id, run_id)

    async def cancel_all(self, caller: Caller, created_by: str, reason: str) -> None:
        """Cancels what `created_by` has begun and what is not yet at rest."""
        query = select(col(RunRow.id)).where(
            col(RunRow.project_id) == caller.project_id,
            col(RunRow.created_by) == created_by,
            col(RunRow.status).not_in(RESTING),
        )
        async with self._sessions() as session:
            found = list(await session.scalars(query))
        for run_id in found:
            await self.cancel(caller, run_id, reason)

    async def resume(self, caller: Caller, run_id: str, asked: RunResume) -> RunRead:
        """Runs what was cancelled, and what infrastructure lost of answers and of judgements; what is there is kept."""
        project_id = caller.project_id
        async with self._sessions.begin() as session:
            await writing(session)
            run = await self._at_rest(session, project_id, run_id)
            if asked.budget_usd is not None:
                planner = Planner(session, project_id, caller.actor, self._own)
                bundles = [await planner.bundle(variant) for variant in run.spec.variants]
                control.require_prices(bundles, asked.budget_usd)
                run.row.budget_nano = round(asked.budget_usd * NANO)
            statuses = ("errored",) if asked.only == "errors" else ("cancelled", "errored")
            await store.reopen(session, project_id, run_id, statuses)
            await store.reopen_unjudged(session, project_id, run_id)
            store.begin_anew(run.row, "done" if asked.only is None or run.row.status == "failed" else run.row.status)
            details = {"suite": run.spec.suite} | {
                name: value for name, value in msgspec.structs.asdict(asked).items() if value is not None
            }
            _note(session, caller, "resumed", run_id, run.spec.suite_digest, details)
        await self._engine.launch(project_id, run_id)
        async with self._sessions() as session:
            return await self.get(session, project_id, run_id)

    async def extend(self, caller: Caller, run_id: str, asked: RunExtend) -> RunRead:
        """More cases or repeats into the same run; what it has stays as it is."""
        async with self._sessions.begin() as session:
            await writing(session)
            run = await self._at_rest(session, caller.project_id, run_id, cases=True)
            planner = Planner(session, caller.project_id, caller.actor, self._own, caller.clearance)
            details = await control.extend(session, planner, run, asked)
            _note(session, caller, "extended", run_id, run.spec.suite_digest, details)
        await self._engine.launch(caller.project_id, run_id)
        async with self._sessions() as session:
            return await self.get(session, caller.project_id, run_id)

    async def clone(self, caller: Caller, run_id: str, asked: RunClone) -> RunStarted:
        """A new run that is asked for as this one was, but for the changes."""
        async with self._sessions() as session:
            run = await self._load(session, caller.project_id, run_id, cases=False)
        with control.in_changes(asked):
            return await self.create(caller, control.changed(run, asked))

    async def rescore(self, caller: Caller, run_id: str, asked: RunRescore) -> RunRead:
        """Scores the stored answers by a suite's scorers. No model under test is called."""
        async with self._sessions.begin() as session:
            await writing(session)
            run = await self._at_rest(session, caller.project_id, run_id)
            planner = Planner(session, caller.project_id, caller.actor, self._own)
            given = asked.suite if asked.suite is not None else (run.row.suite or run.spec.suite_digest)
            suite = await planner.suite(given)
            if suite.pins["/dataset"] != run.spec.dataset_digest:
                raise InvalidContentError.at("/suite", f"{suite.ref} is about another dataset version than this run")
            metrics, warned = await planner.metrics(suite, run.spec.variants, run.spec.repeats)
            warnings = list(dict.fromkeys([*run.spec.warnings, *warned]))
            spec = msgspec.structs.replace(
                run.spec, metrics=metrics, suite=suite.ref, suite_digest=suite.digest, warnings=warnings
            )
            run.row.spec = msgspec.to_builtins(spec)
            lineage = Lineage(Repository(session, caller.project_id))
            await lineage.note_use("run", run_id, spec.contents, self._clock())
            await store.forget_scores(session, caller.project_id, run_id)
            await store.reopen(session, caller.project_id, run_id, ("cached", "answered", "failed"))
            store.begin_anew(run.row, run.row.status)
            _note(session, caller, "rescored", run_id, suite.digest, {"suite": suite.ref})
        await self._engine.launch(caller.project_id, run_id)
        async with self._sessions() as session:
            return await self.get(session, caller.project_id, run_id)

    async def results(
        self,
        session: AsyncSession,
        project_id: str,
        run_id: str,
        filters: Filters,
        flipped_against: str | None,
        limit: int,
        cursor: str | None,
        *,
        evidence: bool = False,
    ) -> Page[Result]:
        run = await self._load(session, project_id, run_id)
        if flipped_against is not None:
            other = await compare.side(session, project_id, flipped_against, run_id, "/flipped_against")
            if filters.variant is None:
                raise InvalidContentError.at("/variant", "say which side flipped: variant=<candidate or variant>")
            own = await compare.side(session, project_id, filters.variant, run_id, "/variant")
            filters = filters._replace(flipped=(own, other))
        return await results.page(session, run, filters, limit, cursor, "all" if evidence else "none")

    async def cases(
        self,
        session: AsyncSession,
        project_id: str,
        run_id: str,
        filters: Filters,
        variants: Sequence[str],
        limit: int,
        cursor: str | None,
    ) -> Page[CaseRead]:
        run = await self._load(session, project_id, run_id)
        return await beside.page(session, run, filters, variants, limit, cursor)

    async def slices(self, session: AsyncSession, project_id: str, run_id: str, by: str | None) -> RunSlices:
        """Metrics by slice: of a run at work, over what is there."""
        return await beside.slices(session, await self._load(session, project_id, run_id), by)

    async def loaded(self, session: AsyncSession, project_id: str, run_id: str) -> Loaded:
        return await self._load(session, project_id, run_id)

    async def comparison(
        self, session: AsyncSession, project_id: str, run_id: str, candidate: str | None, baseline: str | None
    ) -> Comparison:
        run = await self._load(session, project_id, run_id)
        names = run.spec.candidates
        if baseline is None and "baseline" not in names:
            raise InvalidContentError.at("/baseline", f"this run has no baseline; name one of {', '.join(names)}")
        chosen = candidate or next(name for name in names if name != "baseline")
        ours = await compare.side(session, project_id, chosen, run_id, "/candidate")
        theirs = await compare.side(session, project_id, baseline or "baseline", run_id, "/baseline")
        return await compare.comparison(session, ours, theirs)

    async def evidence(
        self, session: AsyncSession, project_id: str, candidate: str, baseline: str | None
    ) -> RunEvidence:
        """Both sides' cells as arrays, for the gates."""
        ours = await compare.side(session, project_id, candidate, pointer="/candidate")
        theirs = (
            None if baseline is None else await compare.side(session, project_id, baseline, ours.run_id, "/baseline")
        )
        return await compare.evidence(session, ours, theirs, await self._cases(session, project_id, ours))

    async def trouble(self, session: AsyncSession, project_id: str, *sides: str) -> str | None:
        """What kept the first of these sides from its answers or scores, with the endpoint; None when nothing did."""
        return await first_trouble(session, [await compare.side(session, project_id, given) for given in sides])

    async def _cases(self, session: AsyncSession, project_id: str, side: Side) -> list[CaseInfo]:
        entries = [Entry(case.id, case.digest, case.tags) for case in side.run.cases]
        items = await Datasets(session, project_id).some(entries)
        return [CaseInfo(item.id, item.cluster, tuple(item.tags), item.metadata) for item in items]

    async def _store(
        self, session: AsyncSession, caller: Caller, asked: RunCreate, run_id: str, planned: Planned
    ) -> None:
        spec, project_id = planned.spec, caller.project_id
        session.add(
            RunRow(
                project_id=project_id,
                id=run_id,
                status="queued",
                ends_as="done",
                suite=asked.suite.partition("@")[0]
                if isinstance(asked.suite, str) and "@sha256" not in asked.suite
                else None,
                spec=msgspec.to_builtins(spec),
                budget_nano=None if asked.budget_usd is None else round(asked.budget_usd * NANO),
                estimated_nano=planned.estimated_nano,
                created_by=caller.actor,
                created_at=self._clock(),
                priority=PRIORITIES[asked.priority],
            )
        )
        session.add(RunCasesRow(project_id=project_id, run_id=run_id, cases=encode_cases(planned.cases)))
        for number in range(len(spec.variants)):
            session.add(
                RunVariantRow(
                    project_id=project_id, run_id=run_id, variant_no=number, planned=spec.cases * spec.repeats
                )
            )
        await session.flush()
        await store.insert_cells(session, project_id, run_id, planned.keys)
        await Lineage(Repository(session, project_id)).note_use("run", run_id, spec.contents, self._clock())

    async def _load(self, session: AsyncSession, project_id: str, run_id: str, *, cases: bool = True) -> Loaded:
        run = await (
            load(session, project_id, run_id) if cases else store.load(session, project_id, run_id, cases=False)
        )
        if run is None:
            raise RunNotFoundError(f"there is no run {run_id!r}")
        return run

    async def _at_rest(self, session: AsyncSession, project_id: str, run_id: str, *, cases: bool = False) -> Loaded:
        await store.lock(session, project_id, run_id)
        run = await self._load(session, project_id, run_id, cases=cases)
        if run.row.status not in RESTING:
            raise RunActiveError(f"run {run_id} is {run.row.status}; cancel it first, or wait until it is done")
        return run


def _note(session: AsyncSession, caller: Caller, action: str, run_id: str, suite: str, details: dict[str, Any]) -> None:
    record(session, _change(caller, action, run_id, suite, details))


def _change(caller: Caller, action: str, run_id: str, suite: str, details: dict[str, Any], reason: str = "") -> Change:
    return Change(
        project_id=caller.project_id,
        actor=caller.actor,
        action=f"run.{action}",
        subject=f"run {run_id}",
        after=suite,
        reason=reason,
        details=details,
    )


def _read(run: Loaded, rows: list[RunVariantRow], errors: dict[str, int], notes: list[str]) -> RunRead:
    row, spec = run.row, run.spec
    variants = [
        VariantRead(
            id=variant.id,
            candidate=variant.candidate,
            prompt=variant.prompt,
            rag_config=variant.rag_config,
            tool_config=variant.tool_config,
            endpoint=variant.endpoint,
            bundle=variant.bundle,
            pins=_pins(variant),
            cells=store.cells_of(counter),
            cost_usd=usd(counter.cost_nano),
            judge_cost_usd=usd(counter.judge_cost_nano),
            metrics={name: msgspec.convert(m, MetricSummary) for name, m in (counter.metrics or {}).items()},
        )
        for variant, counter in zip(spec.variants, rows, strict=True)
    ]
    candidates = []
    for name in spec.candidates:
        own = [v for v in variants if v.candidate == name]
        candidates.append(CandidateRead(name, compare.bundle_of([v.bundle for v in own]), [v.id for v in own]))
    return RunRead(
        id=row.id,
        status=row.status,  # type: ignore[arg-type]  # what was written was one of them
        suite=spec.suite,
        cells=store.total(rows),
        cost_usd=usd(sum(r.cost_nano + r.judge_cost_nano for r in rows)),
        candidates=candidates,
        variants=variants,
        judge_cost_usd=usd(sum(r.judge_cost_nano for r in rows)),
        dataset=spec.dataset,
        cases=spec.cases,
        repeats=spec.repeats,
        budget_usd=None if row.budget_nano is None else usd(row.budget_nano),
        estimated_cost_usd=None if row.estimated_nano is None else usd(row.estimated_nano),
        errors=errors,
        warnings=[*spec.warnings, *notes],
        reason=row.reason,
        pins={
            "suite": spec.suite_digest,
            "dataset": spec.dataset_digest,
            **{f"scorers/{metric.name}": metric.source for metric in spec.metrics if metric.source is not None},
        },
        created_by=row.created_by,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _pins(variant: Any) -> dict[str, str]:
    parts = {
        "prompt": variant.prompt_digest,
        "rag_config": variant.rag_digest,
        "tool_config": variant.tools_digest,
        "endpoint": variant.endpoint_digest,
    }
    return {name: digest for name, digest in parts.items() if digest is not None}


def _summary(row: RunRow, counters: list[RunVariantRow]) -> RunSummary:
    from app.runs.spec import Spec

    spec = msgspec.convert(row.spec, Spec)
    return RunSummary(
        id=row.id,
        status=row.status,  # type: ignore[arg-type]
        suite=spec.suite,
        cells=store.total(counters),
        cost_usd=usd(sum(c.cost_nano + c.judge_cost_nano for c in counters)),
        candidates=spec.candidates,
        created_by=row.created_by,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
