"""Manifests: the ordered entries of a version, kept in parts under their own digest."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.schemas import Entry
from app.datasets.tables import ManifestPartRow
from app.kit.db import insert_rows
from app.kit.digests import DIGEST_PREFIX, canonical
from app.kit.errors import NotFoundError
from app.registry.kinds.dataset import Items

PART = 1_000
_decode = msgspec.msgpack.Decoder(list[Entry]).decode


class Manifests:
    """The manifests of one project, within the caller's transaction."""

    def __init__(self, session: AsyncSession, project_id: str) -> None:
        self._session, self._project_id = session, project_id

    async def known(self, digest: str) -> bool:
        return await self._part(digest, 0) is not None

    async def store(self, digest: str, entries: Sequence[Entry]) -> None:
        """Keeps a manifest, unless it is there."""
        encode = msgspec.msgpack.encode
        parts = [
            {
                "project_id": self._project_id,
                "digest": digest,
                "start": start,
                "entries": encode(entries[start : start + PART]),
            }
            for start in range(0, len(entries), PART)
        ]
        await insert_rows(self._session, ManifestPartRow, parts, ignore_existing=True)

    async def entries(self, items: Items, start: int = 0) -> AsyncIterator[Entry]:
        """The entries from a position on; raises `NotFoundError` when a part is not there."""
        position = start
        while position < items.count:
            part = await self._part(items.digest, position)
            if part is None:
                raise NotFoundError(f"the manifest {items.digest} is not stored from item {position} on")
            found = _decode(part.entries)
            for entry in found[position - part.start :]:
                yield entry
            position = part.start + len(found)

    async def holding(self, digests: frozenset[str]) -> dict[str, int]:
        """Every manifest of the project that holds one of these items, with how many of them."""
        query = select(col(ManifestPartRow.digest), col(ManifestPartRow.entries)).where(
            col(ManifestPartRow.project_id) == self._project_id
        )
        counts: dict[str, int] = {}
        async for digest, entries in await self._session.stream(query):
            found = sum(entry.digest in digests for entry in _decode(entries))
            if found:
                counts[digest] = counts.get(digest, 0) + found
        return counts

    async def _part(self, digest: str, position: int) -> ManifestPartRow | None:
        """The part of a manifest that a position lies in."""
        query = (
            select(ManifestPartRow)
            .where(
                col(ManifestPartRow.project_id) == self._project_id,
                col(ManifestPartRow.digest) == digest,
                col(ManifestPartRow.start) <= position,
            )
            .order_by(col(ManifestPartRow.start).desc())
            .limit(1)
        )
        return (await self._session.scalars(query)).first()


def manifest_digest(pairs: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over the canonical JSON of the ordered `[id, item digest]` pairs, one after the other."""
    state = hashlib.sha256()
    for identifier, digest in pairs:
        state.update(canonical([identifier, digest]))
    return DIGEST_PREFIX + state.hexdigest()
