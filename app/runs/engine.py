"""Executes runs: chunks of cells from the queue, answers and scores into the database, progress for whoever watches.

A chunk reads which of its answers exist, calls only the missing ones at once, and hands every cell that ended to one writer,
which stores them together (every 0.2 s or 20 cells). A process that is killed repeats at most the calls in flight and what the
writer had not stored.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import NamedTuple

from app.datasets.schemas import Entry, Item
from app.datasets.service import Datasets
from app.generation.schemas import Answer, Bundle, CaseInput
from app.generation.service import Generation
from app.kit.clock import Clock
from app.kit.db import Sessions, writing
from app.kit.errors import DomainError
from app.llm.errors import EndpointError
from app.llm.service import LLM
from app.registry.service import Registry
from app.runs import store, summary
from app.runs.budget import Budget, BudgetSpentError
from app.runs.judge import EndpointJudge
from app.runs.planner import reservation, stored_bundle
from app.runs.queue import InProcessQueue, Job, Queue
from app.runs.schemas import Progress, RunStatus, VariantProgress, usd
from app.runs.scoring import LiveMetric, arguments, judged, score_batch
from app.runs.spec import Case, Cell, Spec, case_order, in_calling_order
from app.runs.store import Ended
from app.runs.tables import ScoreRow
from evaluators.contract import Score
from evaluators.registry import build

logger = logging.getLogger("promptward")

CHUNK = 100
FLUSH_CELLS = 20
FLUSH_S = 0.2
RATE_WINDOW_S = 5.0


class Live(NamedTuple):
    """What the metrics of a run are computed with."""

    metrics: list[LiveMetric]
    judges: dict[int, EndpointJudge]


class ActiveRun:
    """A run at work in this process."""

    def __init__(self, loaded: store.Loaded, bundles: list[Bundle], live: Live, pending: dict[Cell, str]) -> None:
        self.project_id, self.id = loaded.row.project_id, loaded.row.id
        self.spec: Spec = loaded.spec
        self.cases: list[Case] = loaded.cases
        self.bundles, self.live, self.pending = bundles, live, pending
        self.unended = len(pending)
        self.budget = Budget(loaded.row.budget_nano)
        self.ends_as: RunStatus = "done"
        self.reason: str | None = None
        self.stopping = False
        self.ended = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self.done = [0] * len(loaded.spec.variants)
        self.planned = [0] * len(loaded.spec.variants)
        self.errors: dict[str, int] = {}
        self.cost_nano = 0
        self.calls: deque[float] = deque()
        self.asked: dict[str, asyncio.Future[Answer]] = {}

    def called(self) -> None:
        now = monotonic()
        self.calls.append(now)
        while self.calls and self.calls[0] < now - RATE_WINDOW_S:
            self.calls.popleft()

    def progress(self, status: RunStatus) -> Progress:
        now = monotonic()
        recent = [at for at in self.calls if at >= now - RATE_WINDOW_S]
        span = max(now - recent[0], 0.1) if recent else 1.0
        rate = len(recent) / span
        left = sum(self.planned) - sum(self.done)
        return Progress(
            status=status,
            done=sum(self.done),
            total=sum(self.planned),
            variants=[
                VariantProgress(v.id, done, planned)
                for v, done, planned in zip(self.spec.variants, self.done, self.planned, strict=True)
            ],
            calls_per_s=round(rate, 1),
            errors=dict(self.errors),
            cost_usd=usd(self.cost_nano),
            eta_s=round(left / rate, 1) if rate > 0 else None,
        )


class Engine:
    """The runs of this process."""

    def __init__(
        self, sessions: Sessions, llm: LLM, generation: Generation, clock: Clock, queue: Queue | None = None
    ) -> None:
        self._sessions, self._llm, self._generation, self._clock = sessions, llm, generation, clock
        self._queue: Queue = queue or InProcessQueue()
        self._active: dict[str, ActiveRun] = {}
        self._finished: asyncio.Queue[tuple[ActiveRun, Ended] | None] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Continues what an earlier process left unfinished."""
        self._queue.start(self._work)
        self._writer = asyncio.create_task(self._write(), name="runs-writer")
        async with self._sessions() as session:
            unfinished = await summary.unfinished(session)
        for project_id, run_id in unfinished:
            await self.launch(project_id, run_id)

    async def close(self) -> None:
        """Stops calling; cells that have not ended stay pending and are continued at the next start."""
        for run in self._active.values():
            run.stopping = True
            for task in run.tasks:
                task.cancel()
        await self._queue.close()
        if self._writer is not None:
            self._finished.put_nowait(None)
            await self._writer

    def active(self, run_id: str) -> ActiveRun | None:
        return self._active.get(run_id)

    async def launch(self, project_id: str, run_id: str) -> None:
        """Puts a stored run's open cells on the queue. What cannot be started ends as failed, with the reason."""
        try:
            run = await self._activate(project_id, run_id)
        except DomainError as error:
            async with self._sessions.begin() as session:
                await writing(session)
                await store.cancel_pending(session, project_id, run_id)
                await summary.rest(session, project_id, run_id, "failed", error.detail, self._clock())
            return
        if not run.pending:
            await self._finish(run)
            return
        order = in_calling_order(run.pending, case_order(run.id, run.cases))
        lanes: dict[str, list[Cell]] = {}
        for cell in order:
            lanes.setdefault(run.bundles[cell.variant_no].endpoint_digest, []).append(cell)
        for lane, cells in lanes.items():
            jobs = [
                Job(project_id, run_id, [(c.variant_no, c.case_no, c.repeat) for c in cells[i : i + CHUNK]])
                for i in range(0, len(cells), CHUNK)
            ]
            await self._queue.enqueue(lane, jobs)

    async def stop(self, run_id: str, ends_as: RunStatus, reason: str | None) -> None:
        """No new call from now on; calls in flight are abandoned, and open cells end as cancelled."""
        run = self._active.get(run_id)
        if run is None:
            return
        if not run.stopping:
            run.stopping, run.ends_as, run.reason = True, ends_as, reason
            await self._queue.cancel(run_id)
            for task in run.tasks:
                task.cancel()
            self._finished.put_nowait((run, _STOPPED))
        await run.ended.wait()

    async def _activate(self, project_id: str, run_id: str) -> ActiveRun:
        async with self._sessions.begin() as session:
            await writing(session)
            loaded = await store.load(session, project_id, run_id)
            if loaded is None:
                raise RuntimeError(f"run {run_id} is not stored")
            registry = Registry(session, project_id)
            bundles = [await stored_bundle(registry, v) for v in loaded.spec.variants]
            live = await self._live(registry, loaded.spec)
            pending = dict(await store.pending_cells(session, project_id, run_id))
            counters = await store.counters(session, project_id, run_id)
            await summary.begin(session, project_id, run_id, self._clock())
            run = ActiveRun(loaded, bundles, live, pending)
            run.errors = await store.errors(session, project_id, run_id)
        for row in counters:
            run.planned[row.variant_no] = row.planned
            run.done[row.variant_no] = store.cells_of(row).ended
            run.cost_nano += row.cost_nano + row.judge_cost_nano
        run.budget.spent = run.cost_nano
        self._active[run_id] = run
        return run

    async def _live(self, registry: Registry, spec: Spec) -> Live:
        metrics: list[LiveMetric] = []
        judges: dict[int, EndpointJudge] = {}
        for number, metric in enumerate(spec.metrics):
            if metric.rubric is None or metric.judge is None:
                metrics.append(LiveMetric(metric, build(metric.use, metric.args)))
                continue
            rubric = (await registry.by_digest("rubric", metric.rubric)).content
            endpoint = await registry.by_digest("endpoint", metric.judge)
            metrics.append(LiveMetric(metric, build(metric.use, arguments(metric.args, rubric))))
            judges[number] = EndpointJudge(self._llm, endpoint, rubric)
        return Live(metrics, judges)

    async def _work(self, job: Job) -> None:
        run = self._active.get(job.run_id)
        if run is None or run.stopping:
            return
        task = asyncio.create_task(self._chunk(run, [Cell(*c) for c in job.cells if Cell(*c) in run.pending]))
        run.tasks.add(task)
        try:
            await task
        except asyncio.CancelledError:
            if not run.stopping:
                raise
        except Exception as error:  # a defect must not leave a run that never ends
            logger.exception("run %s: a chunk failed", run.id)
            asyncio.get_running_loop().create_task(
                self.stop(run.id, "failed", f"our own fault: {type(error).__name__}: {error}")
            )
        finally:
            run.tasks.discard(task)

    async def _chunk(self, run: ActiveRun, cells: Sequence[Cell]) -> None:
        keys = {cell: run.pending[cell] for cell in cells}
        numbers = sorted({cell.case_no for cell in cells})
        async with self._sessions() as session:
            datasets = Datasets(session, run.project_id)
            entries = [Entry(run.cases[n].id, run.cases[n].digest, run.cases[n].tags) for n in numbers]
            items = dict(zip(numbers, await datasets.some(entries), strict=True))
            known = await store.answers(session, run.project_id, keys.values())
            wanted = [
                live.key(keys[cell], items[cell.case_no])
                for cell in cells
                if keys[cell] in known
                for live in run.live.metrics
            ]
            scores = await store.scores(session, run.project_id, wanted)
        ready = [cell for cell in cells if keys[cell] in known]
        missing = [cell for cell in cells if keys[cell] not in known]
        async with asyncio.TaskGroup() as group:
            for cell in missing:
                group.create_task(self._answer(run, cell, keys[cell], items[cell.case_no]))
            for start in range(0, len(ready), CHUNK):
                some = ready[start : start + CHUNK]
                answers = [store.answer_of(known[keys[cell]]) for cell in some]
                mine = [known[keys[cell]].run_id == run.id for cell in some]
                group.create_task(self._known(run, some, keys, items, answers, mine, scores))

    async def _answer(self, run: ActiveRun, cell: Cell, key: str, item: Item) -> None:
        """One call, and the cell's end."""
        if (asked := run.asked.get(key)) is not None:
            # Two variants that ask the same: one call answers both.
            try:
                answer = await asyncio.shield(asked)
            except DomainError as error:
                self._lost(run, cell, key, error)
                return
            judging = await self._judge(run, [(cell, item, answer)], {}, {cell: key})
            status = "failed" if answer.status == "failed" else "cached"
            self._end(run, Ended(cell, key, status, answer, False, judging[cell], frozenset(judging[cell]), item=item))
            return
        asked = run.asked[key] = asyncio.get_running_loop().create_future()
        asked.add_done_callback(_seen)
        try:
            await self._call(run, cell, key, item, asked)
        finally:
            if not asked.done():
                asked.cancel()
                run.asked.pop(key, None)

    async def _call(self, run: ActiveRun, cell: Cell, key: str, item: Item, asked: "asyncio.Future[Answer]") -> None:
        bundle = run.bundles[cell.variant_no]
        case = CaseInput(item.inputs, item.history, item.recorded or None)
        reserved = reservation(bundle, case) if run.budget.limit is not None else 0
        try:
            await run.budget.reserve(reserved)
        except BudgetSpentError:
            self._spent(run)
            return
        cost = 0
        try:
            if run.stopping:
                return
            answer = await self._generation.generate(bundle, case)
            cost = answer.cost_nano or 0
        except DomainError as error:
            asked.set_exception(error)
            self._lost(run, cell, key, error)
            return
        finally:
            run.budget.settle(reserved, cost)
        run.called()
        run.cost_nano += cost
        asked.set_result(answer)
        judging = await self._judge(run, [(cell, item, answer)], {}, {cell: key})
        self._end(
            run, Ended(cell, key, answer.status, answer, True, judging[cell], frozenset(judging[cell]), item=item)
        )

    async def _known(
        self,
        run: ActiveRun,
        cells: Sequence[Cell],
        keys: dict[Cell, str],
        items: dict[int, Item],
        answers: Sequence[Answer],
        mine: Sequence[bool],
        scores: dict[str, ScoreRow],
    ) -> None:
        """Cells whose answers exist: their scores are taken or made."""
        triples = [(cell, items[cell.case_no], answer) for cell, answer in zip(cells, answers, strict=True)]
        kept: dict[Cell, dict[int, tuple[Score, str]]] = {}
        for cell, item, _ in triples:
            found = kept.setdefault(cell, {})
            for number, live in enumerate(run.live.metrics):
                if (row := scores.get(live.key(keys[cell], item))) is not None:
                    found[number] = (store.score_of(row), row.key)
        judging = await self._judge(run, triples, kept, keys)
        for (cell, item, answer), own in zip(triples, mine, strict=True):
            status = "failed" if answer.status == "failed" else "answered" if own else "cached"
            made = judging[cell]
            self._end(
                run, Ended(cell, keys[cell], status, answer, False, {**kept[cell], **made}, frozenset(made), item=item)
            )

    async def _judge(
        self,
        run: ActiveRun,
        triples: Sequence[tuple[Cell, Item, Answer]],
        kept: dict[Cell, dict[int, tuple[Score, str]]],
        keys: dict[Cell, str],
    ) -> dict[Cell, dict[int, tuple[Score, str]]]:
        """The judges' scores that are not kept already. Pure scorers are left to the writer, which scores in batches."""
        made: dict[Cell, dict[int, tuple[Score, str]]] = {cell: {} for cell, _, _ in triples}

        async def one(cell: Cell, item: Item, answer: Answer, number: int) -> None:
            live = run.live.metrics[number]
            score = await judged(live, item, answer, run.live.judges[number])
            run.cost_nano += round(score.cost_usd * 1_000_000_000)
            made[cell][number] = (score, live.key(keys[cell], item))

        if run.live.judges:
            async with asyncio.TaskGroup() as group:
                for cell, item, answer in triples:
                    for number in run.live.judges:
                        if number not in kept.get(cell, {}):
                            group.create_task(one(cell, item, answer, number))
        return made

    def _lost(self, run: ActiveRun, cell: Cell, key: str, error: DomainError) -> None:
        """Infrastructure gave no answer: no score, never a pass."""
        kind = error.kind if isinstance(error, EndpointError) else error.slug
        self._end(run, Ended(cell, key, "errored", None, False, {}, error_kind=kind, error=error.detail))

    def _end(self, run: ActiveRun, ended: Ended) -> None:
        run.unended -= 1
        self._finished.put_nowait((run, ended))

    def _spent(self, run: ActiveRun) -> None:
        if not run.stopping:
            reason = f"the budget of ${usd(run.budget.limit or 0):g} does not allow another call"
            asyncio.get_running_loop().create_task(self.stop(run.id, "budget", reason))

    async def _write(self) -> None:
        """The one writer: stores what ended, a batch per run and transaction."""
        closing = False
        while not closing:
            batch: list[tuple[ActiveRun, Ended]] = []
            first = await self._finished.get()
            deadline = monotonic() + FLUSH_S
            while True:
                if first is None:
                    closing = True
                else:
                    batch.append(first)
                full = len(batch) >= FLUSH_CELLS or any(run.unended == 0 for run, _ in batch[-1:])
                if closing or (full and self._finished.empty()) or len(batch) >= 5 * CHUNK:
                    break
                wait = deadline - monotonic()
                if wait <= 0:
                    break
                try:
                    first = await asyncio.wait_for(self._finished.get(), wait)
                except TimeoutError:
                    break
            by_run: dict[str, tuple[ActiveRun, list[Ended]]] = {}
            for run, ended in batch:
                by_run.setdefault(run.id, (run, []))[1].append(ended)
            for run, several in by_run.values():
                try:
                    await self._flush(run, [e for e in several if e is not _STOPPED and e.cell in run.pending])
                    if any(e is _STOPPED for e in several) or not run.pending:
                        await self._finish(run)
                except Exception as error:  # the writer must outlive a run that cannot be stored
                    logger.exception("run %s: storing failed", run.id)
                    await self._abandon(run, error)

    async def _flush(self, run: ActiveRun, ended: Sequence[Ended]) -> None:
        if not ended:
            return
        scored = await self._scored(run, ended)
        async with self._sessions.begin() as session:
            await writing(session)
            names = [metric.use for metric in run.spec.metrics]
            await store.write(session, run.project_id, run.id, scored, names, self._clock())
        for e in scored:
            run.pending.pop(e.cell, None)
            run.done[e.cell.variant_no] += 1
            if e.error_kind is not None:
                run.errors[e.error_kind] = run.errors.get(e.error_kind, 0) + 1

    async def _scored(self, run: ActiveRun, ended: Sequence[Ended]) -> list[Ended]:
        """The same with the pure scorers' scores."""
        pure = [n for n in range(len(run.live.metrics)) if n not in run.live.judges]
        open_ = [(e, [n for n in pure if n not in e.scores]) for e in ended if e.answer is not None]
        open_ = [(e, numbers) for e, numbers in open_ if numbers]
        if not open_:
            return list(ended)
        made = await asyncio.to_thread(_score_all, run.live.metrics, open_)
        return [
            e._replace(scores={**e.scores, **made[e.cell]}, fresh=e.fresh | frozenset(made[e.cell]))
            if e.cell in made
            else e
            for e in ended
        ]

    async def _finish(self, run: ActiveRun) -> None:
        if self._active.get(run.id) is not run:
            return
        async with self._sessions.begin() as session:
            await writing(session)
            if run.pending:
                await store.cancel_pending(session, run.project_id, run.id)
            await summary.summarise(session, run.project_id, run.id, run.spec, len(run.cases))
            await summary.rest(session, run.project_id, run.id, run.ends_as, run.reason, self._clock())
        del self._active[run.id]
        run.ended.set()

    async def _abandon(self, run: ActiveRun, error: Exception) -> None:
        """Stops a run whose results cannot be stored; it stays unfinished and is continued at the next start."""
        run.stopping = True
        await self._queue.cancel(run.id)
        for task in run.tasks:
            task.cancel()
        run.reason = f"storing results failed: {type(error).__name__}: {error}"
        self._active.pop(run.id, None)
        run.ended.set()


def _seen(asked: "asyncio.Future[Answer]") -> None:
    """Whoever asked has told of the error; nobody else may be waiting for it."""
    if not asked.cancelled():
        asked.exception()


_STOPPED = Ended(Cell(-1, -1, -1), "", "cancelled", None, False, {})


def _score_all(
    metrics: Sequence[LiveMetric], open_: Iterable[tuple[Ended, list[int]]]
) -> dict[Cell, dict[int, tuple[Score, str]]]:
    made: dict[Cell, dict[int, tuple[Score, str]]] = {}
    by_metric: dict[int, list[Ended]] = {}
    for ended, numbers in open_:
        made[ended.cell] = {}
        for number in numbers:
            by_metric.setdefault(number, []).append(ended)
    for number, several in by_metric.items():
        live = metrics[number]
        items = [e.item for e in several if e.item is not None]
        scores = score_batch(live, items, [e.answer for e in several if e.answer is not None])
        for ended, item, score in zip(several, items, scores, strict=True):
            made[ended.cell][number] = (score, live.key(ended.key, item))
    return made
