"""A budget that several processes pay from: what each may spend is granted to it by one row."""

import asyncio

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from app.kit.db import Sessions, core
from app.runs.budget import BudgetSpentError
from app.runs.processes import alive
from app.runs.tables import RunPurseRow

AGAIN_S = 0.1
"""How long a call waits before it looks again for what other processes gave back."""

AHEAD = 16
"""Calls that a process asks for at once; what it does not use it gives back within half a second."""


class SharedBudget:
    """Spends only what the database has granted to this process, and gives back what it does not need.

    `granted` of all processes never exceeds the limit. What a killed process had in flight stays granted to it: it may have
    been charged, so it counts as spent. One transaction serves all calls that wait at the same time, and calls that turn out
    cheaper than reserved pay for the next ones without any.
    """

    def __init__(self, sessions: Sessions, project_id: str, run_id: str, process: str, limit: int) -> None:
        self.limit: int | None = limit
        self._sessions, self._project_id, self._run_id, self._process = sessions, project_id, run_id, process
        self._granted = self._spent = self._reserved = 0
        self._told: tuple[int, int] | None = None
        self._waiting = 0
        self._asking = asyncio.Lock()
        self._settled = asyncio.Event()

    async def reserve(self, amount: int) -> None:
        """Raises `BudgetSpentError` once nothing is in flight in any living process and the amount still does not fit."""
        self._waiting += amount
        try:
            while not self._takes(amount):
                if await self._ask(amount):
                    continue
                self._settled.clear()
                try:
                    await asyncio.wait_for(self._settled.wait(), AGAIN_S)
                except TimeoutError:
                    continue
        finally:
            self._waiting -= amount

    def settle(self, reserved: int, cost: int) -> None:
        self._reserved -= reserved
        self._spent += cost
        self._settled.set()

    async def give_back(self) -> None:
        async with self._asking:
            held = self._spent + self._reserved
            if self._told is not None and self._waiting == 0 and self._told != (held, self._spent):
                await self._sync(0, 0)

    def _takes(self, amount: int) -> bool:
        if self._spent + self._reserved + amount > self._granted:
            return False
        self._reserved += amount
        return True

    async def _ask(self, amount: int) -> bool:
        """Whether it is worth trying again at once. Raises `BudgetSpentError`."""
        async with self._asking:
            if self._spent + self._reserved + amount <= self._granted:
                return True  # somebody who asked before asked for this too
            if await self._sync(amount, max(AHEAD * amount, self._waiting)):
                return True
            if self._reserved == 0 and not await self._others():
                raise BudgetSpentError
            return False

    async def _sync(self, least: int, most: int) -> bool:
        """Tells the database what was spent, and asks for up to `most` more than is spent and reserved; whether at least
        `least` was granted."""
        purses = core(RunPurseRow)
        mine = (
            purses.c.project_id == self._project_id,
            purses.c.run_id == self._run_id,
            purses.c.process == self._process,
        )
        async with self._sessions.begin() as session:
            await session.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:run, 0))"), {"run": self._run_id}
            )
            if self._told is None and (row := (await session.execute(select(purses).where(*mine))).first()) is not None:
                self._spent += row.spent_nano  # of an earlier attempt; what it had set aside is done with
            total = select(func.coalesce(func.sum(purses.c.granted_nano), 0)).where(
                purses.c.project_id == self._project_id,
                purses.c.run_id == self._run_id,
                purses.c.process != self._process,
            )
            others = int((await session.execute(total)).scalar_one())
            spent, held = self._spent, self._spent + self._reserved
            self._granted = held  # until this is known to be stored, nothing more is taken from it
            room = (self.limit or 0) - others - held
            fits = room >= least
            granted = held + (min(most, room) if fits else 0)
            values = {"granted_nano": granted, "spent_nano": spent}
            await session.execute(
                insert(purses)
                .values(project_id=self._project_id, run_id=self._run_id, process=self._process, **values)
                .on_conflict_do_update(index_elements=["project_id", "run_id", "process"], set_=values)
            )
        self._granted, self._told = granted, (granted, spent)
        return fits

    async def _others(self) -> bool:
        """Whether another living process has calls of this run in flight."""
        query = select(func.count()).where(
            col(RunPurseRow.project_id) == self._project_id,
            col(RunPurseRow.run_id) == self._run_id,
            col(RunPurseRow.process) != self._process,
            col(RunPurseRow.granted_nano) > col(RunPurseRow.spent_nano),
            col(RunPurseRow.process).in_(alive()),
        )
        async with self._sessions() as session:
            return bool(await session.scalar(query))
