"""How many of a manifest's items are erased: counted where items lose their bodies, and where they are sent again."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import select, update
from sqlmodel import col

from app.datasets.manifests import Manifests
from app.datasets.schemas import Entry
from app.datasets.tables import ItemRow
from app.kit.db import batched_by_variables, core
from app.registry.repository import Repository


class Tombstones:
    """The erased items of one project, within the caller's transaction; the caller holds the registry's lock."""

    def __init__(self, repository: Repository, manifests: Manifests) -> None:
        self._repository, self._manifests = repository, manifests
        self._session, self._project_id = repository.session, repository.project_id

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
        if not await self._repository.any_erased():
            return
        erased = await self.erased_of({entry.digest for entry in entries})
        if count := sum(entry.digest in erased for entry in entries):
            await self._repository.count_erased({manifest: count})

    async def _count(self, digests: Collection[str], sign: int) -> int:
        holding = await self._manifests.holding(frozenset(digests)) if digests else {}
        await self._repository.count_erased({manifest: sign * count for manifest, count in holding.items()})
        return len(holding)
