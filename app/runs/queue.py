"""The queue of jobs: one small interface, so that what stands behind it can be replaced."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any, Protocol

import msgspec

LANES = 16
JOBS_PER_LANE = 8
"""Chunks of one lane at work at once: enough that the slow last cells of one leave no slot of an endpoint unused."""


class Job(msgspec.Struct, frozen=True, array_like=True):
    """A chunk of one run's cells: (variant, case, repeat) in the order in which they are to be called."""

    project_id: str
    run_id: str
    cells: list[tuple[int, int, int]]


Work = Callable[[Job], Awaitable[None]]


class Queue(Protocol):
    def start(self, work: Work) -> None:
        """From now on `work` is called with every job."""
        ...

    async def enqueue(self, lane: str, jobs: Iterable[Job]) -> None:
        """Jobs of one lane begin in their order. Lanes do not wait for each other."""
        ...

    async def cancel(self, run_id: str) -> None:
        """Forgets the run's jobs that have not begun."""
        ...

    async def close(self) -> None:
        """Begins nothing more, and returns when what runs has ended."""
        ...


class InProcessQueue:
    """PgQueuer's in-memory queue in this process; what it holds is rebuilt from the database at the next start.

    It is imported and started with the first job, because a service that runs nothing need not hold it in memory. A lane is
    one of a fixed number of entry points, chosen by the hash of its name, so that a slow endpoint keeps no other one waiting.
    """

    def __init__(self) -> None:
        self._work: Work | None = None
        self._runner: asyncio.Task[None] | None = None
        self._ids: dict[str, set[Any]] = {}
        self._closed = False

    def start(self, work: Work) -> None:
        self._work = work

    async def enqueue(self, lane: str, jobs: Iterable[Job]) -> None:
        if self._closed:
            return
        if self._runner is None:
            self._open()
        entry = f"cells-{int(hashlib.sha256(lane.encode()).hexdigest()[:8], 16) % LANES}"
        for job in jobs:
            (number,) = await self._queries.enqueue(entry, msgspec.json.encode(job))
            self._ids.setdefault(job.run_id, set()).add(number)

    async def cancel(self, run_id: str) -> None:
        if waiting := self._ids.pop(run_id, None):
            await self._queries.mark_job_as_cancelled(list(waiting))

    async def close(self) -> None:
        self._closed = True
        if self._runner is not None:
            self._manager.shutdown.set()
            await self._runner

    def _open(self) -> None:
        from pgqueuer import PgQueuer
        from pgqueuer.models import Job as Picked

        application = PgQueuer.in_memory()
        self._manager: Any = application.qm
        self._queries: Any = application.qm.queries

        async def perform(picked: Picked) -> None:
            job = msgspec.json.decode(picked.payload or b"", type=Job)
            ids = self._ids.get(job.run_id)
            if ids is None or picked.id not in ids:
                return
            ids.discard(picked.id)
            if self._work is not None:
                await self._work(job)

        for lane in range(LANES):
            self._manager.entrypoint(f"cells-{lane}", concurrency_limit=JOBS_PER_LANE)(perform)
        # Its statistics are for a shared database; here they would only grow.
        run = self._manager.run(batch_size=JOBS_PER_LANE, log_aggregation_interval=timedelta(0))
        self._runner = asyncio.create_task(self._tidy(run), name="runs-queue")

    async def _tidy(self, run: Awaitable[None]) -> None:
        """PgQueuer keeps a log of every job for its statistics; a service that runs for months must not."""
        tidying = asyncio.create_task(self._clear_log())
        try:
            await run
        finally:
            tidying.cancel()

    async def _clear_log(self) -> None:
        while True:
            await asyncio.sleep(60)
            await self._queries.clear_queue_log()
