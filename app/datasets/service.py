"""Dataset versions and their items.

An item is stored once per project under the digest of its body, so that a version that changes ten items stores ten. A
version's content names the digest of its manifest: the ordered (id, item digest) pairs, kept in parts.
"""

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.diff import ItemChange, changed_items
from app.datasets.parsing import MAX_PROBLEMS, Parsed, schema_problems, several
from app.datasets.schemas import Entry, Item
from app.datasets.tables import ItemRow, ManifestPartRow
from app.kit.clock import Clock, utc_now
from app.kit.db import batched_by_variables, insert_rows
from app.kit.digests import DIGEST_PREFIX, canonical
from app.kit.errors import InvalidContentError, NotFoundError
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.registry.kinds.dataset import Dataset
from app.registry.names import checked_name
from app.registry.service import Artifact, Registry, Version

PART = 1_000
BATCH = 5_000
KIND = "dataset"

_decode_entries = msgspec.msgpack.Decoder(list[Entry]).decode


class About(msgspec.Struct, frozen=True):
    """What a dataset version holds beside its items."""

    description: str = ""
    schema: dict[str, Any] | None = None
    tags: Sequence[str] = ()


class Datasets:
    """The datasets of one project, within the caller's transaction."""

    def __init__(self, session: AsyncSession, project_id: str, *, actor: str = "", clock: Clock = utc_now) -> None:
        self._session, self._project_id = session, project_id
        self.registry = Registry(session, project_id, actor=actor, clock=clock)

    async def create_version(
        self,
        name: str,
        items: Sequence[Parsed],
        about: About = About(),  # noqa: B008 - frozen
        *,
        message: str = "",
        labels: Sequence[str] = (),
        pointer: str = "/content",
    ) -> tuple[Version, bool]:
        """A new version; or, with False, the latest one when that is what the items are."""
        checked_name(name)
        content = content_of(items, about, pointer)
        await self.registry.repository.lock()
        await self.registry.labels.require_free(KIND, name, labels)
        await self.store(items)
        return await self.registry.create_version(KIND, name, content, message, labels, pointer=pointer)

    async def draft(self, items: Sequence[Parsed], about: About = About()) -> Artifact:  # noqa: B008 - frozen
        """The items kept under the digest of their content, without a version."""
        content = content_of(items, about)
        await self.registry.repository.lock()
        await self.store(items)
        return await self.registry.draft(KIND, content)

    async def store(self, items: Sequence[Parsed]) -> None:
        """Keeps items and their manifest, as far as they are not there. The caller holds the registry's lock."""
        manifest = manifest_digest((item.id, item.digest) for item in items)
        if await self._part(manifest, 0) is not None:
            return
        await self._store_items({item.digest: item.body for item in items})
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

    async def items(self, dataset: Artifact) -> list[Item]:
        """All items of a version, in its order."""
        return await self.some(await self.entries(dataset))

    async def items_by_digest(self, digest: str) -> list[Item]:
        """The items of a dataset version given by the digest of its content."""
        return await self.items(await self.registry.by_digest(KIND, digest))

    async def entries(self, dataset: Artifact) -> list[Entry]:
        """The manifest alone: ids, digests and tags, without reading the items."""
        return [entry async for entry in self._manifest(dataset.content)]

    async def some(self, entries: Sequence[Entry]) -> list[Item]:
        """The items of some entries, in their order."""
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

    async def page(self, dataset: Artifact, limit: int, cursor: str | None, tag: str | None) -> Page[Item]:
        """A page of a version's items in its order. A version never changes, so the cursor is a position."""
        position = 0 if cursor is None else int(decode_cursor(cursor, (int,))[0])
        chosen: list[Entry] = []
        following = None
        async for entry in self._manifest(dataset.content, max(0, position)):
            if tag is None or tag in entry.tags:
                if len(chosen) == limit:
                    following = position
                    break
                chosen.append(entry)
            position += 1
        return Page(await self.some(chosen), None if following is None else encode_cursor(following))

    async def changes(self, before: Artifact, after: Artifact) -> list[ItemChange]:
        """Which items came, went, or changed their body under the same id."""
        if before.content.items.digest == after.content.items.digest:
            return []
        return changed_items(await self.entries(before), await self.entries(after))

    async def _store_items(self, bodies: dict[str, bytes]) -> None:
        missing = dict(sorted(bodies.items()))
        for some in batched_by_variables(bodies, 2):
            query = select(col(ItemRow.digest)).where(
                col(ItemRow.project_id) == self._project_id, col(ItemRow.digest).in_(some)
            )
            for digest in await self._session.scalars(query):
                del missing[digest]
        rows = ({"project_id": self._project_id, "digest": d, "body": body} for d, body in missing.items())
        while batch := list(islice(rows, BATCH)):
            await insert_rows(self._session, ItemRow, batch, ignore_existing=True)

    async def _manifest(self, dataset: Dataset, start: int = 0) -> AsyncIterator[Entry]:
        position = start
        while position < dataset.items.count:
            part = await self._part(dataset.items.digest, position)
            if part is None:
                raise NotFoundError(f"the manifest {dataset.items.digest} is not stored from item {position} on")
            entries = _decode_entries(part.entries)
            for entry in entries[position - part.start :]:
                yield entry
            position = part.start + len(entries)

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


def content_of(items: Sequence[Parsed], about: About, pointer: str = "") -> dict[str, Any]:
    """The content of the dataset kind. Raises `InvalidContentError` where inputs do not follow the schema."""
    if about.schema is not None:
        from evaluators.jsonschemas import SchemaError

        try:
            problems = list(islice(schema_problems(about.schema, items), MAX_PROBLEMS))
        except SchemaError as error:
            where = f"{pointer}/schema{error.pointer}"
            raise InvalidContentError.at(where, f"not a usable JSON Schema: {error}") from error
        if problems:
            raise several(problems)
    content: dict[str, Any] = {
        "items": {"count": len(items), "digest": manifest_digest((item.id, item.digest) for item in items)}
    }
    if about.description:
        content["description"] = about.description
    if about.schema is not None:
        content["schema"] = about.schema
    if about.tags:
        content["tags"] = list(about.tags)
    return content


def manifest_digest(pairs: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over the canonical JSON of the ordered `[id, item digest]` pairs, one after the other."""
    state = hashlib.sha256()
    for identifier, digest in pairs:
        state.update(canonical([identifier, digest]))
    return DIGEST_PREFIX + state.hexdigest()
