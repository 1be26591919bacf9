"""The processes that share one database: which live, and that none is older than the others."""

import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import version
from time import monotonic
from typing import Any, Literal, cast

import msgspec
from sqlalchemy import CursorResult, Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.clock import Clock
from app.kit.db import Sessions, core, writing
from app.kit.errors import UnavailableError
from app.kit.ids import new_id
from app.runs.tables import ProcessRow

BEAT_S = 2.0
DEAD_S = 10.0
"""A process that has given no sign for so long is taken for dead: what it had claimed is free."""
FORGOTTEN = timedelta(days=1)

Kind = Literal["service", "worker"]


class Process(msgspec.Struct, frozen=True):
    """A service or worker of this database. `alive`: it gave a sign in the last 10 seconds."""

    id: str
    kind: str
    version: str
    host: str
    pid: int
    alive: bool
    started_at: str
    seen_at: str


def alive() -> Select[str]:
    """The ids of the living, by the database's own clock."""
    return select(col(ProcessRow.id)).where(col(ProcessRow.seen_at) > func.now() - timedelta(seconds=DEAD_S))


class Processes:
    """This process among the others. Times are the database's: clocks of machines differ."""

    def __init__(self, sessions: Sessions, kind: Kind, clock: Clock) -> None:
        self.id = new_id("proc")
        self._sessions, self._kind, self._clock = sessions, kind, clock
        self._seen_at = monotonic()

    @property
    def lapsed(self) -> bool:
        """Whether others may take this process for dead: it stood still, or could not reach the database."""
        return monotonic() - self._seen_at > DEAD_S

    async def enter(self) -> None:
        """Raises `UnavailableError` when a newer release works on this database."""
        own, at = version("promptward"), monotonic()
        async with self._sessions.begin() as session:
            await writing(session)
            others = await session.scalars(
                select(col(ProcessRow.version)).where(col(ProcessRow.id).in_(alive())).distinct()
            )
            newest = max(others, key=_number, default=own)
            if _number(newest) > _number(own):
                raise UnavailableError(
                    f"this is Promptward {own}, and {newest} works on this database; update this machine's Promptward"
                )
            await session.execute(delete(core(ProcessRow)).where(col(ProcessRow.seen_at) < func.now() - FORGOTTEN))
            now = self._clock()
            row = ProcessRow(
                id=self.id, kind=self._kind, version=own, host=socket.gethostname()[:200], pid=os.getpid(), started_at=now, seen_at=now
            )  # fmt: skip
            session.add(row)
            await session.flush()
            await self._seen(session)
        self._seen_at = at

    async def beat(self) -> bool:
        """Gives a sign of life; whether others could take this process for dead before it."""
        at = monotonic()
        async with self._sessions.begin() as session:
            there = await self._seen(session)
        if not there:  # it stood still for so long that it was forgotten
            await self.enter()
        lapsed, self._seen_at = self.lapsed, at
        return lapsed

    async def leave(self) -> None:
        async with self._sessions.begin() as session:
            await session.execute(delete(core(ProcessRow)).where(col(ProcessRow.id) == self.id))

    async def _seen(self, session: AsyncSession) -> bool:
        rows = core(ProcessRow)
        found = await session.execute(update(rows).where(rows.c.id == self.id).values(seen_at=func.now()))
        return cast("CursorResult[Any]", found).rowcount > 0

    async def all(self) -> Sequence[Process]:
        """Services and workers of the last day, newest first."""
        async with self._sessions() as session:
            living = set(await session.scalars(alive()))
            rows = list(await session.scalars(select(ProcessRow).order_by(col(ProcessRow.id).desc())))
        return [
            Process(
                row.id, row.kind, row.version, row.host, row.pid, row.id in living,
                row.started_at.isoformat().replace("+00:00", "Z"), row.seen_at.isoformat().replace("+00:00", "Z"),
            )
            for row in rows
        ]  # fmt: skip


def _number(version: str) -> tuple[int, ...]:
    return tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in version.split(".")[:3])
