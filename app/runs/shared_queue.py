"""The queue on PostgreSQL: any number of processes enqueue and perform jobs of one database."""

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import make_url

from app.runs.queue import Job, Work, depth_of, entry_point, entry_points

logger = logging.getLogger("promptward")

SCHEMA = "promptward_queue"
"""PgQueuer's tables have a schema of their own, so that migrations leave them alone."""
JOBS_PER_LANE = 16
"""Chunks of one lane at work at once, over all processes."""
AT_A_TIME = 2
"""Jobs that a process takes at a time: one that took all of a run would leave nothing to do for the others."""
HEARTBEAT_TIMEOUT_S = 10.0
"""A job whose process has given no sign for so long is taken up by another one."""
AGAIN_S = 0.5
"""After how long a job that a process gave back is handed out again."""
LOOK_S = 3.0
"""How often a process looks for such jobs when nothing else wakes it."""
TIDY_S = 600.0
"""How often a process takes away what PgQueuer noted of jobs for its statistics, once it is a day old."""


def plain_url(url: str) -> str:
    """A database's URL as asyncpg itself takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


async def install(url: str) -> None:
    """Makes PgQueuer's tables, or brings them to the installed release."""
    import asyncpg
    from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver

    connection = await asyncpg.connect(plain_url(url))
    try:
        queries = _queries(AsyncpgDriver(connection))
        async with queries.schema_lock():
            if await queries.schema_is_installed():
                await queries.upgrade()
            else:
                await queries.install()
    finally:
        await connection.close()


class SharedQueue:
    """PgQueuer under its supervisor, which starts it again when the database's connections break.

    A process that only enqueues holds one small pool. One that is not `eager` begins to perform jobs when it enqueues one or
    asks which there are. Runs of a lane take turns as in the in-process queue; where the lane stands is the place of the first
    job that waits in it.
    """

    def __init__(self, url: str, *, eager: bool = False) -> None:
        self._url, self._eager = plain_url(url), eager
        self._work: Work | None = None
        self._pool: Any = None
        self._opening = asyncio.Lock()
        self._runner: asyncio.Task[None] | None = None
        self._shutdown = asyncio.Event()

    def start(self, work: Work) -> None:
        self._work = work
        if self._eager:
            self._begin()

    async def enqueue(self, lane: str, jobs: Sequence[Job], priority: int = 1) -> None:
        if not jobs:
            return
        self._begin()
        entry = entry_point(lane, priority)
        queries = _queries(await self._driver())
        table = queries.qbq.settings.qualified.queue_table
        waiting = f"SELECT max(priority) AS place FROM {table} WHERE entrypoint = $1 AND status = 'queued'"  # noqa: S608 - a constant
        (row,) = await queries.driver.fetch(waiting, entry)
        place = row["place"] or 0
        await queries.enqueue(
            [entry] * len(jobs),
            [msgspec.json.encode(job) for job in jobs],
            [place - i for i in range(len(jobs))],
            dedupe_key=[_name(lane, job) for job in jobs],
            on_conflict="skip",
        )

    async def cancel(self, run_id: str) -> None:
        """Whoever gets one of its jobs drops it."""

    async def known(self) -> set[str]:
        self._begin()
        queries = _queries(await self._driver())
        table = queries.qbq.settings.qualified.queue_table
        rows = await queries.driver.fetch(f"SELECT DISTINCT split_part(dedupe_key, '/', 1) AS run FROM {table}")  # noqa: S608 - a constant
        return {row["run"] for row in rows}

    async def depth(self) -> Counter[tuple[str, str]]:
        return depth_of(await _queries(await self._driver()).queue_size())

    async def close(self) -> None:
        self._shutdown.set()
        if self._runner is not None:
            await self._runner
        if self._pool is not None:
            await self._pool.close()

    def _begin(self) -> None:
        if self._runner is None and self._work is not None and not self._shutdown.is_set():
            self._runner = asyncio.create_task(self._supervise(self._work), name="runs-queue")

    async def _driver(self) -> Any:
        from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver

        async with self._opening:
            if self._pool is None:
                self._pool = await _pool(self._url)
        return AsyncpgPoolDriver(self._pool)

    async def _supervise(self, work: Work) -> None:
        import pgqueuer

        logging.getLogger("pgqueuer").setLevel(logging.WARNING)

        @asynccontextmanager
        async def manager() -> AsyncIterator[Any]:
            pool = await _pool(self._url)
            tidying = asyncio.create_task(_tidy(pool), name="runs-queue-tidy")
            try:
                yield _manager(pool, work)
            finally:
                tidying.cancel()
                pool.terminate()

        await pgqueuer.run(
            manager,
            dequeue_timeout=timedelta(seconds=LOOK_S),
            batch_size=AT_A_TIME,
            heartbeat_timeout=timedelta(seconds=HEARTBEAT_TIMEOUT_S),
            restart_on_failure=True,
            restart_delay=timedelta(seconds=1),
            shutdown_on_listener_failure=True,
            shutdown=self._shutdown,
        )


def _manager(pool: Any, work: Work) -> Any:
    from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
    from pgqueuer.errors import RetryRequested
    from pgqueuer.models import Job as Picked
    from pgqueuer.qm import QueueManager

    queries = _queries(AsyncpgPoolDriver(pool))
    manager = QueueManager(queries, queries.qbq.settings.channel)

    async def perform(picked: Picked) -> None:
        job = msgspec.json.decode(picked.payload or b"", type=Job)
        if not await work(job):
            raise RetryRequested(timedelta(seconds=AGAIN_S), "the process ends, or was taken for dead")

    for entry in entry_points():
        manager.entrypoint(entry, concurrency_limit=JOBS_PER_LANE)(perform)
    return manager


async def _tidy(pool: Any) -> None:
    """Nobody else does: three rows a job."""
    import asyncpg
    from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver

    names = _queries(AsyncpgPoolDriver(pool)).qbq.settings.qualified
    while True:
        try:
            for table in (names.queue_table_log, names.statistics_table):
                await pool.execute(f"DELETE FROM {table} WHERE created < now() - interval '1 day'")  # noqa: S608 - a constant
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            logger.warning("the queue's log was not tidied, which is tried again: %s", error)
        await asyncio.sleep(TIDY_S)


def _queries(driver: Any) -> Any:
    from pgqueuer.adapters.persistence import qb
    from pgqueuer.adapters.persistence.queries import Queries
    from pgqueuer.domain.settings import DBSettings

    settings = DBSettings(db_schema=SCHEMA)
    return Queries(
        driver,
        qbe=qb.QueryBuilderEnvironment(settings),
        qbq=qb.QueryQueueBuilder(settings),
        qbs=qb.QuerySchedulerBuilder(settings),
    )


async def _pool(url: str) -> Any:
    import asyncpg

    return await asyncpg.create_pool(url, min_size=1, max_size=4, timeout=10, command_timeout=30)


def _name(lane: str, job: Job) -> str:
    """What tells a job from others: enqueued twice, it is there once."""
    if not job.cells:
        return f"{job.run_id}/{job.attempt}/finish"
    cells = hashlib.sha256(msgspec.json.encode(job.cells)).hexdigest()[:16]
    return f"{job.run_id}/{job.attempt}/{lane[:24]}/{cells}"
