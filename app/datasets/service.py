"""Dataset versions and their items.

An item is stored once per project under the digest of its body, so that a version that changes ten items stores ten. A
version's content names the digest of its manifest: the ordered (id, item digest) pairs, kept in parts.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.parsing import Parsed, schema_problems
from app.datasets.schemas import Item
from app.datasets.tables import ItemRow, ManifestPartRow
from app.kit.clock import Clock, utc_now
from app.kit.db import batched_by_variables, insert_rows
from app.kit.digests import DIGEST_PREFIX, canonical
from app.kit.errors import InvalidContentError, NotFoundError
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.registry.kinds.dataset import Dataset
from app.registry.service import Artifact, Prepared, Registry, Version

PART = 5_000
KIND = "dataset"


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One line of a manifest."""

    id: str
    digest: str
    tags: list[str]


class ItemChanges(msgspec.Struct, frozen=True):
    """Two versions' items by id. The lists hold the first thousand of each."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    counts: dict[str, int]


_entries = msgspec.msgpack.Decoder(list[Entry])


class Datasets:
    """The datasets of one project, within the caller's transaction."""

    def __init__(self, session: AsyncSession, project_id: str, *, actor: str = "", clock: Clock = utc_now) -> None:
        self._session, self._project_id = session, project_id
        self.registry = Registry(session, project_id, actor=actor, clock=clock)

    async def create_version(
        self,
        name: str,
        items: Sequence[Parsed],
        *,
        description: str = "",
        schema: dict[str, Any] | None = None,
        tags: Sequence[str] = (),
        message: str = "",
        labels: Sequence[str] = (),
        source: dict[str, Any] | None = None,
    ) -> tuple[Version, bool]:
        """A new version; or, with False, the latest one when that is what the items are."""
        await self.registry.repository.lock()
        content = await self.store(items, description=description, schema=schema, tags=tags)
        return await self.registry.create_version(KIND, name, content, message, labels, source=source)

    async def prepared(self, items: Sequence[Parsed], **about: Any) -> Prepared:
        """The items stored, and the content that names them, ready for a version or a draft."""
        return await self.registry.prepare(KIND, await self.store(items, **about))

    async def store(
        self,
        items: Sequence[Parsed],
        *,
        description: str = "",
        schema: dict[str, Any] | None = None,
        tags: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Stores items and their manifest; returns the content of the dataset kind."""
        if schema is not None and (problems := list(schema_problems(schema, items))):
            raise InvalidContentError("; ".join(p.detail for p in problems[:3]), problems)
        manifest = manifest_digest((item.id, item.digest) for item in items)
        await self._store_items(items)
        known = await self._session.scalar(
            select(col(ManifestPartRow.start)).where(*self._part_of(manifest), col(ManifestPartRow.start) == 0)
        )
        if known is None:
            encode = msgspec.msgpack.encode
            parts = [
                {
                    "project_id": self._project_id,
                    "digest": manifest,
                    "start": start,
                    "entries": encode([Entry(i.id, i.digest, i.tags) for i in items[start : start + PART]]),
                }
                for start in range(0, len(items), PART)
            ]
            await insert_rows(self._session, ManifestPartRow, parts, ignore_existing=True)
        content: dict[str, Any] = {"items": {"count": len(items), "digest": manifest}}
        if description:
            content["description"] = description
        if schema is not None:
            content["schema"] = schema
        if tags:
            content["tags"] = list(tags)
        return content

    async def items(self, dataset: Artifact) -> list[Item]:
        """All items of a version, in its order."""
        return await self._bodies([entry async for entry in self._manifest(dataset.content)])

    async def entries(self, dataset: Artifact) -> list[Entry]:
        """The manifest alone: ids, digests and tags, without reading the items."""
        return [entry async for entry in self._manifest(dataset.content)]

    async def items_by_digest(self, digest: str) -> list[Item]:
        """The items of a dataset version given by the digest of its content."""
        return await self.items(await self.registry.by_digest(KIND, digest))

    async def some(self, entries: Sequence[Entry]) -> list[Item]:
        """The items of some entries, in their order."""
        return await self._bodies(entries)

    async def page(self, dataset: Artifact, limit: int, cursor: str | None, tag: str | None) -> Page[Item]:
        """A page of a version's items in its order. A version never changes, so the cursor is a position."""
        start = 0 if cursor is None else int(decode_cursor(cursor, (int,))[0])
        chosen: list[Entry] = []
        position, following = start, None
        async for entry in self._manifest(dataset.content, start):
            if tag is None or tag in entry.tags:
                if len(chosen) == limit:
                    following = position
                    break
                chosen.append(entry)
            position += 1
        return Page(await self._bodies(chosen), None if following is None else encode_cursor(following))

    async def changes(self, before: Dataset, after: Dataset) -> ItemChanges:
        """Which items came, went, or changed their body under the same id."""
        old = {entry.id: entry.digest async for entry in self._manifest(before)}
        new = {entry.id: entry.digest async for entry in self._manifest(after)}
        added = [key for key in new if key not in old]
        removed = [key for key in old if key not in new]
        changed = [key for key, digest in new.items() if key in old and old[key] != digest]
        counts = {"added": len(added), "removed": len(removed), "changed": len(changed)}
        return ItemChanges(added[:1000], removed[:1000], changed[:1000], counts)

    async def _store_items(self, items: Sequence[Parsed]) -> None:
        bodies = {item.digest: item.body for item in items}
        known: set[str] = set()
        for some in batched_by_variables(bodies, 2):
            query = select(col(ItemRow.digest)).where(
                col(ItemRow.project_id) == self._project_id, col(ItemRow.digest).in_(some)
            )
            known |= {*await self._session.scalars(query)}
        rows = [
            {"project_id": self._project_id, "digest": digest, "body": canonical(body)}
            for digest, body in bodies.items()
            if digest not in known
        ]
        for start in range(0, len(rows), PART):
            await insert_rows(self._session, ItemRow, rows[start : start + PART], ignore_existing=True)

    async def _manifest(self, dataset: Dataset, start: int = 0) -> Any:
        first = start - start % PART
        query = (
            select(ManifestPartRow)
            .where(*self._part_of(dataset.items.digest), col(ManifestPartRow.start) >= first)
            .order_by(col(ManifestPartRow.start))
        )
        for part in await self._session.scalars(query):
            entries = _entries.decode(part.entries)
            for entry in entries[max(0, start - part.start) :]:
                yield entry

    async def _bodies(self, entries: Sequence[Entry]) -> list[Item]:
        bodies: dict[str, dict[str, Any]] = {}
        for some in batched_by_variables({entry.digest for entry in entries}, 2):
            query = select(col(ItemRow.digest), col(ItemRow.body)).where(
                col(ItemRow.project_id) == self._project_id, col(ItemRow.digest).in_(some)
            )
            for digest, body in (await self._session.execute(query)).all():
                if body is None:
                    raise NotFoundError(f"the item {digest} was erased")
                bodies[digest] = msgspec.json.decode(body)
        return [msgspec.convert({**bodies[e.digest], "id": e.id, "digest": e.digest}, Item) for e in entries]

    def _part_of(self, digest: str) -> tuple[Any, Any]:
        return col(ManifestPartRow.project_id) == self._project_id, col(ManifestPartRow.digest) == digest


def manifest_digest(pairs: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over the canonical JSON of the ordered `[id, item digest]` pairs, one after the other."""
    state = hashlib.sha256()
    for identifier, digest in pairs:
        state.update(canonical([identifier, digest]))
    return DIGEST_PREFIX + state.hexdigest()
