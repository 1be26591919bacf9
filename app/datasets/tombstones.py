"""How many of a manifest's items are erased: counted where items lose their bodies, and where they are sent again."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.manifests import Manifests
from app.datasets.schemas import Entry
from app.datasets.tables import ItemRow
from app.kit.db import batched_by_variables, core, insert_rows
from app.registry.tables import ErasureRow


class Tombstones:
    """The erased items of one project, within the caller's transaction; the caller holds the registry's lock."""

    def __init__(self, session: AsyncSession, project_id: str, manifests: Manifests) -> None:
        self._session, self._project_id, self._manifests = session, project_id, manifests

    async def erased_of(self, digests: Iterable[str]) -> set[str]:
        """Those of these items that are stored without a body."""
        found: set[str] = set()
        for some in batched_by_variables(digests, 2):
            query = select(col(ItemRow.digest)).where(
                col(ItemRow.project_id) == self._project_id, col(ItemRow.digest).in_(some), col(ItemRow.body).is_(None)
            )
            found |= {*await self._session.scalars(query)}
        return found

    async def lay(self, digests: Collection[str]) -> int:
        """Takes these items' bodies away; in how many manifests they were."""
        for some in batched_by_variables(digests, 2):
            items = core(ItemRow)
            await self._session.execute(
                update(items).where(items.c.project_id == self._project_id, items.c.digest.in_(some)).values(body=None)
            )
        return await self._count(digests, 1)

    async def lift(self, bodies: dict[str, bytes]) -> int:
        """Gives erased items the bodies that were sent again; in how many manifests they are."""
        items = core(ItemRow)
        for digest, body in bodies.items():
            await self._session.execute(
                update(items).where(items.c.project_id == self._project_id, items.c.digest == digest).values(body=body)
            )
        return await self._count(bodies, -1)

    async def note(self, manifest: str, entries: Sequence[Entry]) -> None:
        """Counts the erased items of a manifest that is new."""
        any_ = select(col(ErasureRow.manifest)).where(col(ErasureRow.project_id) == self._project_id).limit(1)
        if (await self._session.scalars(any_)).first() is None:
            return
        erased = await self.erased_of({entry.digest for entry in entries})
        if count := sum(entry.digest in erased for entry in entries):
            row = {"project_id": self._project_id, "manifest": manifest, "erased": count}
            await insert_rows(self._session, ErasureRow, [row], ignore_existing=True)

    async def _count(self, digests: Collection[str], sign: int) -> int:
        holding = await self._manifests.holding(frozenset(digests)) if digests else {}
        counted = core(ErasureRow)
        for manifest, count in holding.items():
            own = {"project_id": self._project_id, "manifest": manifest}
            await insert_rows(self._session, ErasureRow, [{**own, "erased": 0}], ignore_existing=True)
            await self._session.execute(
                update(counted)
                .where(counted.c.project_id == self._project_id, counted.c.manifest == manifest)
                .values(erased=counted.c.erased + sign * count)
            )
        if sign < 0:
            await self._session.execute(
                delete(counted).where(counted.c.project_id == self._project_id, counted.c.erased <= 0)
            )
        return len(holding)
