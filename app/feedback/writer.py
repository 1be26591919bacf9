"""Group commit: whatever waits is written in one transaction, and whoever waits is answered after it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from app.kit.errors import DomainError, UnavailableError

Job = TypeVar("Job")
MAX_BATCH = 500
BACKOFF_S = 0.25
_AWAY = ("08", "40", "53", "55", "57")
"""PostgreSQL's classes of errors: no connection, rolled back, no resources, locked, ended by an operator."""

_log = logging.getLogger(__name__)


class Entry(Generic[Job]):
    """A job and who waits for it. `result` is set by the writing, `done` after its commit."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.result: Any = None
        self.error: DomainError | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


Write = Callable[[Sequence[Entry[Job]]], Awaitable[None]]


class GroupWriter(Generic[Job]):
    """One task. `write` stores a batch in one transaction: it sets each entry's `result`, or its `error` when that job alone
    is at fault. What it raises is the whole batch's misfortune: a database that is away or locked is tried once more with all
    of the batch, for it would not have a single job either; after anything else each job is tried alone, so that none falls
    with others.
    """

    def __init__(self, write: Write[Job]) -> None:
        self._write = write
        self._queue: asyncio.Queue[Entry[Job] | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="feedback writer")

    async def close(self) -> None:
        """Writes what waits, then ends."""
        if self._task is not None:
            task, self._task = self._task, None  # from now on nobody can line up behind the end
            self._queue.put_nowait(None)
            await task

    async def submit(self, job: Job) -> Any:
        """The job's result once it is durable; raises its error."""
        if self._task is None or self._task.done():
            raise UnavailableError("the service is shutting down; try again")
        entry = Entry(job)
        self._queue.put_nowait(entry)
        await asyncio.shield(entry.done)
        if entry.error is not None:
            raise entry.error
        return entry.result

    async def _run(self) -> None:
        ending = False
        while not ending:
            batch: list[Entry[Job]] = []
            entry = await self._queue.get()
            while entry is not None:
                batch.append(entry)
                if len(batch) == MAX_BATCH or self._queue.empty():
                    break
                entry = self._queue.get_nowait()
            ending = entry is None
            if batch:
                await self._all(batch)

    async def _all(self, batch: list[Entry[Job]]) -> None:
        try:
            await self._write(batch)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it was
            if _database_is_away(error):
                await self._once_more(batch)
            elif len(batch) > 1:
                for entry in batch:
                    entry.error = None
                    await self._all([entry])
                return
            else:
                _failed(batch, error)
        for entry in batch:
            if not entry.done.done():
                entry.done.set_result(None)

    async def _once_more(self, batch: list[Entry[Job]]) -> None:
        await asyncio.sleep(BACKOFF_S)
        for entry in batch:
            entry.error = None
        try:
            await self._write(batch)
        except Exception as error:  # noqa: BLE001 - as above
            _failed(batch, error)


def _failed(batch: Sequence[Entry[Job]], error: Exception) -> None:
    _log.error("%d ratings or answers could not be stored", len(batch), exc_info=error)
    for entry in batch:
        entry.error = UnavailableError("it could not be stored; try again")


def _database_is_away(error: Exception) -> bool:
    """Locked, out of connections, gone, or a deadlock's victim: nothing that a job in the batch could have caused."""
    if isinstance(error, DBAPIError):
        state = str(getattr(error.orig, "sqlstate", None) or "")
        return isinstance(error, OperationalError) or error.connection_invalidated or state[:2] in _AWAY
    return isinstance(error, (TimeoutError, NoConnectionError, OSError))
