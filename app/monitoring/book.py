"""The schedules of one project: declared, changed, listed. Running them is the clock's business (`schedules.py`)."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.changes import Change, record
from app.kit.clock import Clock
from app.kit.db import insert_rows
from app.kit.digests import digest
from app.kit.errors import FieldError, InvalidContentError, NotFoundError
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.kit.pointers import escape
from app.monitoring.definition import Schedule, parse, references
from app.monitoring.errors import ScheduleExistsError, ScheduleNotFoundError
from app.monitoring.schemas import Outcome, ScheduledRun, ScheduleRead
from app.monitoring.tables import ScheduleRow, ScheduleRunRow, ScheduleSeenRow
from app.registry.contents import plain, several
from app.registry.kinds.base import Reference
from app.registry.names import name_problem
from app.registry.service import Registry
from app.registry.sync.schemas import SectionChange

SYNC = "sync"


class Book:
    """Within the caller's transaction."""

    def __init__(
        self, session: AsyncSession, project_id: str, actor: str, clock: Clock, *, may_change: bool = False
    ) -> None:
        """`may_change` is whether files may change schedules; routes have said so themselves."""
        self.may_change = may_change
        self._session, self._project_id, self._actor, self._clock = session, project_id, actor, clock
        self._registry = Registry(session, project_id, actor=actor, clock=clock)

    async def all(self) -> list[ScheduleRead]:
        query = select(ScheduleRow).where(col(ScheduleRow.project_id) == self._project_id)
        rows = list(await self._session.scalars(query.order_by(col(ScheduleRow.name))))
        return [await self._read(row) for row in rows]

    async def get(self, name: str) -> ScheduleRead:
        return await self._read(await self.row(name))

    async def row(self, name: str) -> ScheduleRow:
        """Raises `ScheduleNotFoundError` that names those that exist."""
        row = await self._find(name)
        if row is None:
            query = select(col(ScheduleRow.name)).where(col(ScheduleRow.project_id) == self._project_id)
            known = ", ".join(await self._session.scalars(query.order_by(col(ScheduleRow.name)).limit(10))) or "none"
            raise ScheduleNotFoundError(f"there is no schedule {name!r}; there are: {known}")
        return row

    async def create(self, name: str, schedule: Schedule) -> ScheduleRead:
        """Raises `InvalidContentError` with every place that is wrong, `ScheduleExistsError`."""
        await self._registry.repository.lock()
        if problem := name_problem(name):
            raise InvalidContentError.at("/name", problem)
        if await self._find(name) is not None:
            raise ScheduleExistsError(f"there is a schedule {name!r}; change it with PATCH, or delete it first")
        return await self._read(await self._put(name, schedule, "api"))

    async def change(self, name: str, changes: Mapping[str, Any]) -> ScheduleRead:
        """What is null is as by default again, what is left out stays."""
        await self._registry.repository.lock()
        row = await self.row(name)
        merged = {**row.definition, **changes}
        schedule = parse({key: value for key, value in merged.items() if value is not None})
        return await self._read(await self._put(name, schedule, "api"))

    async def delete(self, name: str, reason: str = "") -> None:
        """What it has run stays, and is shown again when it comes back."""
        await self._registry.repository.lock()
        row = await self.row(name)
        await self._session.execute(delete(ScheduleSeenRow).where(*self._seen(name)))
        await self._session.delete(row)
        await self._session.flush()
        self._note("deleted", name, row.digest, None, reason)

    async def runs(self, name: str, limit: int, cursor: str | None) -> Page[ScheduledRun]:
        """Newest first."""
        await self.row(name)
        query = select(ScheduleRunRow).where(*self._runs_of(name))
        if cursor is not None:
            query = query.where(col(ScheduleRunRow.id) < decode_cursor(cursor, (str,))[0])
        rows = list(await self._session.scalars(query.order_by(col(ScheduleRunRow.id).desc()).limit(limit + 1)))
        found = [shown(row) for row in rows[:limit]]
        return Page(found, encode_cursor(found[-1].id) if len(rows) > limit else None)

    # The section `schedules` of promptward.yaml

    async def declared(self) -> dict[str, dict[str, Any]]:
        """What each schedule says, by name."""
        query = select(col(ScheduleRow.name), col(ScheduleRow.definition)).where(
            col(ScheduleRow.project_id) == self._project_id
        )
        return {row[0]: row[1] for row in (await self._session.execute(query.order_by(col(ScheduleRow.name)))).all()}

    def problems(self, section: Any) -> list[FieldError]:
        """What is wrong with a whole section, by pointers below it."""
        if not isinstance(section, dict):
            return [FieldError("", "a mapping of names to schedules is expected")]
        found: list[FieldError] = []
        for name, data in section.items():
            where = f"/{escape(str(name))}"
            if problem := name_problem(name):
                found.append(FieldError(where, problem))
                continue
            try:
                parse(data, where)
            except InvalidContentError as error:
                found += error.errors
        return found

    def references(self, section: dict[str, Any]) -> list[Reference]:
        return [
            ref._replace(pointer=f"/{escape(name)}{ref.pointer}")
            for name, data in section.items()
            for ref in references(parse(data))
        ]

    async def changes(self, section: dict[str, Any], *, prune: bool) -> list[SectionChange]:
        """What applying a section would do; `prune` takes away what an earlier sync made and the section lacks."""
        query = select(ScheduleRow).where(col(ScheduleRow.project_id) == self._project_id)
        rows = {row.name: row for row in await self._session.scalars(query)}
        found = []
        for name, data in section.items():
            same = name in rows and rows[name].digest == digest(plain(parse(data)))
            found.append(SectionChange(name, "unchanged" if same else "update" if name in rows else "create"))
        gone = [name for name, row in sorted(rows.items()) if row.via == SYNC and name not in section]
        return found + [SectionChange(name, "delete") for name in gone if prune]

    async def apply(self, section: dict[str, Any], changes: list[SectionChange]) -> None:
        """Carries out what `changes` said."""
        for change in changes:
            if change.action == "delete":
                await self.delete(change.name, "its declaration is gone")
            elif change.action != "unchanged":
                await self._put(change.name, parse(section[change.name]), SYNC)

    # Inside

    async def _put(self, name: str, schedule: Schedule, via: str) -> ScheduleRow:
        if problems := await self._unknown(schedule):
            raise several(problems)
        definition, now = plain(schedule), self._clock()
        row, after = await self._find(name), digest(definition)
        before, was = (None, None) if row is None else (row.digest, (row.sentinel, row.enabled))
        if row is None:
            row = ScheduleRow(
                project_id=self._project_id,
                name=name,
                definition={},
                digest="",
                via=via,
                created_at=now,
                updated_at=now,
                updated_by="",
            )
            self._session.add(row)
        elif before == after:
            return row
        row.definition, row.digest, row.updated_at, row.updated_by, row.via = definition, after, now, self._actor, via
        row.sentinel, row.enabled = schedule.on is not None, schedule.enabled
        # never a time that has been run, though the clock may stand before it
        row.next_at = schedule.next_after(max(now, row.last_due_at or now))
        await self._session.flush()
        if row.sentinel and row.enabled and was != (True, True):
            await self._know_all(name)
        self._note("changed" if before else "created", name, before, after)
        return row

    async def _know_all(self, name: str) -> None:
        """What is registered when a sentinel begins to watch is not new."""
        names = await self._registry.repository.every_name("endpoint")
        same = {"project_id": self._project_id, "schedule": name}
        rows = [{**same, "endpoint": endpoint} for endpoint in names]
        await insert_rows(self._session, ScheduleSeenRow, rows, ignore_existing=True)

    async def _unknown(self, schedule: Schedule) -> list[FieldError]:
        found = []
        for reference in references(schedule):
            try:
                if reference.ref.startswith("sha256:"):
                    await self._registry.by_digest(reference.kind, reference.ref)
                else:
                    await self._registry.resolve(reference.kind, reference.ref)
            except NotFoundError as error:
                found.append(FieldError(reference.pointer, error.detail))
        return found

    async def _find(self, name: str) -> ScheduleRow | None:
        if "\x00" in name:
            return None
        return await self._session.get(ScheduleRow, (self._project_id, name), populate_existing=True)

    async def _read(self, row: ScheduleRow) -> ScheduleRead:
        query = select(ScheduleRunRow).where(*self._runs_of(row.name)).order_by(col(ScheduleRunRow.id).desc()).limit(1)
        last = await self._session.scalar(query)
        return ScheduleRead(
            name=row.name,
            definition=row.definition,
            digest=row.digest,
            enabled=row.enabled,
            next_at=row.next_at,
            last=None if last is None else shown(last),
            created_at=row.created_at,
            updated_at=row.updated_at,
            updated_by=row.updated_by,
        )

    def _runs_of(self, name: str) -> tuple[Any, Any]:
        return col(ScheduleRunRow.project_id) == self._project_id, col(ScheduleRunRow.schedule) == name

    def _seen(self, name: str) -> tuple[Any, Any]:
        return col(ScheduleSeenRow.project_id) == self._project_id, col(ScheduleSeenRow.schedule) == name

    def _note(self, action: str, name: str, before: str | None, after: str | None, reason: str = "") -> None:
        change = Change(
            project_id=self._project_id,
            actor=self._actor,
            action=f"schedule.{action}",
            subject=f"schedule {name}",
            before=before,
            after=after,
            reason=reason,
        )
        record(self._session, change)


def shown(row: ScheduleRunRow) -> ScheduledRun:
    return ScheduledRun(
        id=row.id,
        schedule=row.schedule,
        trigger=row.trigger,  # type: ignore[arg-type]  # what was written was one of them
        suite=row.suite,
        endpoint=row.endpoint,
        due_at=row.due_at,
        at=row.at,
        state=row.state,  # type: ignore[arg-type]
        reason=row.reason,
        run=row.run_id,
        outcome=None if row.outcome is None else msgspec.convert(row.outcome, Outcome),
    )
