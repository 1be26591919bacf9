"""From a time that was claimed to its run, and from the run to its outcome."""

import logging
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlmodel import col

from app.access.schemas import Caller
from app.kit.clock import Clock
from app.kit.db import Sessions, core, writing
from app.kit.errors import DomainError, NotFoundError
from app.monitoring.asking import Asking, Live
from app.monitoring.definition import Schedule
from app.monitoring.ending import outcome_of
from app.monitoring.tables import ScheduleRow, ScheduleRunRow
from app.runs import history, store
from app.runs.schemas import RESTING
from app.runs.service import Runs

FORSAKEN = timedelta(minutes=2)
"""After this long whoever took up a time without making its run is taken to be gone."""
AT_ONCE = 200
_log = logging.getLogger("promptward")


class Making:
    """Each step is a transaction of its own, and leaves a row from which another process can go on."""

    def __init__(self, sessions: Sessions, runs: Runs, live: Live, clock: Clock) -> None:
        self._sessions, self._runs, self._live, self._clock = sessions, runs, live, clock

    async def begin(self, project_id: str, run_id: str, *, again: bool = False) -> None:
        """Makes one run, and keeps which it is or why there is none. `again`: somebody else may have made it already."""
        async with self._sessions() as session:
            row = await session.get_one(ScheduleRunRow, (project_id, run_id))
            schedule = await session.get(ScheduleRow, (project_id, row.schedule))
            caller = Caller(project_id, run_id, "engineer", f"schedule {row.schedule}")
            made = await history.made_by(session, project_id, caller.actor) if again else None
        if made is None:
            try:
                if schedule is None:
                    raise NotFoundError("the schedule was deleted before it was run")
                definition = msgspec.convert(schedule.definition, Schedule)
                async with self._sessions.begin() as session:
                    await writing(session)
                    asking = Asking(session, project_id, self._live)
                    asked = await asking.run(definition, row.suite, row.endpoint)
                made = (await self._runs.create(caller, asked)).id
            except DomainError as error:
                await self._keep(row, state="failed", reason=error.detail)
                return
            except Exception as error:  # noqa: BLE001 - a background task has nobody else to tell
                _log.exception("schedule %s: no run could be made of %s", row.schedule, row.suite)
                await self._keep(row, state="failed", reason=f"our own fault: {type(error).__name__}")
                return
        await self._keep(row, state="started", run_id=made)

    async def _keep(self, row: ScheduleRunRow, **values: Any) -> None:
        table = core(ScheduleRunRow)
        async with self._sessions.begin() as session:
            await writing(session)
            same = (table.c.project_id == row.project_id, table.c.id == row.id, table.c.state == row.state)
            await session.execute(update(table).where(*same).values(**values))

    async def forsaken(self) -> list[ScheduleRunRow]:
        """Those that were taken up, and not made in time."""
        query = select(ScheduleRunRow).where(
            col(ScheduleRunRow.state) == "starting", col(ScheduleRunRow.claimed_at) <= self._clock() - FORSAKEN
        )
        async with self._sessions() as session:
            return list(await session.scalars(query.limit(AT_ONCE)))

    async def take_over(self, row: ScheduleRunRow) -> int:
        """Goes on in the place of a process that is gone; 0 when another one did."""
        table = core(ScheduleRunRow)
        async with self._sessions.begin() as session:
            await writing(session)
            same = (table.c.project_id == row.project_id, table.c.id == row.id, table.c.state == "starting")
            taken = await session.execute(
                update(table).where(*same, table.c.claimed_at == row.claimed_at).values(claimed_at=self._clock())
            )
            if taken.rowcount != 1:  # type: ignore[attr-defined]  # another process was first
                return 0
        await self.begin(row.project_id, row.id, again=True)
        return 1

    async def at_rest(self) -> list[ScheduleRunRow]:
        """Those whose run has ended, and whose outcome nobody has written down yet."""
        query = select(ScheduleRunRow).where(col(ScheduleRunRow.state) == "started").order_by(col(ScheduleRunRow.id))
        resting: list[ScheduleRunRow] = []
        async with self._sessions() as session:
            rows = list(await session.scalars(query.limit(5 * AT_ONCE)))
            for project_id in sorted({row.project_id for row in rows}):
                own = [row for row in rows if row.project_id == project_id]
                known = await store.briefly(session, project_id, [row.run_id for row in own if row.run_id is not None])
                resting += [row for row in own if row.run_id not in known or known[row.run_id][1] in RESTING]
        return resting

    async def settle(self, row: ScheduleRunRow) -> None:
        async with self._sessions() as session:
            outcome = await outcome_of(session, self._runs, row.project_id, row.run_id or "")
        await self._keep(row, state="ended", outcome=msgspec.to_builtins(outcome))
