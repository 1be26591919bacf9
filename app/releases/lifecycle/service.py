"""The life cycle of prompts: whose each is and what for, where it is live, who calls it, and what comes after it."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.changes import Change, record
from app.kit.clock import Clock
from app.kit.db import writing
from app.kit.digests import digest
from app.kit.errors import ConflictError, FieldError, GoneError, InvalidContentError, NotFoundError
from app.kit.pages import Page
from app.kit.texts import require_text
from app.registry.catalogue import Catalogue, Search
from app.registry.schemas import ArtifactRead
from app.registry.service import Registry
from app.releases.lifecycle.facts import KIND, Facts
from app.releases.lifecycle.schemas import CatalogueChange, CatalogueEntry, Retire, State
from app.releases.tables import LifeCycleRow


class LifeCycles:
    """The life cycles of one project's prompts, within the caller's transaction."""

    def __init__(self, session: AsyncSession, project_id: str, actor: str, clock: Clock) -> None:
        self._session, self._project_id, self._actor, self._clock = session, project_id, actor, clock
        self._registry = Registry(session, project_id, actor=actor, clock=clock)
        self._facts = Facts(session, project_id, clock)

    async def entry(self, name: str) -> CatalogueEntry:
        return (await self._entries([await Catalogue(self._registry).artifact(KIND, name)]))[0]

    async def page(
        self, state: State | None, owner: str | None, limit: int, cursor: str | None
    ) -> Page[CatalogueEntry]:
        """By name; with `state`, those that are in it."""
        conditions = [self._facts.in_state(state)] if state is not None else []
        conditions += [self._facts.owned_by(owner)] if owner is not None else []
        page = await Catalogue(self._registry).page(KIND, Search(), limit, cursor, conditions=conditions)
        return Page(await self._entries(page.items), page.next_cursor)

    async def change(self, name: str, asked: CatalogueChange) -> CatalogueEntry:
        """Raises `InvalidContentError` for a successor that is unknown, retired, or comes before the prompt itself."""
        row = await self._locked(name)
        before = _said(row)
        for field in ("owner", "purpose", "sunset_on"):
            value = getattr(asked, field)
            if value is not UNSET:
                setattr(row, field, value)
        if asked.successor is not UNSET:
            row.successor = await self._successor(row.name, asked.successor)
        await self._store(row, before, "catalogued", asked.reason)
        return await self.entry(row.name)

    async def retire(self, name: str, asked: Retire) -> CatalogueEntry:
        """From now on nobody is served: whoever asks is told that it is gone, and what came after it.

        Raises `ConflictError` naming who still calls it, unless `force`.
        """
        row = await self._locked(name)
        successor = await self._successor(row.name, asked.successor)
        entry = await self.entry(row.name)
        if entry.consumers and entry.live and not asked.force:
            who = ", ".join(f"{c.name or c.key} ({c.calls} calls, last {c.last:%Y-%m-%d})" for c in entry.consumers[:5])
            detail = f"{row.name!r} is live and still called by {who}; let them move on, or retire it with `force`"
            raise ConflictError(detail, [FieldError("/force", detail)])
        before = _said(row)
        row.retired_at = row.retired_at or self._clock()
        row.successor = successor or row.successor
        await self._store(row, before, "retired", asked.reason)
        return await self.entry(row.name)

    async def revive(self, name: str, reason: str) -> CatalogueEntry:
        """Takes the retirement back."""
        require_text(reason, "/reason")
        row = await self._locked(name)
        if row.retired_at is not None:
            before = _said(row)
            row.retired_at = None
            await self._store(row, before, "revived", reason)
        return await self.entry(row.name)

    async def _successor(self, name: str, successor: str | None) -> str | None:
        """The name of what is to come after `name`, which may be given by an alias."""
        if successor is None:
            return None
        try:
            found = (await self._registry.known(KIND, successor)).name
            await require_in_use(self._session, self._project_id, found)
        except (NotFoundError, GoneError) as error:
            raise InvalidContentError.at("/successor", error.detail) from error
        following: str | None = found
        seen: set[str] = set()
        while following is not None and following not in seen:
            if following == name:
                raise InvalidContentError.at("/successor", f"{name!r} would come after itself")
            seen.add(following)
            row = await self._session.get(LifeCycleRow, (self._project_id, following))
            following = None if row is None else row.successor
        return found

    async def _locked(self, name: str) -> LifeCycleRow:
        await writing(self._session)
        await self._registry.repository.lock()
        name = (await self._registry.known(KIND, name)).name
        row = await self._session.get(LifeCycleRow, (self._project_id, name), populate_existing=True)
        if row is None:
            row = LifeCycleRow(
                project_id=self._project_id, name=name, purpose="", updated_at=self._clock(), updated_by=""
            )
            self._session.add(row)
        return row

    async def _store(self, row: LifeCycleRow, before: dict[str, Any], action: str, reason: str) -> None:
        row.updated_at, row.updated_by = self._clock(), self._actor
        await self._session.flush()
        after = _said(row)
        change = Change(
            project_id=self._project_id,
            actor=self._actor,
            action=f"prompt.{action}",
            subject=f"prompt {row.name}",
            before=digest(before),
            after=digest(after),
            reason=reason,
            details={name: value for name, value in after.items() if before[name] != value},
        )
        record(self._session, change)

    async def _entries(self, rows: Sequence[ArtifactRead]) -> list[CatalogueEntry]:
        names = [row.name for row in rows]
        query = select(LifeCycleRow).where(
            col(LifeCycleRow.project_id) == self._project_id, col(LifeCycleRow.name).in_(names)
        )
        said = {row.name: row for row in await self._session.scalars(query)}
        live, released = await self._facts.live(names), await self._facts.released(names)
        evaluated, latest_runs = await self._facts.evaluated(names)
        consumers = await self._facts.consumers(names)
        now = self._clock()
        entries = []
        for row in rows:
            own = said.get(row.name)
            places = live.get(row.name, [])
            states: list[State] = []
            if not places and row.name not in released:
                states.append("never_released")
            if places:
                states.append("live")
            if any((row.name, place.digest) not in evaluated for place in places):
                states.append("live_unevaluated")
            if own is not None and own.sunset_on is not None and own.sunset_on <= now.date():
                states.append("sunset_due")
            if own is not None and own.retired_at is not None:
                states.append("retired")
            entries.append(
                CatalogueEntry(
                    name=row.name,
                    version=row.version,
                    description=row.description,
                    owner=(own.owner if own is not None and own.owner else None) or row.owner,
                    purpose="" if own is None else own.purpose,
                    tags=row.tags,
                    states=states,
                    live=places,
                    last_evaluation=latest_runs.get(row.name),
                    consumers=consumers.get(row.name, []),
                    sunset_on=None if own is None else own.sunset_on,
                    successor=None if own is None else own.successor,
                    retired_at=None if own is None else own.retired_at,
                    updated_at=row.updated_at if own is None else max(row.updated_at, own.updated_at),
                    updated_by=None if own is None else own.updated_by,
                )
            )
        return entries


async def require_in_use(session: AsyncSession, project_id: str, name: str) -> None:
    """Raises `GoneError` when a prompt was retired, with the first of those after it that was not."""
    row = await session.get(LifeCycleRow, (project_id, name), populate_existing=True)
    if row is None or row.retired_at is None:
        return
    successor, seen = row.successor, {name}
    while successor is not None:
        after = await session.get(LifeCycleRow, (project_id, successor), populate_existing=True)
        if after is None or after.retired_at is None:
            break
        seen.add(successor)
        successor = None if after.successor in seen else after.successor
    raise GoneError(f"the prompt {name!r} was retired on {row.retired_at:%Y-%m-%d}", successor)


def _said(row: LifeCycleRow) -> dict[str, Any]:
    return {
        "owner": row.owner,
        "purpose": row.purpose,
        "sunset_on": None if row.sunset_on is None else row.sunset_on.isoformat(),
        "successor": row.successor,
        "retired": row.retired_at is not None,
    }
