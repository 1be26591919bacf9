"""How much work waits, and who does it: what to scale workers by."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.clock import Clock
from app.kit.db import Sessions
from app.llm.service import LLM
from app.runs.processes import Process, Processes
from app.runs.queue import FINISH, PRIORITIES, Queue
from app.runs.tables import RunRow, RunVariantRow

NAMES = {str(number): name for name, number in PRIORITIES.items()} | {FINISH: FINISH}


class Load(msgspec.Struct, frozen=True):
    """Work of the whole installation. A job is a chunk of up to 100 cells of one endpoint.

    `jobs` by priority (`finish`: runs that are being brought to rest), as `queued` and `at_work`. `oldest_s` is how long the
    oldest run that has not begun has waited. `calls` and `in_flight` are this process's own.
    """

    jobs: dict[str, dict[str, int]]
    runs: dict[str, int]
    open_cells: int
    oldest_s: float
    calls: int
    in_flight: int


class Workers(msgspec.Struct, frozen=True):
    """`processes` are those that shared this database in the last day; none on SQLite, where the service is alone."""

    load: Load
    processes: Sequence[Process]


class Watch:
    """Reads the load of the database that this process works on."""

    def __init__(self, sessions: Sessions, queue: Queue, processes: Processes | None, llm: LLM, clock: Clock) -> None:
        self._sessions, self._queue, self._processes, self._llm, self._clock = sessions, queue, processes, llm, clock

    async def workers(self) -> Workers:
        return Workers(await self.load(), [] if self._processes is None else await self._processes.all())

    async def load(self) -> Load:
        jobs = {name: {"queued": 0, "at_work": 0} for name in NAMES.values()}
        for (priority, state), count in (await self._queue.depth()).items():
            jobs[NAMES[priority]]["queued" if state == "queued" else "at_work"] += count
        async with self._sessions() as session:
            runs, oldest_s = await self._runs(session)
            open_cells = await _open_cells(session)
        return Load(jobs, runs, open_cells, oldest_s, self._llm.calls, self._llm.in_flight)

    async def _runs(self, session: AsyncSession) -> tuple[dict[str, int], float]:
        query = (
            select(col(RunRow.status), func.count(), func.min(col(RunRow.created_at)))
            .where(col(RunRow.status).in_(["queued", "running"]))
            .group_by(col(RunRow.status))
        )
        runs, oldest_s = {"queued": 0, "running": 0}, 0.0
        for status, count, oldest in (await session.execute(query)).all():
            runs[status] = count
            if status == "queued":
                oldest_s = max(0.0, (self._clock() - oldest).total_seconds())
        return runs, oldest_s


async def _open_cells(session: AsyncSession) -> int:
    counters = RunVariantRow
    ended = sum(
        (col(getattr(counters, name)) for name in ("cached", "answered", "failed", "errored", "cancelled")),
        start=col(counters.planned) * 0,
    )
    query = (
        select(func.coalesce(func.sum(col(counters.planned) - ended), 0))
        .join(RunRow, (col(RunRow.project_id) == col(counters.project_id)) & (col(RunRow.id) == col(counters.run_id)))
        .where(col(RunRow.status).in_(["queued", "running"]))
    )
    return int((await session.execute(query)).scalar_one())


def exposition(workers: Workers) -> bytes:
    """The load in Prometheus's text format."""
    from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

    registry, load = CollectorRegistry(), workers.load
    jobs = Gauge("promptward_jobs", "Chunks of up to 100 cells", ["priority", "state"], registry=registry)
    for priority, states in load.jobs.items():
        for state, count in states.items():
            jobs.labels(priority, state).set(count)
    runs = Gauge("promptward_runs", "Runs that are not at rest", ["status"], registry=registry)
    for status, count in load.runs.items():
        runs.labels(status).set(count)
    for name, value, what in (
        ("promptward_open_cells", load.open_cells, "Cells of these runs that have not ended"),
        ("promptward_oldest_run_seconds", load.oldest_s, "How long the oldest run that has not begun has waited"),
        ("promptward_calls_in_flight", load.in_flight, "Calls to endpoints of this process"),
    ):
        Gauge(name, what, registry=registry).set(value)
    Counter("promptward_calls", "Calls to endpoints of this process", registry=registry).inc(load.calls)
    processes = Gauge("promptward_processes", "Living processes of this database", ["kind"], registry=registry)
    for kind in ("service", "worker"):
        processes.labels(kind).set(sum(p.alive and p.kind == kind for p in workers.processes))
    return generate_latest(registry)
