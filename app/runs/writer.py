"""The one writer of a process: scores what ended, and stores it in batches."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from time import monotonic
from typing import NamedTuple

from app.kit.clock import Clock
from app.kit.db import Sessions, is_passing, writing
from app.runs import replies, store
from app.runs.active import ActiveRun
from app.runs.claims import Claims
from app.runs.replies import Replies
from app.runs.scoring import Given, Scored, score_batch
from app.runs.spec import Cell
from app.runs.store import PENDING, Attempt, Ended

logger = logging.getLogger("promptward")

FLUSH_CELLS = 20
FLUSH_S = 0.2
MOST_CELLS = 1_000
MOST_WAITING = 2_000
"""Once so many ends wait to be stored no further chunk begins: answers that need no call come faster than they are stored."""
PATIENCE_S = 60.0
"""How long results that cannot be stored are tried again, while the database is away or its disk full."""

Idle = Callable[[ActiveRun], Awaitable[None]]
Abandon = Callable[[ActiveRun, Exception], Awaitable[None]]


class _Mark(NamedTuple):
    """A place in what a run gave: `stored` is set once all before it is."""

    stored: "asyncio.Future[None]"

    def done(self) -> None:
        if not self.stored.done():
            self.stored.set_result(None)


Put = tuple[ActiveRun, Ended | _Mark]


class Writer:
    """Stores what it is given in that order, a transaction per run and batch (every 0.2 s, or as soon as 20 are there).

    `idle` is called when all cells that this process has taken up of a run are stored; `abandon` when a run cannot be stored.
    """

    def __init__(
        self, sessions: Sessions, clock: Clock, judges: Replies, claims: Claims, idle: Idle, abandon: Abandon
    ) -> None:
        self._sessions, self._clock, self._judges, self._claims = sessions, clock, judges, claims
        self._idle, self._abandon = idle, abandon
        self._given: asyncio.Queue[Put | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._caught_up = asyncio.Event()
        self._caught_up.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._write(), name="runs-writer")

    async def close(self) -> None:
        """Stores what it was given, and ends."""
        if self._task is not None:
            self._given.put_nowait(None)
            await self._task

    def put(self, run: ActiveRun, ended: Ended) -> None:
        if ended.status != PENDING:
            run.unended.discard(ended.cell)
        self._given.put_nowait((run, ended))
        if self._given.qsize() > MOST_WAITING:
            self._caught_up.clear()

    async def caught_up(self) -> None:
        """Waits while too much waits to be stored."""
        await self._caught_up.wait()

    async def drained(self, run: ActiveRun) -> None:
        """Waits until everything that the run has given is stored, or cannot be."""
        mark = _Mark(asyncio.get_running_loop().create_future())
        self._given.put_nowait((run, mark))
        await mark.stored

    async def _write(self) -> None:
        closing = False
        while not closing:
            batch, closing = await self._batch()
            if self._given.qsize() <= MOST_WAITING:
                self._caught_up.set()
            by_run: dict[int, tuple[ActiveRun, list[Ended | _Mark]]] = {}
            for run, given in batch:
                by_run.setdefault(id(run), (run, []))[1].append(given)
            for run, several in by_run.values():
                ended = [e for e in several if isinstance(e, Ended)]
                try:
                    await self._flush(run, [e for e in ended if e.cell in run.pending or run.comparing])
                    if ended and not run.pending and not run.comparing:
                        await self._idle(run)
                except Exception as error:  # the writer must outlive a run that cannot be stored
                    logger.exception("run %s: storing failed", run.id)
                    await self._abandon(run, error)
                finally:
                    for each in several:
                        if isinstance(each, _Mark):
                            each.done()
                        elif each.stored is not None:
                            each.stored()

    async def _batch(self) -> tuple[list[Put], bool]:
        """What came within 0.2 s, or at once when it is enough or the last of its run; and whether to end after it."""
        batch: list[Put] = []
        given = await self._given.get()
        deadline = monotonic() + FLUSH_S
        while given is not None:
            batch.append(given)
            enough = len(batch) >= FLUSH_CELLS or not given[0].unended or isinstance(given[1], _Mark)
            if (enough and self._given.empty()) or len(batch) >= MOST_CELLS:
                return batch, False
            if self._given.empty():
                try:
                    given = await asyncio.wait_for(self._given.get(), max(0.0, deadline - monotonic()))
                except TimeoutError:
                    return batch, False
            else:
                given = self._given.get_nowait()
        return batch, True

    async def _flush(self, run: ActiveRun, ended: Sequence[Ended]) -> None:
        said = self._judges.take(run.id)
        if not ended and not said:
            return
        try:
            await self._store(run, await _scored(run, ended), said)
        finally:
            self._judges.stored(said)
        for e in ended:
            if e.status != PENDING:
                run.pending.pop(e.cell, None)

    async def _store(self, run: ActiveRun, scored: Sequence[Ended], said: replies.Taken) -> None:
        """Tried again while the database is away: nothing that was paid for is dropped for that."""
        names = [metric.use for metric in run.spec.metrics]
        began, pause = monotonic(), 0.1
        while True:
            try:
                async with self._sessions.begin() as session:
                    await writing(session)
                    place = Attempt(run.project_id, run.id, run.attempt)
                    await store.write(session, place, scored, names, self._clock())
                    await replies.write(session, said, self._clock())
                    asked = [e.key for e in scored if e.paid or e.status == "errored"]
                    await self._claims.release(session, run.project_id, asked)
            except Exception as error:
                if not is_passing(error) or monotonic() - began > PATIENCE_S:
                    raise
                logger.warning("run %s: storing is tried again in %.1f s: %s", run.id, pause, error)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)


async def _scored(run: ActiveRun, ended: Sequence[Ended]) -> list[Ended]:
    """The same, those that ended with an answer with the scores of all pure scorers."""
    pure = [n for n in run.alone if n not in run.live.judges]
    open_ = [(e, [n for n in pure if n not in e.scores]) for e in ended if e.answer is not None and e.status != PENDING]
    open_ = [(e, numbers) for e, numbers in open_ if numbers]
    if not open_:
        return list(ended)
    made = await asyncio.to_thread(_score_all, run, open_)
    return [
        e._replace(scores={**e.scores, **made[e.cell]}) if e.cell in made and e.status != PENDING else e for e in ended
    ]


def _score_all(run: ActiveRun, open_: Iterable[tuple[Ended, list[int]]]) -> dict[Cell, dict[int, Scored]]:
    made: dict[Cell, dict[int, Scored]] = {}
    by_metric: dict[int, list[Ended]] = {}
    for ended, numbers in open_:
        made[ended.cell] = {}
        for number in numbers:
            by_metric.setdefault(number, []).append(ended)
    for number, several in by_metric.items():
        given = [
            Given(e.key, e.item, e.answer, run.bundles[e.cell.variant_no])
            for e in several
            if e.item is not None and e.answer is not None
        ]
        for ended, scored in zip(several, score_batch(run.live.metrics[number], given), strict=True):
            made[ended.cell][number] = scored
    return made
