"""Forgetting: the bodies of items go, their digests stay, so that versions and all that was gated on them stay what they are."""

from collections.abc import Iterable
from datetime import timedelta

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.schemas import Entry, Erase, Erased
from app.datasets.service import KIND, Datasets
from app.datasets.tables import ItemRow
from app.kit.changes import Change, record
from app.kit.clock import Clock
from app.kit.db import batched_by_variables
from app.kit.errors import InvalidContentError
from app.registry.catalogue import Catalogue
from app.registry.kinds.dataset import FIELD
from app.registry.schemas import Artifact


class Erasure:
    """Erases items of one project, within the caller's transaction."""

    def __init__(self, session: AsyncSession, project_id: str, actor: str, clock: Clock) -> None:
        self._session, self._project_id, self._actor, self._clock = session, project_id, actor, clock
        self._datasets = Datasets(session, project_id, actor=actor, clock=clock)
        self._registry = self._datasets.registry

    async def erase(self, name: str, asked: Erase) -> Erased:
        """Erases a person's items in every version of a dataset, and wherever else the project has the same items.

        Raises `InvalidContentError` when nothing is named, or nothing is found.
        """
        if (asked.field is None) != (asked.equals is None) or (asked.field is None and not asked.ids):
            raise InvalidContentError("say whose items: `ids`, or `field` with `equals`")
        if asked.field is not None and not FIELD.fullmatch(asked.field):
            raise InvalidContentError.at("/field", f"{asked.field!r} is no part of an item, such as metadata.person")
        await self._registry.repository.lock()
        name = (await self._registry.known(KIND, name)).name
        digests: set[str] = set()
        for version in await self._versions(name):
            entries = await self._datasets.entries(version)
            digests |= {entry.digest for entry in entries if entry.id in asked.ids}
            if asked.field is not None:
                digests |= await self._fitting(entries, asked.field, asked.equals)
        if not digests:
            raise InvalidContentError.at("/ids" if asked.ids else "/field", f"no item of {name!r} is meant by this")
        return await self._tombstone(digests, name, asked.reason)

    async def expire(self) -> list[tuple[str, Erased]]:
        """Erases what datasets have kept longer than their `retention_days`: the items of versions that old, unless a
        younger version of any dataset has them too. Returns the datasets that lost some."""
        await self._registry.repository.lock()
        now = self._clock()
        names = await self._registry.repository.every_name(KIND)
        latest = [await self._registry.resolve(KIND, name) for name in names]
        if all(dataset.content.retention_days is None for dataset in latest):
            return []
        old: dict[str, set[str]] = {}
        young: list[tuple[str, int]] = []
        for dataset in latest:
            name, days = str(dataset.name), dataset.content.retention_days
            for version in await Catalogue(self._registry).every_version(KIND, name):
                if days is not None and version.created_at + timedelta(days=days) <= now:
                    old.setdefault(name, set()).update(await self._digests(name, version.number))
                else:
                    young.append((name, version.number))
        due = await self._still_there(set().union(*old.values()))
        if not due:  # as a rule: then what the young ones hold need not be read
            return []
        for name, number in young:
            due -= await self._digests(name, number)
        found = []
        for name, digests in old.items():
            if gone := digests & due:
                found.append((name, await self._tombstone(gone, name, "retention")))
                due -= gone
        return found

    async def _digests(self, name: str, number: int) -> set[str]:
        version = await self._registry.resolve(KIND, f"{name}@{number}")
        return {entry.digest for entry in await self._datasets.entries(version)}

    async def _versions(self, name: str) -> list[Artifact]:
        rows = await Catalogue(self._registry).every_version(KIND, name)
        return [await self._registry.resolve(KIND, f"{name}@{row.number}") for row in rows]

    async def _fitting(self, entries: Iterable[Entry], field: str, equals: str | int | None) -> set[str]:
        found = set()
        path = field.split(".")
        for item in await self._datasets.some(list({entry.digest: entry for entry in entries}.values())):
            value = msgspec.to_builtins(item)
            for part in path:
                value = value.get(part) if isinstance(value, dict) else None
            if value == equals and not item.erased:
                found.add(item.digest)
        return found

    async def _still_there(self, digests: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for some in batched_by_variables(digests, 2):
            query = select(col(ItemRow.digest)).where(
                col(ItemRow.project_id) == self._project_id,
                col(ItemRow.digest).in_(some),
                col(ItemRow.body).is_not(None),
            )
            found |= {*await self._session.scalars(query)}
        return found

    async def _tombstone(self, digests: set[str], name: str, reason: str) -> Erased:
        gone = await self._still_there(digests)
        versions = await self._datasets.tombstones.lay(gone)
        change = Change(
            project_id=self._project_id,
            actor=self._actor,
            action="dataset.erased",
            subject=f"{KIND} {name}",
            reason=reason,
            details={"items": len(gone), "versions": versions},
        )
        record(self._session, change)
        return Erased(len(gone), versions)
