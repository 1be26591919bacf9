"""The chain of changes: written with each transaction, listed, exported, verified as a whole."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple

import msgspec
from sqlalchemy import event, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from app.audit.chain import (
    NOT_PLAIN,
    START,
    Broken,
    Head,
    Link,
    beyond,
    first_bad,
    hash_of,
    last_line,
    line_of_row,
    link_of,
    off_chain,
    unreadable_line,
)
from app.audit.checkpoints import Sealer
from app.audit.repository import AuditRows, Filters, Unread
from app.audit.schemas import Checkpoint, Entries, Entry, Verified
from app.audit.tables import AuditHeadRow, AuditRow
from app.kit.changes import CHANGES, Change
from app.kit.clock import Clock
from app.kit.db import Sessions, core
from app.kit.pages import decode_cursor, encode_cursor

BATCH = 2_000
MARKS, WRITTEN = "changes at savepoints", "changes written"


def attach(sessions: Sessions, clock: Clock) -> None:
    """From now on every change that is recorded in these sessions is chained as the last thing before its commit.

    So the lock on the chain's end is taken after all others and held for one insert; what is rolled back leaves nothing, and
    a savepoint that is rolled back takes along only what was recorded since.
    """

    class Chained(Session):
        """The synchronous session inside these asynchronous ones."""

    @event.listens_for(Chained, "after_transaction_create")
    def _mark(session: Session, transaction: SessionTransaction) -> None:
        if transaction.nested:
            marks = session.info.setdefault(MARKS, {})
            marks[transaction] = _Mark(len(session.info.get(CHANGES, [])), session.info.get(WRITTEN, 0))

    @event.listens_for(Chained, "before_commit")
    def _write(session: Session) -> None:
        # Called for savepoints too. What was written in one comes back when an outer one is rolled back.
        changes: list[Change] = session.info.get(CHANGES, [])
        written = session.info.get(WRITTEN, 0)
        if len(changes) > written:
            session.flush()
            _append(session, changes[written:], clock())
            session.info[WRITTEN] = len(changes)

    @event.listens_for(Chained, "after_soft_rollback")
    def _forget(session: Session, transaction: SessionTransaction) -> None:
        # A flush that fails is a transaction of its own here, and rolls back the savepoint that it stands in.
        while not transaction.nested and transaction.parent is not None:
            transaction = transaction.parent
        mark = session.info.get(MARKS, {}).get(transaction)
        if mark is not None:
            del session.info.get(CHANGES, [])[mark.noted :]
            session.info[WRITTEN] = mark.written

    @event.listens_for(Chained, "after_transaction_end")
    def _end_all(session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            for name in (CHANGES, WRITTEN, MARKS):
                session.info.pop(name, None)

    sessions.configure(sync_session_class=Chained)


class _Mark(NamedTuple):
    """What a savepoint began with: how many changes were noted, and how many of them written."""

    noted: int
    written: int


class Audit:
    """One project's chain, for reading."""

    def __init__(self, session: AsyncSession, project_id: str) -> None:
        self._rows = AuditRows(session, project_id)
        self._project_id = project_id

    async def page(self, filters: Filters, limit: int, cursor: str | None) -> Entries:
        """Newest first. An entry that was altered so that it cannot be shown is named instead."""
        below = None if cursor is None else int(decode_cursor(cursor, (int,))[0])
        found = await self._rows.newest(filters, below, limit + 1)
        shown = found[:limit]
        items, unreadable = [], []
        for row in shown:
            entry = _entry(row)
            if entry is None:
                unreadable.append(row.no)
            else:
                items.append(entry)
        return Entries(items, encode_cursor(shown[-1].no) if len(found) > limit else None, unreadable)

    async def checkpoint(self, sealer: Sealer, now: datetime) -> Checkpoint:
        """Where the chain ends now, sealed."""
        head = await self._rows.head()
        return sealer.seal(self._project_id, head.no, head.hash, now)

    async def verify(self, earlier: Head | None = None) -> Verified:
        """Reads the whole chain in batches and computes every hash again, off the event loop.

        With `earlier`, the entry of that checkpoint has to lie on the chain still.
        """
        await self._rows.one_snapshot()
        end = await self._rows.head()
        lowest = await self._rows.lowest()
        if isinstance(lowest, int) and lowest < 1:
            return await self._broken(START, Broken(lowest, f"entry {lowest} was never written"))
        last, previous, passed = 0, START, START
        while rows := await self._rows.after(last, BATCH):
            unread = next((row for row in rows if isinstance(row, Unread)), None)
            readable = takewhile(lambda row: isinstance(row, AuditRow), rows)
            links = await asyncio.to_thread(_links, self._project_id, readable)
            bad = first_bad(links, last, previous)
            if bad is None and unread is not None:
                bad = Broken(unread.no, f"entry {unread.no} cannot be read, which nothing that was written here is")
            if bad is not None:
                return await self._broken(previous, bad)
            if earlier is not None and last < earlier.no <= rows[-1].no:
                passed = links[earlier.no - last - 1].hash
            last, previous = links[-1].no, links[-1].hash
        if end != (last, previous):
            why = f"the chain ends with entry {last}, and its end was written down as entry {end.no} ({end.hash})"
            first = last if end.no == last else min(last, max(0, end.no)) + 1
            return Verified(False, last, previous, first, why)
        if earlier is not None and earlier.no > last:
            return Verified(False, last, previous, *beyond(earlier, last))
        if earlier is not None and earlier.hash != passed:
            return Verified(False, last, previous, *off_chain(earlier))
        return Verified(True, last, previous)

    async def _broken(self, previous: str, bad: Broken) -> Verified:
        return Verified(False, await self._rows.count(), previous, *bad)


async def export(
    sessions: Sessions, project_id: str, sealer: Sealer, clock: Clock, since_no: int = 1
) -> AsyncIterator[bytes]:
    """The chain as JSON lines, oldest first, from entry `since_no` to where it ends now; then the checkpoint of that end.

    A transaction for each batch: entries never change, so that a slow reader need not hold a snapshot open.
    """
    async with sessions() as session:
        end = await AuditRows(session, project_id).head()
    last = since_no - 1
    while last < end.no:
        async with sessions() as session:
            rows = await AuditRows(session, project_id).after(last, BATCH, end.no)
        if not rows:
            break
        yield await asyncio.to_thread(_lines, project_id, rows)
        last = rows[-1].no
    yield last_line(sealer.seal(project_id, end.no, end.hash, clock()))


def _lines(project_id: str, rows: Sequence[AuditRow | Unread]) -> bytes:
    return b"".join(unreadable_line(r.no) if isinstance(r, Unread) else line_of_row(project_id, r) for r in rows)


def _links(project_id: str, rows: Iterable[AuditRow | Unread]) -> list[Link]:
    return [link_of(project_id, row) for row in rows]


def _entry(row: AuditRow | Unread) -> Entry | None:
    """The row on the wire; None for one that holds what was never written here."""
    if isinstance(row, Unread):
        return None
    try:
        hash_of(row.project_id, row)
        return msgspec.convert(row, Entry, from_attributes=True)
    except NOT_PLAIN:
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
