"""The queue of jobs: one small interface, so that what stands behind it can be replaced."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, Protocol

import msgspec

LANES = 16
JOBS_PER_LANE = 8
"""Chunks of one lane at work at once: enough that the slow last cells of one leave no slot of an endpoint unused."""
PRIORITIES = {"low": 0, "normal": 1, "high": 2}
FINISH = "finish"


class Job(msgspec.Struct, frozen=True, array_like=True):
    """A chunk of one run's cells: (variant, case, repeat) in the order in which they are to be called; or, without cells,
    the end of a run whose cells have all ended. A job of an earlier `attempt` of its run is out of date."""

    project_id: str
    run_id: str
    attempt: int
    cells: list[tuple[int, int, int]]


Work = Callable[[Job], Awaitable[bool]]
"""Performs a job; False when this process cannot finish it, so that it goes back to the queue."""


class Queue(Protocol):
    def start(self, work: Work) -> None:
        """From now on `work` is called with jobs."""
        ...

    async def enqueue(self, lane: str, jobs: Sequence[Job], priority: int = 1) -> None:
        """Jobs of one lane and priority begin in their order, runs taking turns. Lanes do not wait for each other. A job that
        is there already is not added again."""
        ...

    async def cancel(self, run_id: str) -> None:
        """Forgets the run's jobs that have not begun, where that is cheap: who gets one of a run at rest drops it."""
        ...

    async def known(self) -> set[str]:
        """The runs that have jobs, waiting or at work."""
        ...

    async def depth(self) -> Counter[tuple[str, str]]:
        """Jobs by priority (`0` to `2`, or `finish`) and state (`queued`, `picked`)."""
        ...

    async def close(self) -> None:
        """Begins nothing more, and returns when what runs has ended."""
        ...


def entry_points() -> list[str]:
    """All names that jobs are enqueued under: lanes by priority, and the ends of runs."""
    return [f"cells-{priority}-{lane}" for priority in PRIORITIES.values() for lane in range(LANES)] + [FINISH]


def entry_point(lane: str, priority: int) -> str:
    """A lane is one of a fixed number, chosen by the hash of its name."""
    if lane == FINISH:
        return FINISH
    return f"cells-{priority}-{int(hashlib.sha256(lane.encode()).hexdigest()[:8], 16) % LANES}"


def depth_of(sizes: Iterable[Any]) -> Counter[tuple[str, str]]:
    """PgQueuer's counts by entry point, priority and state, added up."""
    found: Counter[tuple[str, str]] = Counter()
    for size in sizes:
        parts = str(size.entrypoint).split("-")
        found[parts[1] if len(parts) > 1 else parts[0], str(size.status)] += size.count
    return found


class InProcessQueue:
    """PgQueuer's in-memory queue in this process; what it holds is rebuilt from the database at the next start.

    It is imported and started with the first job, because a service that runs nothing need not hold it in memory. Runs of a
    lane take turns (start-time fair queueing, Goyal et al. 1996): a job's place is its number in its run, counted from where
    the lane stands when the run comes.
    """

    def __init__(self) -> None:
        self._work: Work | None = None
        self._runner: asyncio.Task[None] | None = None
        self._ids: dict[str, set[Any]] = {}
        self._at_work: Counter[str] = Counter()
        self._places: dict[str, int] = {}
        self._closed = False

    def start(self, work: Work) -> None:
        self._work = work

    async def enqueue(self, lane: str, jobs: Sequence[Job], priority: int = 1) -> None:
        if self._closed or not jobs:
            return
        if self._runner is None:
            self._open()
        entry = entry_point(lane, priority)
        place = self._places.get(entry, 0)
        numbers = await self._queries.enqueue(
            [entry] * len(jobs), [msgspec.json.encode(job) for job in jobs], [-(place + i) for i in range(len(jobs))]
        )
        for job, number in zip(jobs, numbers, strict=True):
            self._ids.setdefault(job.run_id, set()).add(number)

    async def cancel(self, run_id: str) -> None:
        if waiting := self._ids.pop(run_id, None):
            await self._queries.mark_job_as_cancelled(list(waiting))

    async def known(self) -> set[str]:
        return {*self._ids, *self._at_work}

    async def depth(self) -> Counter[tuple[str, str]]:
        return Counter() if self._runner is None else depth_of(await self._queries.queue_size())

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
            if not ids:
                del self._ids[job.run_id]
            self._places[str(picked.entrypoint)] = -picked.priority
            if self._work is None:
                return
            self._at_work[job.run_id] += 1
            try:
                await self._work(job)
            finally:
                self._at_work[job.run_id] -= 1
                self._at_work += Counter()  # without those that are 0

        for entry in entry_points():
            self._manager.entrypoint(entry, concurrency_limit=JOBS_PER_LANE)(perform)
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
