"""The one writer of a process: scores what ended, and stores it in batches."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from time import monotonic

from app.kit.clock import Clock
from app.kit.db import Sessions, writing
from app.runs import replies, store
from app.runs.active import ActiveRun
from app.runs.replies import Replies
from app.runs.scoring import Given, Scored, score_batch
from app.runs.spec import Cell
from app.runs.store import PENDING, Ended

logger = logging.getLogger("promptward")

FLUSH_CELLS = 20
FLUSH_S = 0.2
MOST_CELLS = 500

Finish = Callable[[ActiveRun], Awaitable[None]]
Abandon = Callable[[ActiveRun, Exception], Awaitable[None]]


class Writer:
    """Stores what it is given in that order, a transaction per run and batch (every 0.2 s, or as soon as 20 are there).

    `finish` is called once all cells of a run are stored, or after `last`; `abandon` when a run cannot be stored.
    """

    def __init__(self, sessions: Sessions, clock: Clock, judges: Replies, finish: Finish, abandon: Abandon) -> None:
        self._sessions, self._clock, self._judges = sessions, clock, judges
        self._finish, self._abandon = finish, abandon
        self._given: asyncio.Queue[tuple[ActiveRun, Ended | None] | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._write(), name="runs-writer")

    async def close(self) -> None:
        """Stores what it was given, and ends."""
        if self._task is not None:
            self._given.put_nowait(None)
            await self._task

    def put(self, run: ActiveRun, ended: Ended) -> None:
        if ended.status != PENDING:
            run.unended -= 1
        self._given.put_nowait((run, ended))

    def last(self, run: ActiveRun) -> None:
        """Nothing more will come of this run."""
        self._given.put_nowait((run, None))

    async def _write(self) -> None:
        closing = False
        while not closing:
            batch, closing = await self._batch()
            by_run: dict[str, tuple[ActiveRun, list[Ended | None]]] = {}
            for run, ended in batch:
                by_run.setdefault(run.id, (run, []))[1].append(ended)
            for run, several in by_run.values():
                try:
                    open_ = [e for e in several if e is not None and (e.cell in run.pending or run.comparing)]
                    await self._flush(run, open_)
                    run.compared = run.compared or (None in several and run.comparing is not None)
                    if None in several or not run.pending:
                        await self._finish(run)
                except Exception as error:  # the writer must outlive a run that cannot be stored
                    logger.exception("run %s: storing failed", run.id)
                    await self._abandon(run, error)
                finally:
                    for e in several:
                        if e is not None and e.stored is not None:
                            e.stored()

    async def _batch(self) -> tuple[list[tuple[ActiveRun, Ended | None]], bool]:
        """What came within 0.2 s, or at once when it is enough or the last of its run; and whether to end after it."""
        batch: list[tuple[ActiveRun, Ended | None]] = []
        given = await self._given.get()
        deadline = monotonic() + FLUSH_S
        while given is not None:
            batch.append(given)
            enough = len(batch) >= FLUSH_CELLS or given[0].unended == 0 or given[1] is None
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
            scored = await _scored(run, ended)
            async with self._sessions.begin() as session:
                await writing(session)
                names = [metric.use for metric in run.spec.metrics]
                await store.write(session, run.project_id, run.id, scored, names, self._clock())
                await replies.write(session, said, self._clock())
        finally:
            self._judges.stored(said)
        for e in ended:
            if e.status != PENDING:
                run.ended_as(e.cell, e.error_kind)


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
