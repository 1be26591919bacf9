"""The rows of one project's chain. A row that was altered so that it cannot be decoded is found one by one, and named."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit.chain import NOT_PLAIN, START, Head
from app.audit.tables import AuditHeadRow, AuditRow

UNDECODABLE = (*NOT_PLAIN, SQLAlchemyError)


class Unread(NamedTuple):
    """The number of an entry whose row cannot be decoded."""

    no: int


class Filters(NamedTuple):
    """`action` is whole or its noun; `subject` and `actor` are found anywhere in theirs, in this case; times are aware."""

    action: str | None = None
    subject: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditRows:
    """Queries on one project's chain."""

    def __init__(self, session: AsyncSession, project_id: str) -> None:
        self._session = session
        self._own = col(AuditRow.project_id) == project_id
        self._project_id = project_id

    async def one_snapshot(self) -> None:
        """Whatever is written from the first read on belongs to none of this transaction's reads. SQLite does so anyway."""
        if self._session.get_bind().dialect.name == "postgresql":
            await self._session.connection(execution_options={"isolation_level": "REPEATABLE READ"})

    async def head(self) -> Head:
        """Where the chain was written down to end."""
        columns = select(col(AuditHeadRow.no), col(AuditHeadRow.hash))
        try:
            row = (await self._session.execute(columns.where(col(AuditHeadRow.project_id) == self._project_id))).first()
        except UNDECODABLE:
            return Head(-1, "unreadable")
        if row is None:
            return Head(0, START)
        # SQLite keeps any value in any column. Nothing that is no number was written here.
        number: Any = row[0]
        return Head(number if isinstance(number, int) else -1, str(row[1]))

    async def lowest(self) -> int | None:
        found: int | None = await self._session.scalar(select(func.min(col(AuditRow.no))).where(self._own))
        return found

    async def count(self) -> int:
        return int(await self._session.scalar(select(func.count()).select_from(AuditRow).where(self._own)) or 0)

    async def after(self, number: int, limit: int, until: int | None = None) -> Sequence[AuditRow | Unread]:
        """Oldest first, behind entry `number` and up to entry `until`."""
        conditions = [col(AuditRow.no) > number] + ([col(AuditRow.no) <= until] if until is not None else [])
        return await self._read(conditions, col(AuditRow.no).asc(), limit)

    async def newest(self, filters: Filters, below: int | None, limit: int) -> Sequence[AuditRow | Unread]:
        """Newest first, before entry `below`."""
        conditions: list[ColumnElement[bool]] = []
        if filters.action is not None:
            noun = self._position(col(AuditRow.action), f"{filters.action}.") == 1
            conditions.append(or_(col(AuditRow.action) == filters.action, noun))
        if filters.subject is not None:
            conditions.append(self._position(col(AuditRow.subject), filters.subject) > 0)
        if filters.actor is not None:
            conditions.append(self._position(col(AuditRow.actor), filters.actor) > 0)
        if filters.since is not None:
            conditions.append(col(AuditRow.at) >= filters.since)
        if filters.until is not None:
            conditions.append(col(AuditRow.at) < filters.until)
        if below is not None:
            conditions.append(col(AuditRow.no) < below)
        return await self._read(conditions, col(AuditRow.no).desc(), limit)

    def _position(self, column: Any, text: str) -> ColumnElement[int]:
        """Where `text` begins in the column, from 1. Unlike LIKE on SQLite, it does not take `a` for `A`."""
        postgresql = self._session.get_bind().dialect.name == "postgresql"
        found: ColumnElement[int] = func.strpos(column, text) if postgresql else func.instr(column, text)
        return found

    async def _read(
        self, conditions: Sequence[ColumnElement[bool]], order: Any, limit: int
    ) -> Sequence[AuditRow | Unread]:
        """Rows of this moment, not those of the session's memory, and not kept there."""
        query = select(AuditRow).where(self._own, *conditions).order_by(order).limit(limit)
        try:
            return await self._fresh(query)
        except UNDECODABLE:
            numbers = select(col(AuditRow.no)).where(self._own, *conditions).order_by(order).limit(limit)
            found: list[AuditRow | Unread] = []
            for number in list(await self._session.scalars(numbers)):
                try:
                    found += await self._fresh(select(AuditRow).where(self._own, col(AuditRow.no) == number))
                except UNDECODABLE:
                    found.append(Unread(number))
            return found

    async def _fresh(self, query: Any) -> list[AuditRow]:
        rows = list(await self._session.scalars(query, execution_options={"populate_existing": True}))
        self._session.expunge_all()
        return rows
