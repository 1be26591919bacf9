"""The chain of changes: written with each transaction, verified as a whole."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import event, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction
from sqlmodel import col

from app.audit.schemas import Entry, Verified
from app.audit.tables import AuditHeadRow, AuditRow
from app.kit.changes import CHANGES, Change
from app.kit.clock import Clock, rfc3339
from app.kit.db import Sessions, core
from app.kit.digests import digest
from app.kit.pages import Page, decode_cursor, encode_cursor

START = "sha256:" + "0" * 64
"""What the first entry of a chain follows."""
BATCH = 2_000


def attach(sessions: Sessions, clock: Clock) -> None:
    """From now on every change that is recorded in these sessions is chained as the last thing before its commit.

    So the lock on the chain's end is taken after all others and held for one insert; what is rolled back leaves nothing.
    """

    class Chained(Session):
        """The synchronous session inside these asynchronous ones."""

    @event.listens_for(Chained, "before_commit")
    def _write(session: Session) -> None:
        changes: list[Change] = session.info.pop(CHANGES, [])
        if changes:
            session.flush()
            _append(session, changes, clock())

    @event.listens_for(Chained, "after_soft_rollback")
    def _forget(session: Session, _previous: SessionTransaction) -> None:
        session.info.pop(CHANGES, None)

    sessions.configure(sync_session_class=Chained)


def hash_of(project_id: str, entry: Any) -> str:
    """SHA-256 over the canonical JSON (RFC 8785) of an entry without its own hash, and of the project that it is in."""
    fields = {name: getattr(entry, name) for name in Entry.__struct_fields__ if name not in ("hash", "at")}
    return digest({**fields, "at": rfc3339(entry.at), "project": project_id})


class Audit:
    """One project's chain, for reading."""

    def __init__(self, session: AsyncSession, project_id: str) -> None:
        self._session, self._project_id = session, project_id

    async def page(self, filters: dict[str, Any], limit: int, cursor: str | None) -> Page[Entry]:
        """Newest first. `filters`: `action` (or its noun), `subject`, `actor`, `since`, `until`."""
        query = select(AuditRow).where(col(AuditRow.project_id) == self._project_id)
        if (action := filters.get("action")) is not None:
            nouns = col(AuditRow.action).startswith(f"{action}.", autoescape=True)
            query = query.where((col(AuditRow.action) == action) | nouns)
        for name in ("subject", "actor"):
            if (text := filters.get(name)) is not None:
                query = query.where(getattr(AuditRow, name).contains(text, autoescape=True))
        if (since := filters.get("since")) is not None:
            query = query.where(col(AuditRow.at) >= since)
        if (until := filters.get("until")) is not None:
            query = query.where(col(AuditRow.at) < until)
        if cursor is not None:
            query = query.where(col(AuditRow.no) < decode_cursor(cursor, (int,))[0])
        rows = list(await self._session.scalars(query.order_by(col(AuditRow.no).desc()).limit(limit + 1)))
        items = [msgspec.convert(row, Entry, from_attributes=True) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].no) if len(rows) > limit else None)

    async def verify(self) -> Verified:
        """Reads the whole chain in batches and computes every hash again, off the event loop."""
        if self._session.get_bind().dialect.name == "postgresql":
            # One snapshot for the end and all batches: what is written meanwhile belongs to neither.
            await self._session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        head = await self._session.get(AuditHeadRow, (self._project_id,), populate_existing=True)
        lowest = await self._session.scalar(select(func.min(col(AuditRow.no))).where(*self._after(None)))
        if lowest is not None and lowest < 1:
            return Verified(False, await self._count(), START, lowest, f"entry {lowest} was never written")
        last, previous, size = 0, START, BATCH
        while True:
            query = select(AuditRow).where(*self._after(last)).order_by(col(AuditRow.no)).limit(size)
            try:
                rows = list(await self._session.scalars(query))
            except (ValueError, TypeError, SQLAlchemyError):
                if size > 1:
                    size = 1  # one by one, to find which
                    continue
                number = await self._session.scalar(select(func.min(col(AuditRow.no))).where(*self._after(last)))
                why = f"entry {number} cannot be read, which nothing that was written here is"
                return Verified(False, await self._count(), previous, number, why)
            if not rows:
                break
            bad = await asyncio.to_thread(_first_bad, self._project_id, rows, last, previous)
            if bad is not None:
                return Verified(False, await self._count(), previous, *bad)
            last, previous = rows[-1].no, rows[-1].hash
            self._session.expunge_all()
        ends = (0, START) if head is None else (head.no, head.hash)
        if ends != (last, previous):
            why = f"the chain ends with entry {last}, and its end was written down as entry {ends[0]} ({ends[1]})"
            first = last if ends[0] == last else min(last, max(0, ends[0])) + 1
            return Verified(False, last, previous, first, why)
        return Verified(True, last, previous)

    def _after(self, number: int | None) -> list[Any]:
        own = [col(AuditRow.project_id) == self._project_id]
        return own if number is None else [*own, col(AuditRow.no) > number]

    async def _count(self) -> int:
        query = select(func.count()).select_from(AuditRow).where(*self._after(None))
        return int(await self._session.scalar(query) or 0)


def _first_bad(project_id: str, rows: Sequence[AuditRow], last: int, previous: str) -> tuple[int, str] | None:
    for row in rows:
        if row.no != last + 1:
            return last + 1, f"entry {last + 1} is missing"
        if row.previous != previous:
            return row.no, f"entry {row.no} does not follow the one before it"
        try:
            whole = row.hash == hash_of(project_id, row)
        except (ValueError, TypeError):  # no canonical form: never written here
            whole = False
        if not whole:
            return row.no, f"entry {row.no} is not what was written"
        last, previous = row.no, row.hash
    return None


def _append(session: Session, changes: Sequence[Change], now: datetime) -> None:
    for project_id in dict.fromkeys(change.project_id for change in changes):
        number, previous = _end(session, project_id)
        rows = []
        for change in (change for change in changes if change.project_id == project_id):
            number += 1
            entry = Entry(
                no=number,
                at=now,
                actor=change.actor[:200],
                action=change.action,
                subject=change.subject[:300],
                before=change.before,
                after=change.after,
                reason=change.reason,
                details=change.details,
                previous=previous,
                hash="",
            )
            previous = hash_of(project_id, entry)
            fields = {name: getattr(entry, name) for name in Entry.__struct_fields__}
            rows.append(fields | {"project_id": project_id, "hash": previous})
        session.execute(insert(core(AuditRow)), rows)
        head = core(AuditHeadRow)
        session.execute(update(head).where(head.c.project_id == project_id).values(no=number, hash=previous))


def _end(session: Session, project_id: str) -> tuple[int, str]:
    """The chain's end, locked until this transaction is over."""
    head = core(AuditHeadRow)
    make = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    first = make(head).values(project_id=project_id, no=0, hash=START).on_conflict_do_nothing()
    session.execute(first)
    query = select(head.c.no, head.c.hash).where(head.c.project_id == project_id).with_for_update()
    row = session.execute(query).one()
    return int(row[0]), str(row[1])
