"""The runs at work: begun, performed in chunks, stopped, brought to rest. A killed process's work is taken up by another,
or by the next one."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from time import monotonic
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.generation.service import Generation
from app.kit.changes import Change, record
from app.kit.clock import Clock
from app.kit.db import Sessions, is_passing, writing
from app.kit.errors import DomainError, NotFoundError
from app.kit.tasks import finish, told_to_end
from app.llm.fair import CALLER, Share
from app.llm.service import LLM
from app.registry.service import Registry
from app.runs import derived, store, summary
from app.runs.active import ActiveRun, Live
from app.runs.asking import Asked, Judging
from app.runs.batching import Batches
from app.runs.batching_rows import reserved_nano
from app.runs.budget import Budget, LocalBudget
from app.runs.claims import Claims, NoClaims, SharedClaims
from app.runs.comparing import Comparing
from app.runs.executor import Executor
from app.runs.judge import Panel, Purse
from app.runs.planner import stored_bundle
from app.runs.processes import BEAT_S, Processes
from app.runs.queue import FINISH, InProcessQueue, Job, Queue
from app.runs.replies import Replies
from app.runs.schemas import RESTING, RunStatus, usd
from app.runs.scoring import LiveMetric, rebuilt
from app.runs.shared_budget import SharedBudget
from app.runs.spec import Cell, Metric, Spec, case_order, in_calling_order
from app.runs.store import Attempt
from app.runs.tables import RunRow
from app.runs.writer import PATIENCE_S, Writer
from evaluators.own.loading import OwnScorers

logger = logging.getLogger("promptward")

CHUNK = 100
QUICK, QUICK_CHUNK = "quick", 400
"""The lane of cells that call nothing: they wait for no endpoint, and more of them are read and written at once."""
DRAIN_S = 20.0
"""How long a process that ends waits for calls in flight."""
SETTLE_S = 0.2
"""How long what was answered meanwhile has to be handed to the writer."""
LOOK_S = 0.4
"""How often a process looks whether runs that it works on were stopped elsewhere."""
SWEEP_S = 5.0
"""How often it looks for runs that nobody works on."""
WAIT_S = (0.05, 0.5)
"""How often somebody who waits for a run looks, at first and later."""


class Engine:
    """Performs what the queue hands out, and brings runs to rest. With `processes` it shares the database with others, and
    need not be one that `works`."""

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
        self._works = works
        self._sessions, self._llm, self._clock, self._own = sessions, llm, clock, own
        self._queue: Queue = queue or InProcessQueue()
        self._processes = processes
        self._active: dict[str, ActiveRun] = {}
        self._activating: dict[str, asyncio.Lock] = {}
        self._replies = Replies(sessions)
        claims: Claims = NoClaims() if processes is None else SharedClaims(sessions, processes)
        self._claims = claims
        self._writer = Writer(sessions, clock, self._replies, claims, self._idle, self._abandon)
        self._executor = Executor(sessions, generation, self._writer, claims, self._out_of_budget)
        self._batches = Batches(sessions, generation, clock, self)
        self._comparing = Comparing(sessions, self._writer, self._out_of_budget)
        self._background: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._end_watch, self._end_beat = asyncio.Event(), asyncio.Event()
        self._closing = False

    async def start(self) -> None:
        """Continues what an earlier process left unfinished."""
        self._writer.start()
        if self._processes is not None:
            await self._processes.enter()
            self._beating = asyncio.create_task(self._beat(self._processes), name="runs-beat")
        if self._works:
            self._queue.start(self._work)
        await self._sweep()
        if self._works:
            self._batches.start()
        self._watching = asyncio.create_task(self._watch(), name="runs-watch")

    async def close(self) -> None:
        """Takes up no further cell, waits a little for those at work, and stores what came. The rest is continued later."""
        self._closing = True
        self._end_watch.set()
        await finish(self._watching)
        await self._batches.close()
        for run in self._active.values():
            run.stopping = True
        closing = asyncio.create_task(self._queue.close())
        await self._llm.drain(DRAIN_S)
        if tasks := [task for run in self._active.values() for task in run.tasks]:
            _, late = await asyncio.wait(tasks, timeout=SETTLE_S)
            for task in late:  # what had not begun to call goes to others
                task.cancel()
        await closing
        await self._writer.close()
        for run in self._active.values():
            await run.budget.give_back()
        if self._background:
            await asyncio.wait(self._background, timeout=DRAIN_S)
        self._end_beat.set()
        await finish(self._beating)
        if self._processes is not None:
            await self._processes.leave()

    async def launch(self, project_id: str, run_id: str) -> None:
        """Puts a stored run's open cells on the queue; of one that has none, its end."""
        async with self._sessions() as session:
            loaded = await store.load(session, project_id, run_id)
            if loaded is None or loaded.row.status in RESTING:
                return
            pending = dict(await store.pending_cells(session, project_id, run_id))
            quick = await self._quick(session, project_id, loaded.spec, pending)
        row, spec = loaded.row, loaded.spec
        if row.ends_as != "done":
            await self._rest(project_id, run_id)
            return
        if not pending:
            await self._queue.enqueue(FINISH, [Job(project_id, run_id, row.attempt, [])])
            return
        order = in_calling_order(pending, case_order(run_id, loaded.cases))
        called = await self._batches.take(project_id, run_id, spec, pending, order)
        await self._enqueue(spec, Attempt(project_id, run_id, row.attempt), row.priority, called, quick)

    async def _enqueue(
        self, spec: Spec, place: Attempt, priority: int, cells: Sequence[Cell], quick: Set[Cell] = frozenset()
    ) -> None:
        lanes: dict[str, list[Cell]] = {}
        for cell in cells:
            lane = QUICK if cell in quick else spec.variants[cell.variant_no].endpoint_digest
            lanes.setdefault(lane, []).append(cell)
        for name, lane_cells in lanes.items():
            size = QUICK_CHUNK if name == QUICK else CHUNK
            jobs = [
                Job(*place, [(c.variant_no, c.case_no, c.repeat) for c in lane_cells[i : i + size]])
                for i in range(0, len(lane_cells), size)
            ]
            await self._queue.enqueue(name, jobs, priority)

    async def _quick(
        self, session: AsyncSession, project_id: str, spec: Spec, pending: Mapping[Cell, str]
    ) -> set[Cell]:
        """The cells for which no endpoint is called: their answers are known, or recorded."""
        registry = Registry(session, project_id)
        replays: set[int] = set()
        for number, variant in enumerate(spec.variants):
            with contextlib.suppress(NotFoundError):  # what is missing is told where the run is performed
                found = await registry.by_digest("endpoint", variant.endpoint_digest)
                if found.content.provider == "replay":
                    replays.add(number)
        known = await store.known(
            session, project_id, [key for cell, key in pending.items() if cell.variant_no not in replays]
        )
        return {cell for cell, key in pending.items() if cell.variant_no in replays or key in known}

    async def at_work(self, place: Attempt) -> ActiveRun | None:
        """A run as this process holds it; None when nothing is to be done for it here."""
        try:
            run = None if self._closing else await self._activated(Job(*place, []))
        except DomainError as error:
            await self._end(place.project_id, place.run_id, "failed", error.detail)
            return None
        return None if run is None or run.stopping else run

    async def proceed(self, run: ActiveRun, cells: Sequence[Cell]) -> None:
        """Performs what a batch has left open; without any, the run may have ended."""
        if cells:
            await self._enqueue(run.spec, Attempt(run.project_id, run.id, run.attempt), run.priority, cells)
        else:
            await self._idle(run)

    async def wait(self, project_id: str, run_id: str, seconds: float) -> bool:
        """Whether the run comes to rest within that time."""
        deadline, pause = monotonic() + seconds, WAIT_S[0]
        while True:
            async with self._sessions() as session:
                status = await _status(session, project_id, run_id)
            if status is None or status in RESTING:
                return True
            left = deadline - monotonic()
            if left <= 0:
                return False
            run = self._active.get(run_id)
            if run is None:
                await asyncio.sleep(min(pause, left))
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(run.ended.wait(), min(pause, left))
            pause = min(pause * 1.5, WAIT_S[1])

    async def stop(
        self, project_id: str, run_id: str, ends_as: RunStatus, reason: str | None, change: Change | None = None
    ) -> None:
        """No new call of this process from now on, and of others within a second; calls in flight are abandoned, and open
        cells end as cancelled.

        `change` is recorded, unless something else had ended the run before.
        """
        run = self._active.get(run_id)
        if run is not None:
            run.stopping = True
        await self._queue.cancel(run_id)
        if run is not None:
            await self._halt(run)
            await self._writer.drained(run)
        await self._end(project_id, run_id, ends_as, reason, change)
        self._batches.wake()

    async def _end(
        self, project_id: str, run_id: str, ends_as: RunStatus, reason: str | None, change: Change | None = None
    ) -> None:
        async with self._sessions.begin() as session:
            await writing(session)
            row = await store.lock(session, project_id, run_id)
            if row is None or row.status in RESTING:
                return
            if row.ends_as == "done":
                row.ends_as, row.reason = ends_as, reason
                if change is not None:
                    record(session, change)
        await self._rest(project_id, run_id)

    async def _halt(self, run: ActiveRun) -> None:
        """Stops what this process does for a run."""
        run.stopping = True
        if tasks := set(run.tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _work(self, job: Job) -> bool:
        """Performs a job; False when this process ends before."""
        if self._closing:
            return False
        try:
            return await self._patiently(lambda: self._perform(job))
        except Exception as error:  # a defect must not leave a run that never ends
            logger.exception("run %s: a chunk failed", job.run_id)
            self._stop_soon(job.project_id, job.run_id, "failed", f"our own fault: {_told(error)}")
            return True

    async def _patiently(self, perform: Callable[[], Awaitable[bool]]) -> bool:
        """What the database's absence broke off is begun again, for a minute."""
        began, pause = monotonic(), 0.2
        while True:
            try:
                return await perform()
            except Exception as error:
                if not is_passing(error) or monotonic() - began > PATIENCE_S or self._closing:
                    raise
                logger.warning("a chunk is begun again in %.1f s: %s", pause, _told(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    async def _perform(self, job: Job) -> bool:
        try:
            run = await self._activated(job)
        except DomainError as error:
            await self._end(job.project_id, job.run_id, "failed", error.detail)
            return True
        if run is None or run.stopping:
            return not self._closing and not (run is not None and run.lost)
        CALLER.set(Share(run.priority, run.project_id, run.id))
        task = asyncio.create_task(self._cells(run, [Cell(*c) for c in job.cells]) if job.cells else self._finish(run))
        run.tasks.add(task)
        try:
            await task
        except asyncio.CancelledError:
            if not run.stopping:
                raise
        finally:
            run.tasks.discard(task)
        return not (self._closing or run.lost or self._claims.lapsed)

    async def _activated(self, job: Job) -> ActiveRun | None:
        """The run of a job as this process holds it; None when the run is at rest, or was begun anew since."""
        async with self._activating.setdefault(job.run_id, asyncio.Lock()):
            run = self._active.get(job.run_id)
            if run is not None and run.attempt == job.attempt:
                return run
            made = await self._activate(job)
            if made is not None:
                if run is not None:
                    await self._halt(run)
                    self._forget(run)
                self._active[job.run_id] = made
            return made

    async def _activate(self, job: Job) -> ActiveRun | None:
        project_id, run_id = job.project_id, job.run_id
        async with self._sessions.begin() as session:
            await writing(session)
            loaded = await store.load(session, project_id, run_id)
            if loaded is None:
                raise RuntimeError(f"run {run_id} is not stored")
            row = loaded.row
            if row.status in RESTING or row.ends_as != "done" or row.attempt != job.attempt:
                return None
            registry = Registry(session, project_id)
            bundles = [await stored_bundle(registry, v) for v in loaded.spec.variants]
            spent = sum(r.cost_nano + r.judge_cost_nano for r in await store.counters(session, project_id, run_id))
            budget = self._budget(row, spent)
            if isinstance(budget, LocalBudget):
                budget.reserved = await reserved_nano(session, project_id, run_id)
            live = await self._live(registry, loaded.spec, Purse(self._llm, self._replies, budget, project_id, run_id))
            if row.status == "queued":
                await summary.begin(session, project_id, run_id, self._clock())
            return ActiveRun(loaded, bundles, live, budget)

    def _budget(self, row: RunRow, spent: int) -> Budget:
        if row.budget_nano is None or self._processes is None:
            return LocalBudget(row.budget_nano, spent)
        return SharedBudget(self._sessions, row.project_id, row.id, self._processes.id, row.budget_nano)

    async def _live(self, registry: Registry, spec: Spec, purse: Purse) -> Live:
        metrics: list[LiveMetric] = []
        judges: dict[int, Panel] = {}
        for number, metric in enumerate(spec.metrics):
            if metric.derived is not None:
                break  # they stand behind all others, and are computed when those are there
            asked = await _asked(registry, metric)
            scorer = await asyncio.to_thread(rebuilt, metric, None if asked is None else asked.rubric, self._own)
            metrics.append(LiveMetric(metric, scorer))
            if asked is not None:
                judges[number] = Panel(purse, asked, scorer)
        return Live(metrics, judges)

    async def _cells(self, run: ActiveRun, cells: Sequence[Cell]) -> None:
        """Brings those that have not ended to their ends."""
        await self._writer.caught_up()
        async with self._sessions() as session:
            open_ = await store.open_cells(session, run.project_id, run.id, cells)
        open_ = {cell: key for cell, key in open_.items() if cell not in run.pending}
        if not open_:
            await self._idle(run)
            return
        run.pending |= open_
        run.unended |= open_.keys()
        try:
            await self._executor.chunk(run, list(open_))
        finally:
            for cell in run.unended & open_.keys():  # broken off
                run.unended.discard(cell)
                run.pending.pop(cell, None)

    async def _idle(self, run: ActiveRun) -> None:
        """All that this process took up of a run is stored: if no other works on it, it has ended."""
        if run.pending or run.stopping:
            return
        async with self._sessions() as session:
            if await store.open_count(session, run.project_id, run.id):
                return
        await self._queue.enqueue(FINISH, [Job(run.project_id, run.id, run.attempt, [])])

    async def _finish(self, run: ActiveRun) -> None:
        """The last pass of a run whose cells have all ended, and its rest."""
        if run.comparing:
            return
        run.comparing = True
        try:
            if run.to_compare:
                await self._comparing.compare(run)
                await self._writer.drained(run)
            if not run.stopping:
                await self._rest(run.project_id, run.id)
        finally:
            run.comparing = False

    async def _rest(self, project_id: str, run_id: str) -> None:
        """Brings a run to rest: once, whoever comes first. Nobody ends a cell of it meanwhile."""
        async with self._sessions() as session:
            loaded = await store.load(session, project_id, run_id)
            if loaded is None or loaded.row.status in RESTING:
                return
        spec = loaded.spec
        if any(metric.derived is not None for metric in spec.metrics):
            async with self._sessions.begin() as session:
                await writing(session)
                await derived.complete(session, project_id, run_id, spec)
        async with self._sessions() as session:
            metrics = await summary.summaries(session, project_id, run_id, spec, loaded.cases)
        async with self._sessions.begin() as session:
            await writing(session)
            row = await store.lock(session, project_id, run_id)
            if row is None or row.status in RESTING or row.attempt != loaded.row.attempt:
                return
            if row.ends_as != "done":
                await store.cancel_pending(session, project_id, run_id)
            await summary.keep(session, project_id, run_id, metrics)
            ends_as = row.ends_as if row.ends_as != "done" else row.rests_as
            await summary.rest(session, project_id, run_id, ends_as, row.reason, self._clock())
        run = self._active.get(run_id)
        if run is not None and run.attempt == row.attempt:  # it may have been begun anew by now
            self._forget(run)

    def _out_of_budget(self, run: ActiveRun) -> None:
        if not run.stopping:
            reason = f"the budget of ${usd(run.budget.limit or 0):g} does not allow another call"
            run.stopping = True
            self._stop_soon(run.project_id, run.id, "budget", reason)

    def _stop_soon(self, project_id: str, run_id: str, ends_as: RunStatus, reason: str) -> None:
        """For a task of the run itself, which cannot wait for its own end."""
        self._later(self.stop(project_id, run_id, ends_as, reason), run_id)

    async def _abandon(self, run: ActiveRun, error: Exception) -> None:
        """Stops a run whose results cannot be stored. If not even that can be stored, it is taken up again later."""
        run.stopping = True

        async def give_up() -> None:
            await self._queue.cancel(run.id)
            await self._halt(run)
            self._forget(run)
            await self._end(run.project_id, run.id, "failed", f"storing results failed: {_told(error)}")

        self._later(give_up(), run.id)

    def _later(self, doing: Any, run_id: str) -> None:
        async def told() -> None:
            try:
                await doing
            except Exception:  # the sweep takes the run up again
                logger.exception("run %s stays unfinished", run_id)

        task = asyncio.get_running_loop().create_task(told())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _forget(self, run: ActiveRun) -> None:
        self._replies.stored(self._replies.take(run.id))  # of a run that could not be stored
        if self._active.get(run.id) is run:
            del self._active[run.id]
            self._activating.pop(run.id, None)
        run.ended.set()

    async def _watch(self) -> None:
        """Follows what other processes decide, and takes up what nobody works on."""
        swept = monotonic()
        while not await told_to_end(self._end_watch, LOOK_S):
            try:
                if self._processes is not None:
                    await self._follow()
                if monotonic() - swept > SWEEP_S:
                    await self._sweep()
                    swept = monotonic()
            except Exception as error:
                if not is_passing(error):
                    logger.exception("watching runs failed")
                else:
                    logger.warning("the database cannot be reached: %s", _told(error))

    async def _follow(self) -> None:
        """Stops runs that were stopped, or begun anew, elsewhere; and gives back what their budgets do not need."""
        active = dict(self._active)
        if not active:
            return
        query = select(col(RunRow.id), col(RunRow.status), col(RunRow.ends_as), col(RunRow.attempt)).where(
            col(RunRow.project_id).in_({run.project_id for run in active.values()}), col(RunRow.id).in_(list(active))
        )
        async with self._sessions() as session:
            rows = {row.id: row for row in await session.execute(query)}
        for run_id, run in active.items():
            row = rows.get(run_id)
            at_work = row is not None and row.status not in RESTING and row.ends_as == "done"
            if at_work and row is not None and row.attempt == run.attempt:
                await run.budget.give_back()
            elif not run.stopping:
                await self._leave(run)

    async def _leave(self, run: ActiveRun) -> None:
        """Stores what came of a run, and works on it no more."""
        await self._halt(run)
        await self._writer.drained(run)
        await run.budget.give_back()
        self._forget(run)

    async def _beat(self, processes: Processes) -> None:
        """Gives signs of life. After a pause in which others could take this process for dead they may have its work: it lets
        go of what it holds, and begins with what the queue hands out then."""
        while not await told_to_end(self._end_beat, BEAT_S):
            lapsed = processes.lapsed
            if lapsed:
                self._let_go()
            try:
                if await processes.beat() and not lapsed:
                    self._let_go()
            except Exception as error:
                if not is_passing(error):
                    logger.exception("giving a sign of life failed")

    def _let_go(self) -> None:
        for run in self._active.values():
            if not run.lost:
                logger.warning("run %s: this process gave no sign for too long; its work is begun again", run.id)
                run.stopping = run.lost = True
                self._later(self._leave(run), run.id)

    async def _sweep(self) -> None:
        """Launches unfinished runs that have no jobs: a process died between storing a run and its jobs, or this one has just
        begun."""
        async with self._sessions() as session:
            unfinished = await summary.unfinished(session)
        open_ = [(project_id, run_id) for project_id, run_id in unfinished if run_id not in self._active]
        if not open_:
            return
        known = await self._queue.known()
        for project_id, run_id in open_:
            if run_id not in known:
                await self.launch(project_id, run_id)


async def _status(session: Any, project_id: str, run_id: str) -> str | None:
    query = select(col(RunRow.status)).where(col(RunRow.project_id) == project_id, col(RunRow.id) == run_id)
    found: str | None = await session.scalar(query)
    return found


async def _asked(registry: Registry, metric: Metric) -> Judging | None:
    """Whom a stored run's metric asks: by digests alone."""

    async def endpoint(digest: str, name: str | None) -> Asked:
        found = await registry.by_digest("endpoint", digest)
        return Asked(name or found.content.model, found)

    rubric = None if metric.rubric is None else await registry.by_digest("rubric", metric.rubric)
    digests = metric.judges or ([] if metric.judge is None else [metric.judge])
    # Runs of an earlier release name no judges: theirs is the rubric's.
    names = metric.judge_names or ([] if rubric is None else [rubric.content.endpoint.partition("@")[0]])
    judges = [await endpoint(judge, name) for judge, name in zip(digests, names, strict=True)]
    embedder = None if metric.embedder is None else await endpoint(metric.embedder, metric.embedder_name)
    return Judging(rubric, tuple(judges), embedder, False) if judges or embedder is not None else None


def _told(error: BaseException) -> str:
    """The error in one line; of a group its first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
