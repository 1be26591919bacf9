"""Projects: made with a first admin key, renamed, archived and restored."""

import re
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access.names import checked_title
from app.access.schemas import (
    DEFAULT_PROJECT,
    Caller,
    KeyCreate,
    ProjectCreate,
    ProjectCreated,
    ProjectRead,
    ProjectUpdate,
)
from app.access.service import KeyService
from app.access.tables import ProjectRow
from app.kit.changes import Change, record
from app.kit.clock import Clock, utc_now
from app.kit.db import writing
from app.kit.errors import ConflictError, InvalidContentError, NotFoundError
from app.kit.pages import Page, decode_cursor, encode_cursor

_ID = re.compile(r"[a-z][a-z0-9-]{1,38}")
_DEFAULT = ProjectRead(DEFAULT_PROJECT, DEFAULT_PROJECT, None, None, None)


class ProjectService:
    """All projects, for an admin of `default`."""

    def __init__(self, session: AsyncSession, caller: Caller, clock: Clock = utc_now) -> None:
        self._session, self._caller, self._clock = session, caller, clock

    async def page(self, limit: int, cursor: str | None) -> Page[ProjectRead]:
        """By id, archived ones too; `default`, which has no row, comes first."""
        items = [_DEFAULT] if cursor is None else []
        after = "" if cursor is None else decode_cursor(cursor, (str,))[0]
        query = select(ProjectRow).where(col(ProjectRow.id) > after).order_by(col(ProjectRow.id)).limit(limit + 1)
        items += [_read(row) for row in await self._session.scalars(query)]
        if len(items) <= limit:
            return Page(items)
        last = items[limit - 1].id
        return Page(items[:limit], encode_cursor("" if last == DEFAULT_PROJECT else last))

    async def get(self, project_id: str) -> ProjectRead:
        """Raises `NotFoundError`."""
        return _DEFAULT if project_id == DEFAULT_PROJECT else _read(await self._row(project_id))

    async def create(self, new: ProjectCreate) -> ProjectCreated:
        """A new project and its first admin key.

        Raises `InvalidContentError` for an id or a name that cannot be, `ConflictError` when the id is taken.
        """
        checked_title(new.name)
        project_id = _checked_id(new)
        await writing(self._session)
        taken = ConflictError.at("/id", f"there is a project {project_id!r} already; give this one another id")
        if project_id == DEFAULT_PROJECT or await self._session.get(ProjectRow, project_id) is not None:
            raise taken
        row = ProjectRow(id=project_id, name=new.name, created_at=self._clock(), created_by=self._caller.actor)
        self._session.add(row)
        try:
            await self._session.flush()
        except IntegrityError as error:  # made by somebody else since it was looked for
            raise taken from error
        self._note("created", project_id, {"name": new.name})
        service = KeyService(self._session, project_id, self._clock, self._caller.actor)
        key = await service.create(KeyCreate("admin", "first admin key"), up_to=self._caller.clearance)
        return ProjectCreated(row.id, row.name, row.created_at, key)

    async def update(self, project_id: str, change: ProjectUpdate) -> ProjectRead:
        """Renames, archives or restores. Raises `ConflictError` for `default`, `NotFoundError`."""
        if change.name is not None:
            checked_title(change.name)
        await writing(self._session)
        if project_id == DEFAULT_PROJECT:
            raise ConflictError("the project 'default' keeps its name and cannot be archived: it manages the others")
        row = await self._row(project_id)
        if change.name is not None and change.name != row.name:
            self._note("renamed", row.id, {"from": row.name, "to": change.name})
            row.name = change.name
        if change.archived is not None and change.archived != (row.archived_at is not None):
            row.archived_at = self._clock() if change.archived else None
            self._note("archived" if change.archived else "restored", row.id, {"name": row.name})
        return _read(row)

    async def _row(self, project_id: str) -> ProjectRow:
        row = await self._session.get(ProjectRow, project_id)
        if row is None:
            raise NotFoundError(f"there is no project {project_id!r}")
        return row

    def _note(self, action: str, project_id: str, details: dict[str, str]) -> None:
        """In the chain of `default`, whose admin did it, and in that of the project it happened to."""
        for chain in (DEFAULT_PROJECT, project_id):
            change = Change(
                project_id=chain,
                actor=self._caller.actor,
                action=f"project.{action}",
                subject=f"project {project_id}",
                details=dict(details),
            )
            record(self._session, change)


def archived_projects() -> Any:
    """The ids of projects in which nothing is done any more, as a part of a query."""
    return select(col(ProjectRow.id)).where(col(ProjectRow.archived_at).is_not(None))


def _checked_id(new: ProjectCreate) -> str:
    given = re.sub(r"[^a-z0-9]+", "-", new.name.lower()).strip("-")[:39].rstrip("-") if new.id is None else new.id
    if not _ID.fullmatch(given):
        why = f"{given!r} is no project id: a lower-case letter, then 1 to 38 of a-z, 0-9 and '-'"
        raise InvalidContentError.at("/id", why if new.id is not None else f"{why}; the name gives none, so give one")
    return given


def _read(row: ProjectRow) -> ProjectRead:
    return ProjectRead(row.id, row.name, row.created_at, row.created_by, row.archived_at)
