"""What is due is run: once per time, whatever processes look at the clock."""

import asyncio
import logging
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access.projects import archived_projects
from app.access.roles import allows
from app.access.schemas import Caller
from app.kit.changes import Change, record
from app.kit.clock import Clock
from app.kit.db import Sessions, core, insert_rows, writing
from app.kit.errors import InvalidContentError
from app.kit.ids import new_id
from app.kit.tasks import finish, told_to_end
from app.monitoring.asking import Live
from app.monitoring.book import Book, shown
from app.monitoring.definition import Schedule
from app.monitoring.making import AT_ONCE, Making
from app.monitoring.schemas import ScheduledRun, ScheduleRun, Trigger
from app.monitoring.tables import ScheduleRow, ScheduleRunRow, ScheduleSeenRow
from app.registry.repository import Repository
from app.runs import store
from app.runs.schemas import RESTING
from app.runs.service import Runs

EVERY_S = 5.0
_log = logging.getLogger("promptward")


class Schedules:
    """The schedules of every project; what the application holds."""

    def __init__(self, sessions: Sessions, runs: Runs, live: Live, clock: Clock, *, every_s: float = EVERY_S) -> None:
        """`every_s` is how often it looks at the clock."""
        self._sessions, self._clock, self._every_s = sessions, clock, every_s
        self._making = Making(sessions, runs, live, clock)
        self._end = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_looking(), name="schedules")

    async def close(self) -> None:
        self._end.set()
        await finish(self._task)

    def book(self, session: AsyncSession, caller: Caller) -> Book:
        """The schedules of the caller's project, within a transaction."""
        may_change = allows(caller.role, "schedules:write")
        return Book(session, caller.project_id, caller.actor, self._clock, may_change=may_change)

    async def tick(self) -> int:
        """Runs what is due, and writes down how runs ended; how many were begun. What goes wrong with one keeps no other
        from it."""
        begun = 0
        for project_id, name, due_at in await self._due():
            begun += await self._guarded(self._fire(project_id, name, due_at), f"schedule {name}")
        for project_id, name in await self._sentinels():
            begun += await self._guarded(self._watch(project_id, name), f"sentinel {name}")
        for row in await self._making.forsaken():
            begun += await self._guarded(self._making.take_over(row), row.id)
        for row in await self._making.at_rest():
            await self._guarded(self._making.settle(row), f"the outcome of {row.run_id}")
        return begun

    async def run_now(self, caller: Caller, name: str, asked: ScheduleRun) -> list[ScheduledRun]:
        """Runs a schedule, due or not, on or off; one run per suite. A sentinel is told which endpoint to evaluate."""
        async with self._sessions.begin() as session:
            await writing(session)
            row = await self.book(session, caller).row(name)
            schedule = msgspec.convert(row.definition, Schedule)
            if (schedule.on is None) != (asked.endpoint is None):
                detail = "this schedule runs its own candidates; leave `endpoint` out"
                if schedule.on is not None:
                    detail = "a sentinel evaluates endpoints; say which one"
                raise InvalidContentError.at("/endpoint", detail)
            if asked.endpoint is not None and asked.endpoint not in await self._endpoints(session, caller.project_id):
                raise InvalidContentError.at("/endpoint", f"there is no endpoint {asked.endpoint!r}")
            now = self._clock()
            made = await self._claim(session, row, "now", now, asked.endpoint)
            change = Change(
                project_id=caller.project_id, actor=caller.actor, action="schedule.started", subject=f"schedule {name}"
            )
            record(session, change)
        for run_id in made:
            await self._making.begin(caller.project_id, run_id)
        async with self._sessions() as session:
            rows = [await session.get_one(ScheduleRunRow, (caller.project_id, run_id)) for run_id in made]
        return [shown(one) for one in rows]

    # What is due

    async def _due(self) -> list[tuple[str, str, datetime]]:
        query = (
            select(col(ScheduleRow.project_id), col(ScheduleRow.name), col(ScheduleRow.next_at))
            .where(col(ScheduleRow.next_at) <= self._clock(), col(ScheduleRow.project_id).not_in(archived_projects()))
            .order_by(col(ScheduleRow.next_at))
            .limit(AT_ONCE)
        )
        async with self._sessions() as session:
            return [(row[0], row[1], row[2]) for row in (await session.execute(query)).all() if row[2] is not None]

    async def _fire(self, project_id: str, name: str, due_at: datetime) -> int:
        async with self._sessions.begin() as session:
            await writing(session)
            row = await session.get(ScheduleRow, (project_id, name), populate_existing=True)
            if row is None or row.next_at != due_at:
                return 0
            now = self._clock()
            schedule = msgspec.convert(row.definition, Schedule)
            following = schedule.next_after(max(now, due_at))
            table = core(ScheduleRow)
            moved = await session.execute(
                update(table)
                .where(table.c.project_id == project_id, table.c.name == name, table.c.next_at == due_at)
                .values(next_at=following, last_due_at=due_at)
            )
            if moved.rowcount != 1:  # type: ignore[attr-defined]  # another process was first
                return 0
            missed = schedule.next_after(due_at)
            late = "times were missed while no service was running; this is the one run for all of them"
            why = late if missed is not None and missed <= now else None
            busy = await self._at_work(session, project_id, name)
            made = await self._claim(session, row, "cron", due_at, None, busy=busy, why=why)
        if busy is None:
            for run_id in made:
                await self._making.begin(project_id, run_id)
        return 0 if busy else len(made)

    async def _at_work(self, session: AsyncSession, project_id: str, name: str) -> str | None:
        """Why the schedule is not run now; None when all that it began is at rest."""
        query = select(ScheduleRunRow).where(
            col(ScheduleRunRow.project_id) == project_id,
            col(ScheduleRunRow.schedule) == name,
            col(ScheduleRunRow.state).in_(["starting", "started"]),
        )
        rows = list(await session.scalars(query.order_by(col(ScheduleRunRow.id))))
        known = await store.briefly(session, project_id, [row.run_id for row in rows if row.run_id is not None])
        for row in rows:
            if row.run_id is None:
                return "the one before is only just being started"
            if row.run_id in known and known[row.run_id][1] not in RESTING:
                return f"the one before, {row.run_id}, is still at work"
        return None

    async def _sentinels(self) -> list[tuple[str, str]]:
        query = select(col(ScheduleRow.project_id), col(ScheduleRow.name)).where(
            col(ScheduleRow.sentinel),
            col(ScheduleRow.enabled),
            col(ScheduleRow.project_id).not_in(archived_projects()),
        )
        async with self._sessions() as session:
            return [(row[0], row[1]) for row in (await session.execute(query)).all()]

    async def _watch(self, project_id: str, name: str) -> int:
        """An endpoint is new until the sentinel has noted it: the row that does so is what makes it happen once."""
        async with self._sessions() as session:
            if not await self._unseen(session, project_id, name):
                return 0
        async with self._sessions.begin() as session:
            await writing(session)
            row = await session.get(ScheduleRow, (project_id, name), with_for_update=True, populate_existing=True)
            if row is None or not (row.sentinel and row.enabled):
                return 0
            fresh = await self._unseen(session, project_id, name)
            seen = [{"project_id": project_id, "schedule": name, "endpoint": endpoint} for endpoint in fresh]
            await insert_rows(session, ScheduleSeenRow, seen)
            now, made = self._clock(), []
            for endpoint in fresh:
                made += await self._claim(session, row, "endpoint", now, endpoint)
        for run_id in made:
            await self._making.begin(project_id, run_id)
        return len(made)

    async def _unseen(self, session: AsyncSession, project_id: str, name: str) -> list[str]:
        query = select(col(ScheduleSeenRow.endpoint)).where(
            col(ScheduleSeenRow.project_id) == project_id, col(ScheduleSeenRow.schedule) == name
        )
        seen = {*await session.scalars(query)}
        return [endpoint for endpoint in await self._endpoints(session, project_id) if endpoint not in seen]

    async def _endpoints(self, session: AsyncSession, project_id: str) -> list[str]:
        return await Repository(session, project_id).names("endpoint")

    async def _claim(
        self,
        session: AsyncSession,
        row: ScheduleRow,
        trigger: Trigger,
        due_at: datetime,
        endpoint: str | None,
        *,
        busy: str | None = None,
        why: str | None = None,
    ) -> list[str]:
        """Writes down that these runs are to be made, before they are: nobody else makes them, and none is forgotten."""
        now, schedule = self._clock(), msgspec.convert(row.definition, Schedule)
        made = []
        for suite in schedule.every_suite:
            made.append(new_id("srun"))
            session.add(
                ScheduleRunRow(
                    project_id=row.project_id,
                    id=made[-1],
                    schedule=row.name,
                    trigger=trigger,
                    suite=suite,
                    endpoint=endpoint,
                    due_at=due_at,
                    at=now,
                    claimed_at=now,
                    state="starting" if busy is None else "skipped",
                    reason=busy or why,
                )
            )
        await session.flush()
        return made

    # Inside

    async def _guarded(self, work: Any, what: str) -> int:
        """The result; 0 when it went wrong, which is logged and tried again."""
        try:
            return int(await work or 0)
        except Exception:  # noqa: BLE001 - one schedule's fault keeps no other from its time
            _log.exception("schedules: %s could not be seen to; it is tried again later", what)
            return 0

    async def _keep_looking(self) -> None:
        while not await told_to_end(self._end, self._every_s):
            try:
                await self.tick()
            except Exception:  # noqa: BLE001 - the clock goes on
                _log.exception("schedules: the database could not be read; it is tried again later")
