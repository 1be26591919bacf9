"""Cells that an endpoint's Batch API answers: submitted together, looked after until they are answered, and stored.

An answer that came by batch is kept under its cell's key like any other. Judging and scoring are not done here: once the
answers are stored, their cells go to the queue, where they are known.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from app.generation.bundles import endpoint_spec
from app.generation.service import Generation
from app.kit.clock import Clock
from app.kit.db import Sessions, writing
from app.kit.errors import DomainError
from app.kit.ids import new_id
from app.kit.tasks import finish
from app.llm.batches import BatchAPI, Line, Remote
from app.llm.errors import EndpointError
from app.registry.service import Registry
from app.runs import batching_budget, store
from app.runs.active import ActiveRun
from app.runs.batching_rows import LIVE, TRIED, Asked, alone, by_key, change, decoded, encoded, grouped, live, of_run
from app.runs.batching_tables import RunBatchRow
from app.runs.batching_texts import Question, Texts
from app.runs.schemas import RESTING
from app.runs.spec import Cell, Spec
from app.runs.store import Attempt

logger = logging.getLogger("promptward")

POLL_S = 30.0
FIRST_S = 0.5
"""A batch is looked at soon after it was submitted, then ever more rarely, down to once in `POLL_S`."""
MOST_BYTES = 32 * 1000 * 1000
"""What one batch holds at most: far below what OpenAI takes, so that its answers fit into memory."""
MOST_ATTEMPTS = 5
ELSEWHERE_S = 5.0
"""How often a process looks whether the one that looks after all batches is gone."""
GIVE_UP_S = 48 * 3600.0
"""A batch that has not ended by then never will: OpenAI's end within a day."""


class Host(Protocol):
    """Who performs runs."""

    async def launch(self, project_id: str, run_id: str) -> None:
        """Performs what is open of a run."""
        ...

    async def at_work(self, place: Attempt) -> ActiveRun | None:
        """A run that is at work, as this process holds it."""
        ...

    async def proceed(self, run: ActiveRun, cells: Sequence[Cell]) -> None:
        """Performs the cells: those whose answers are stored are scored, the others are called."""
        ...


class Batches:
    """The batches of the runs of one process. `poll_s` is how often a batch is looked at."""

    def __init__(
        self, sessions: Sessions, generation: Generation, clock: Clock, host: Host, poll_s: float = POLL_S
    ) -> None:
        self._sessions, self._generation, self._clock, self._host = sessions, generation, clock, host
        self._poll_s, self._texts = poll_s, Texts(sessions, generation)
        self._woken = asyncio.Event()
        self._ending = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._look_after(), name="runs-batches")

    async def close(self) -> None:
        """Batches go on at their endpoints; the next process looks after them."""
        if self._task is not None:
            self._ending = True
            self._woken.set()
            await finish(self._task)

    def wake(self) -> None:
        """There is something to submit or to withdraw."""
        self._woken.set()

    async def take(
        self, project_id: str, run_id: str, spec: Spec, pending: Mapping[Cell, str], cells: Sequence[Cell]
    ) -> list[Cell]:
        """Stores those of the cells that are to be asked by batch; the others, which are returned, are to be called.

        A cell that was in a batch before and is still open is called, as is one whose answer is known.
        """
        if not any(variant.batch for variant in spec.variants):
            return list(cells)
        async with self._sessions.begin() as session:
            await writing(session)
            await store.lock(session, project_id, run_id)
            rows = await of_run(session, project_id, run_id)
            held = {cell for row in rows if row.status in LIVE for cell, _ in decoded(row.cells)}
            tried = {cell for row in rows if row.status in TRIED for cell, _ in decoded(row.cells)}
            open_ = [c for c in cells if spec.variants[c.variant_no].batch and c not in held and c not in tried]
            known = await store.known(session, project_id, [pending[cell] for cell in open_])
            asked = [(cell, pending[cell]) for cell in open_ if pending[cell] not in known]
            for group in grouped(spec, asked):
                digest = spec.variants[group[0][0].variant_no].endpoint_digest
                session.add(self._row(project_id, run_id, digest, group))
        self.wake()
        held |= {cell for cell, _ in asked}
        return [cell for cell in cells if cell not in held]

    async def poll(self) -> float:
        """Submits what is open, looks at what is due, and says in how many seconds something will be."""
        async with alone(self._sessions) as mine:
            if not mine:
                return min(ELSEWHERE_S, self._poll_s)
            async with self._sessions() as session:
                rows = await live(session)
            for row, rests, attempt in rows:
                place = Attempt(row.project_id, row.run_id, attempt)
                try:
                    await self._tend(row, rests, place)
                except Exception as error:  # a defect must leave neither the others nor a run that never ends
                    logger.exception("batch %s of run %s", row.id, row.run_id)
                    await self._stumbled(row, place, f"our own fault: {type(error).__name__}: {error}")
        now = self._clock()
        waits = [self._due_s(row, now) for row, _, _ in rows if row.status in LIVE and row.checked_at is not None]
        return max(FIRST_S, min([self._poll_s, *waits]))

    async def _look_after(self) -> None:
        while not self._ending:
            self._woken.clear()
            pause = self._poll_s
            try:
                pause = await self.poll()
            except Exception:  # the database may be away; what is waiting at endpoints waits on
                logger.exception("looking after batches failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)

    async def _tend(self, row: RunBatchRow, rests: bool, place: Attempt) -> None:
        if rests:
            await self._withdraw(row)
            return
        if self._due_s(row, self._clock()) > 0 or (run := await self._host.at_work(place)) is None:
            return
        if row.status == "waiting":
            await self._check(run, row)
        else:
            await self._submit(run, row)

    def _due_s(self, row: RunBatchRow, now: datetime) -> float:
        if row.checked_at is None:
            return 0.0
        pause = float(2**row.attempts)
        if row.status == "waiting":
            pause = max(FIRST_S, (row.checked_at - (row.submitted_at or row.checked_at)).total_seconds() / 2)
        return min(pause, self._poll_s) - (now - row.checked_at).total_seconds()

    async def _submit(self, run: ActiveRun, row: RunBatchRow) -> None:
        """Once, whatever happens: what an earlier attempt may have made is looked for first."""
        api = self._api(run, row)
        try:
            remote = await api.find(row.id) if row.attempts else None
            if remote is None:
                if row.attempts >= MOST_ATTEMPTS:
                    await self._refuse(run, row, row.error or "")
                    return
                questions = await self._texts.questions(run, decoded(row.cells))
                if row.status == "open" and not (questions := await self._reserved(run, row, questions)):
                    return
                lines = [question.line for question in questions if question.line]
                if not lines:
                    await self._refuse(run, row, "none of its cases fits the prompt")
                    return
                await self._keep(row, attempts=row.attempts + 1)
                remote = await api.create(await api.upload(lines), row.id)
        except EndpointError as error:
            await self._keep(row, error=error.detail, checked_at=self._clock())
            if not error.retryable:
                await self._refuse(run, row, error.detail)
            return
        now = self._clock()
        await self._keep(
            row, status="waiting", remote_id=remote.id, said=remote.status, submitted_at=now, checked_at=now, error=None
        )

    async def _reserved(self, run: ActiveRun, row: RunBatchRow, questions: list[Question]) -> list[Question]:
        """As many of an open batch's questions as the budget and a file have room for; the rest stays open."""
        size, most = 0, 0
        for question in questions:
            size += len(question.line)
            if size > MOST_BYTES and most:
                break
            most += 1
        asked, others = decoded(row.cells), list[RunBatchRow]()
        async with self._sessions.begin() as session:
            await writing(session)
            fit = await batching_budget.reserve(session, run, row.id, [q.nano for q in questions[:most]])
            kept = {question.key for question in questions[:fit]}
            rest = [each for each in asked if each[1] not in kept]
            if fit:
                mine = [each for each in asked if each[1] in kept]
                nano = sum(question.nano for question in questions[:fit])
                await change(session, row, status="submitting", reserved_nano=nano, cells=encoded(mine), count=fit)
                if rest:
                    session.add(self._row(run.project_id, run.id, row.endpoint_digest, rest))
            else:
                others = [r for r in await of_run(session, run.project_id, run.id) if r.status in LIVE[1:]]
        if not fit:
            if not others:
                await self._refuse(run, row, "the budget has no room for a batch")
            return []
        if rest:
            self.wake()
        return questions[:fit]

    async def _check(self, run: ActiveRun, row: RunBatchRow) -> None:
        api, now = self._api(run, row), self._clock()
        try:
            remote = await api.state(row.remote_id or "")
            answers = await api.answers(remote) if remote.ended else {}
        except EndpointError as error:
            await self._keep(row, checked_at=now, error=error.detail)
            waited = (now - (row.submitted_at or now)).total_seconds()
            if error.kind == "not_found" or waited > GIVE_UP_S:
                await self._refuse(run, row, error.detail)
            return
        if remote.ended:
            await self._merge(run, row, api, remote, answers)
            return
        await self._keep(row, said=remote.status, checked_at=now, error=None)

    async def _merge(
        self, run: ActiveRun, row: RunBatchRow, api: BatchAPI, remote: Remote, lines: Mapping[str, Line]
    ) -> None:
        """Stores what was answered, in one transaction with the batch's end. What was not is called one by one; what the
        endpoint refuses for good has ended."""
        cells = by_key(await self._open(run, row))
        answered, lost, unanswered = await self._texts.read(run, cells, api, lines)
        note = None
        if unanswered or remote.status != "completed":
            note = f"the batch {remote.id} has {remote.status}" + (f": {remote.said}" if remote.said else "")
            note += f"; {unanswered} of {row.count} questions came back without an answer and were called one by one"
        names = [metric.use for metric in run.spec.metrics]
        place, now = Attempt(run.project_id, run.id, run.attempt), self._clock()
        cost = sum(ended.answer.cost_nano or 0 for ended in answered if ended.answer is not None)
        async with self._sessions.begin() as session:
            await writing(session)
            if not await change(session, row, status="ended", said=remote.status, error=note, checked_at=now):
                return
            await store.write(session, place, [*answered, *lost], names, now)
            await batching_budget.settle(session, run, row.id, cost)
        batching_budget.settled(run, row.reserved_nano, cost)
        gone = {ended.cell for ended in lost}
        await self._host.proceed(run, [c for several in cells.values() for c in several if c not in gone])
        self.wake()

    async def _refuse(self, run: ActiveRun, row: RunBatchRow, why: str) -> None:
        """The batch comes to nothing: its cells are called one by one."""
        note = f"{row.count} questions were called one by one, not by batch: {why}"
        async with self._sessions.begin() as session:
            await writing(session)
            if not await change(session, row, status="refused", error=note):
                return
            await batching_budget.settle(session, run, row.id, 0)
        batching_budget.settled(run, row.reserved_nano, 0)
        await self._host.proceed(run, [cell for cell, _ in await self._open(run, row)])
        self.wake()

    async def _open(self, run: ActiveRun, row: RunBatchRow) -> list[Asked]:
        """The batch's cells that have not ended meanwhile."""
        async with self._sessions() as session:
            cells = [cell for cell, _ in decoded(row.cells)]
            return list((await store.open_cells(session, run.project_id, run.id, cells)).items())

    async def _withdraw(self, row: RunBatchRow) -> None:
        """Of a run that was stopped: the endpoint need not go on."""
        error_ = None
        if row.attempts:
            try:
                async with self._sessions() as session:
                    endpoint = await Registry(session, row.project_id).by_digest("endpoint", row.endpoint_digest)
                api = BatchAPI(self._generation.llm, endpoint_spec(endpoint))
                remote_id = row.remote_id
                if remote_id is None and (found := await api.find(row.id)) is not None:
                    remote_id = found.id
                if remote_id is not None:
                    await api.cancel(remote_id)
            except DomainError as error:
                error_ = error.detail
                if isinstance(error, EndpointError) and error.retryable and row.attempts < MOST_ATTEMPTS:
                    await self._keep(row, attempts=row.attempts + 1, error=error_)
                    return
        await self._keep(row, status="cancelled", error=error_)
        async with self._sessions() as session:
            run = await store.load(session, row.project_id, row.run_id, cases=False)
        if run is not None and run.row.status not in RESTING:  # it was resumed meanwhile, and left these cells to us
            await self._host.launch(row.project_id, row.run_id)

    async def _stumbled(self, row: RunBatchRow, place: Attempt, error: str) -> None:
        run = await self._host.at_work(place) if row.attempts >= MOST_ATTEMPTS else None
        if run is not None:
            await self._refuse(run, row, error)
        else:
            await self._keep(row, attempts=row.attempts + 1, checked_at=self._clock(), error=error)

    def _api(self, run: ActiveRun, row: RunBatchRow) -> BatchAPI:
        bundle = next(b for b in run.bundles if b.endpoint_digest == row.endpoint_digest)
        return BatchAPI(self._generation.llm, bundle.spec)

    def _row(self, project_id: str, run_id: str, endpoint_digest: str, asked: Sequence[Asked]) -> RunBatchRow:
        return RunBatchRow(
            project_id=project_id,
            run_id=run_id,
            id=new_id("bat"),
            endpoint_digest=endpoint_digest,
            status="open",
            cells=encoded(asked),
            count=len(by_key(asked)),
            created_at=self._clock(),
        )

    async def _keep(self, row: RunBatchRow, **values: Any) -> None:
        async with self._sessions.begin() as session:
            await writing(session)
            await change(session, row, **values)
