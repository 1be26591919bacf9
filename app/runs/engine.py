"""The runs of this process: started, stopped, brought to rest. A killed process continues where it stood."""

import asyncio
import logging
from collections.abc import Sequence

from app.generation.service import Generation
from app.kit.changes import Change, record
from app.kit.clock import Clock
from app.kit.db import Sessions, writing
from app.kit.errors import DomainError
from app.llm.service import LLM
from app.registry.service import Registry
from app.runs import derived, store, summary
from app.runs.active import ActiveRun, Live
from app.runs.asking import Asked, Judging
from app.runs.batching import Batches
from app.runs.budget import Budget
from app.runs.comparing import Comparing
from app.runs.executor import Executor
from app.runs.judge import Panel, Purse
from app.runs.planner import stored_bundle
from app.runs.queue import InProcessQueue, Job, Queue
from app.runs.replies import Replies
from app.runs.schemas import RunStatus, usd
from app.runs.scoring import LiveMetric, rebuilt
from app.runs.spec import Cell, Metric, Spec, case_order, in_calling_order
from app.runs.store import Ended
from app.runs.writer import Writer
from evaluators.own.loading import OwnScorers

logger = logging.getLogger("promptward")

CHUNK = 100
DRAIN_S = 5.0
"""How long a process that ends waits for calls in flight."""


class Engine:
    def __init__(
        self,
        sessions: Sessions,
        llm: LLM,
        generation: Generation,
        clock: Clock,
        own: OwnScorers,
        queue: Queue | None = None,
    ) -> None:
        self._sessions, self._llm, self._clock, self._own = sessions, llm, clock, own
        self._queue: Queue = queue or InProcessQueue()
        self._active: dict[str, ActiveRun] = {}
        self._replies = Replies(sessions)
        self._writer = Writer(sessions, clock, self._replies, self._finish, self._abandon)
        self._executor = Executor(sessions, generation, self._writer, self._out_of_budget)
        self._batches = Batches(sessions, generation, clock, self)
        self._comparing = Comparing(sessions, self._writer, self._out_of_budget)
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Continues what an earlier process left unfinished."""
        self._queue.start(self._work)
        self._writer.start()
        async with self._sessions() as session:
            unfinished = await summary.unfinished(session)
        for project_id, run_id in unfinished:
            await self.launch(project_id, run_id)
        self._batches.start()

    async def close(self) -> None:
        """Takes up no further cell, waits a little for those at work, and stores what came. The rest is continued later."""
        for run in self._active.values():
            run.stopping = True
        await self._batches.close()
        if tasks := [task for run in self._active.values() for task in run.tasks]:
            _, late = await asyncio.wait(tasks, timeout=DRAIN_S)
            for task in late:
                task.cancel()
        await self._queue.close()
        await self._writer.close()

    def active(self, run_id: str) -> ActiveRun | None:
        return self._active.get(run_id)

    async def launch(self, project_id: str, run_id: str) -> None:
        """Puts a stored run's open cells on the queue. What cannot be started ends as failed, with the reason."""
        try:
            run = await self._activate(project_id, run_id)
        except DomainError as error:
            await self._fail(project_id, run_id, error.detail)
            return
        if not run.pending:
            self._writer.last(run)
            return
        order = in_calling_order(run.pending, case_order(run.id, run.cases))
        await self.proceed(run, await self._batches.take(run, order))

    async def proceed(self, run: ActiveRun, cells: Sequence[Cell]) -> None:
        """Puts cells on the queue, in this order."""
        lanes: dict[str, list[Cell]] = {}
        for cell in cells:
            lanes.setdefault(run.bundles[cell.variant_no].endpoint_digest, []).append(cell)
        for name, lane in lanes.items():
            jobs = [
                Job(run.project_id, run.id, [(c.variant_no, c.case_no, c.repeat) for c in lane[i : i + CHUNK]])
                for i in range(0, len(lane), CHUNK)
            ]
            await self._queue.enqueue(name, jobs)

    def settled(self, run: ActiveRun, reserved: int, cost: int, lost: Sequence[Ended]) -> None:
        run.budget.settle(reserved, cost)
        run.called(cost)
        for ended in lost:
            self._writer.put(run, ended)

    async def stop(self, run_id: str, ends_as: RunStatus, reason: str | None, change: Change | None = None) -> None:
        """No new call from now on; calls in flight are abandoned, and open cells end as cancelled.

        `change` is recorded with the run's end, unless something else had ended it before.
        """
        run = self._active.get(run_id)
        if run is None:
            return
        if run.ends_as in ("done", ends_as):
            run.ends_as, run.reason, run.change = ends_as, reason, run.change or change
        run.stopping = True
        await self._queue.cancel(run_id)
        if run.tasks:
            for task in run.tasks:
                task.cancel()
            await asyncio.wait(run.tasks)
        self._writer.last(run)
        await run.ended.wait()
        self._batches.wake()

    async def _activate(self, project_id: str, run_id: str) -> ActiveRun:
        async with self._sessions.begin() as session:
            await writing(session)
            loaded = await store.load(session, project_id, run_id)
            if loaded is None:
                raise RuntimeError(f"run {run_id} is not stored")
            registry = Registry(session, project_id)
            bundles = [await stored_bundle(registry, v) for v in loaded.spec.variants]
            budget = Budget(loaded.row.budget_nano)
            live = await self._live(registry, loaded.spec, Purse(self._llm, self._replies, budget, project_id, run_id))
            pending = dict(await store.pending_cells(session, project_id, run_id))
            counters = await store.counters(session, project_id, run_id)
            await summary.begin(session, project_id, run_id, self._clock())
            run = ActiveRun(loaded, bundles, live, pending, budget)
            run.errors = await store.errors(session, project_id, run_id)
        for row in counters:
            run.planned[row.variant_no] = row.planned
            run.done[row.variant_no] = store.cells_of(row).ended
            run.cost_nano += row.cost_nano + row.judge_cost_nano
        budget.spent = run.cost_nano
        self._active[run_id] = run
        return run

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

    async def _work(self, job: Job) -> None:
        run = self._active.get(job.run_id)
        if run is None or run.stopping:
            return
        cells = [cell for cell in (Cell(*c) for c in job.cells) if cell in run.pending]
        task = asyncio.create_task(self._executor.chunk(run, cells))
        run.tasks.add(task)
        try:
            await task
        except asyncio.CancelledError:
            if not run.stopping:
                raise
        except Exception as error:  # a defect must not leave a run that never ends
            logger.exception("run %s: a chunk failed", run.id)
            self._stop_soon(run, "failed", f"our own fault: {_told(error)}")
        finally:
            run.tasks.discard(task)

    def _out_of_budget(self, run: ActiveRun) -> None:
        if not run.stopping:
            reason = f"the budget of ${usd(run.budget.limit or 0):g} does not allow another call"
            self._stop_soon(run, "budget", reason)

    def _stop_soon(self, run: ActiveRun, ends_as: RunStatus, reason: str) -> None:
        """For a task of the run itself, which cannot wait for its own end."""
        run.stopping = True
        task = asyncio.get_running_loop().create_task(self.stop(run.id, ends_as, reason))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _finish(self, run: ActiveRun) -> None:
        """Brings a run to rest. Called by the writer, once nothing of the run is left to store."""
        if self._active.get(run.id) is not run:
            return
        if run.to_compare and not run.stopping:
            if run.comparing is None:
                run.comparing = asyncio.create_task(self._compare(run))
                run.tasks.add(run.comparing)
            if not run.compared:
                return
        if any(metric.derived is not None for metric in run.spec.metrics):
            async with self._sessions.begin() as session:
                await writing(session)
                await derived.complete(session, run.project_id, run.id, run.spec)
        async with self._sessions() as session:
            metrics = await summary.summaries(session, run.project_id, run.id, run.spec, run.cases)
        async with self._sessions.begin() as session:
            await writing(session)
            if run.pending:
                await store.cancel_pending(session, run.project_id, run.id)
            await summary.keep(session, run.project_id, run.id, metrics)
            await summary.rest(session, run.project_id, run.id, run.ends_as, run.reason, self._clock())
            if run.change is not None:
                record(session, run.change)
        self._rests(run)

    async def _compare(self, run: ActiveRun) -> None:
        """The last pass; the run comes to rest after it."""
        try:
            await self._comparing.compare(run)
        except asyncio.CancelledError:
            if not run.stopping:
                raise
        except Exception as error:  # a defect must not leave a run that never ends
            logger.exception("run %s: comparing failed", run.id)
            self._stop_soon(run, "failed", f"our own fault: {_told(error)}")
        if not run.stopping:
            asyncio.get_running_loop().call_soon(self._writer.last, run)

    async def _abandon(self, run: ActiveRun, error: Exception) -> None:
        """Stops a run whose results cannot be stored. If not even that can be stored, it is continued at the next start."""
        run.stopping = True
        await self._queue.cancel(run.id)
        for task in run.tasks:
            task.cancel()
        try:
            await self._fail(run.project_id, run.id, f"storing results failed: {_told(error)}")
        except Exception:  # most likely the same cause
            logger.exception("run %s stays unfinished", run.id)
        self._rests(run)

    async def _fail(self, project_id: str, run_id: str, reason: str) -> None:
        async with self._sessions.begin() as session:
            await writing(session)
            await store.cancel_pending(session, project_id, run_id)
            await summary.rest(session, project_id, run_id, "failed", reason, self._clock())

    def _rests(self, run: ActiveRun) -> None:
        run.pending.clear()
        self._replies.stored(self._replies.take(run.id))  # of a run that could not be stored
        if self._active.get(run.id) is run:
            del self._active[run.id]
        run.ended.set()


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
