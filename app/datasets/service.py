"""Dataset versions and their items.

An item is stored once per project under the digest of its body, so that a version that changes ten items stores ten. A
version's content names the digest of its manifest: the ordered (id, item digest) pairs, kept in parts.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import anyio.to_thread
import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.diff import ItemChange, changed_items
from app.datasets.manifests import Manifests, manifest_digest
from app.datasets.parsing import MAX_PROBLEMS, Parsed, schema_problems, several
from app.datasets.schemas import Entry, Item
from app.datasets.tables import ItemRow
from app.datasets.tombstones import Tombstones
from app.kit.changes import Change, record
from app.kit.clock import Clock, utc_now
from app.kit.db import batched_by_variables, insert_rows
from app.kit.errors import FieldError, InvalidContentError
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.registry.kinds.dataset import Level
from app.registry.names import LATEST, checked_name
from app.registry.scanning import Found, Mode, scan, told
from app.registry.service import Artifact, Registry, Version

BATCH = 5_000
KIND = "dataset"
ERASED = b'{"inputs":{},"erased":true}'
"""What is left of an item's body after it was erased."""
_items = msgspec.json.Decoder(Item)


class About(msgspec.Struct, frozen=True):
    """What a dataset version holds beside its items."""

    description: str = ""
    schema: dict[str, Any] | None = None
    tags: Sequence[str] = ()
    sensitivity: Level = "internal"
    fields: dict[str, Level] = {}
    retention_days: int | None = None

    @classmethod
    def of(cls, content: Any) -> "About":
        """The same of a stored content, or of one as it is sent."""
        return cls(**{name: getattr(content, name) for name in cls.__struct_fields__})


class Datasets:
    """The datasets of one project, within the caller's transaction."""

    def __init__(
        self,
        session: AsyncSession,
        project_id: str,
        *,
        actor: str = "",
        clock: Clock = utc_now,
        scan: Mode = "warn",
    ) -> None:
        self._session, self._project_id = session, project_id
        self.registry = Registry(session, project_id, actor=actor, clock=clock, scan=scan)
        self.manifests = Manifests(session, project_id)
        self.tombstones = Tombstones(self.registry.repository, self.manifests)
        self._actor = actor

    async def create_version(
        self,
        name: str,
        items: Sequence[Parsed],
        about: About = About(),  # noqa: B008 - frozen
        *,
        message: str = "",
        labels: Sequence[str] = (),
        pointer: str = "/content",
        source: dict[str, Any] | None = None,
    ) -> tuple[Version, bool]:
        """A new version; or, with False, the latest one when that is what the items are."""
        checked_name(name)
        entries = [item.entry for item in items]
        content = await anyio.to_thread.run_sync(content_of, entries, items, about, pointer)
        warnings = await self.scanned(items, about)
        await self.registry.repository.lock()
        await self.registry.labels.require_free(KIND, name, labels)
        warnings += await self.store(entries, items)
        version, created = await self.registry.create_version(
            KIND, name, content, message, labels, pointer=pointer, source=source
        )
        return _warned(version, warnings), created

    async def amend(
        self,
        name: str,
        put: Sequence[Parsed],
        remove: Sequence[str],
        *,
        message: str = "",
        labels: Sequence[str] = (),
        source: dict[str, Any] | None = None,
    ) -> tuple[Version, bool]:
        """The latest version with some items put in or changed (by their id, in their place) and others removed.

        Raises `InvalidContentError` for an id to remove that is not there, and when nothing would be left.
        """
        await self.registry.repository.lock()
        await self.registry.labels.require_free(KIND, name, labels)
        name = (await self.registry.known(KIND, name)).name
        latest = await self.registry.resolve(KIND, f"{name}@{LATEST}")
        entries = {entry.id: entry for entry in await self.entries(latest)}
        unknown = [(i, key) for i, key in enumerate(remove) if key not in entries]
        if unknown:
            raise several(
                [FieldError(f"/remove/{i}", f"there is no item {key!r}") for i, key in unknown[:MAX_PROBLEMS]]
            )
        for key in remove:
            entries.pop(key, None)
        entries |= {item.id: item.entry for item in put}
        if not entries:
            raise InvalidContentError.at("/remove", "nothing would be left; archive the dataset instead")
        about = About.of(latest.content)
        content = content_of(list(entries.values()), put, about, "")
        warnings = await self.scanned(put, about)
        warnings += await self.store(list(entries.values()), put)
        version, created = await self.registry.create_version(KIND, name, content, message, labels, source=source)
        return _warned(version, warnings), created

    async def scanned(self, items: Sequence[Parsed], about: About) -> list[FieldError]:
        """What in these items looks personal or secret. Raises `InvalidContentError` where that is refused: always a secret, and
        personal data unless the dataset is declared to hold some."""
        mode = self.registry.scan
        if mode in ("off", "report"):
            return []
        found = await anyio.to_thread.run_sync(_scan, items)
        declared = about.sensitivity == "personal" or "personal" in about.fields.values()
        found = [one for one in found if one.group == "secret" or not declared]
        if found and mode == "refuse":
            raise several(told(found))
        return told(found)

    async def store(self, entries: Sequence[Entry], items: Iterable[Parsed]) -> list[FieldError]:
        """Keeps items and their manifest, as far as they are not there. The caller holds the registry's lock.

        An item that was erased and is sent again is there again, in every version that has it; the warning says so.
        """
        manifest = manifest_digest((entry.id, entry.digest) for entry in entries)
        restored = await self._store_items({item.digest: item.body for item in items})
        if not await self.manifests.known(manifest):
            await self.manifests.store(manifest, entries)
            await self.tombstones.note(manifest, entries)
        if not restored:
            return []
        return [FieldError("", f"{restored:,} of these items were erased before and are kept again, in every version")]

    async def items(self, dataset: Artifact) -> list[Item]:
        """All items of a version, in its order."""
        return await self.some(await self.entries(dataset))

    async def items_by_digest(self, digest: str) -> list[Item]:
        """The items of a dataset version given by the digest of its content, without those that were erased."""
        items = await self.items(await self.registry.by_digest(KIND, digest))
        return [item for item in items if not item.erased]

    async def erased(self, digest: str) -> int:
        """How many items of a dataset version, given by the digest of its content, were erased."""
        found = await self.registry.repository.erased(await self.registry.repository.contents(KIND, digest, 1))
        return found.get(digest, 0)

    async def entries(self, dataset: Artifact) -> list[Entry]:
        """The manifest alone: ids, digests, tags and splits, without reading the items."""
        return [entry async for entry in self.manifests.entries(dataset.content.items)]

    async def some(self, entries: Sequence[Entry]) -> list[Item]:
        """The items of some entries, in their order. Of one that was erased, id and digest are left."""
        bodies: dict[str, bytes] = {}
        for some in batched_by_variables({entry.digest for entry in entries}, 2):
            query = select(col(ItemRow.digest), col(ItemRow.body)).where(
                col(ItemRow.project_id) == self._project_id, col(ItemRow.digest).in_(some)
            )
            for digest, body in (await self._session.execute(query)).all():
                bodies[digest] = ERASED if body is None else body
        return [_item(bodies[entry.digest], entry) for entry in entries]

    async def page(
        self, dataset: Artifact, limit: int, cursor: str | None, tag: str | None = None, split: str | None = None
    ) -> Page[Item]:
        """A page of a version's items in its order. A version never changes, so the cursor is a position."""
        position = 0 if cursor is None else max(0, int(decode_cursor(cursor, (int,))[0]))
        chosen: list[Entry] = []
        following = None
        async for entry in self.manifests.entries(dataset.content.items, position):
            if (tag is None or tag in entry.tags) and split in (None, entry.split):
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

    async def _store_items(self, bodies: dict[str, bytes]) -> int:
        """How many of them had been erased."""
        missing = dict(sorted(bodies.items()))
        erased: dict[str, bytes] = {}
        for some in batched_by_variables(bodies, 2):
            query = select(col(ItemRow.digest), col(ItemRow.body).is_(None)).where(
                col(ItemRow.project_id) == self._project_id, col(ItemRow.digest).in_(some)
            )
            for digest, gone in (await self._session.execute(query)).all():
                body = missing.pop(digest)
                if gone:
                    erased[digest] = body
        rows = ({"project_id": self._project_id, "digest": d, "body": body} for d, body in missing.items())
        while batch := list(islice(rows, BATCH)):
            await insert_rows(self._session, ItemRow, batch, ignore_existing=True)
        if erased:
            versions = await self.tombstones.lift(erased)
            change = Change(
                project_id=self._project_id,
                actor=self._actor,
                action="dataset.restored",
                subject=f"{KIND} items",
                details={"items": len(erased), "versions": versions},
            )
            record(self._session, change)
        return len(erased)


def _scan(items: Iterable[Parsed]) -> list[Found]:
    from evaluators.patterns import mentions

    found: list[Found] = []
    for item in items:
        if mentions(item.body):
            found += scan(msgspec.json.decode(item.body), item.body, item.place.pointer)
    return found


def _warned(version: Version, warnings: list[FieldError]) -> Version:
    return msgspec.structs.replace(version, warnings=warnings) if warnings else version


def content_of(entries: Sequence[Entry], items: Sequence[Parsed], about: About, pointer: str = "") -> dict[str, Any]:
    """The content of the dataset kind; `items` are those that are new. Raises `InvalidContentError` where inputs do not
    follow the schema."""
    if about.schema is not None:
        from evaluators.jsonschemas import SchemaError

        try:
            problems = list(islice(schema_problems(about.schema, items), MAX_PROBLEMS))
        except SchemaError as error:
            where = f"{pointer}/schema{error.pointer}"
            raise InvalidContentError.at(where, f"not a usable JSON Schema: {error}") from error
        if problems:
            raise several(problems)
    manifest = manifest_digest((entry.id, entry.digest) for entry in entries)
    return {"items": {"count": len(entries), "digest": manifest}, **given(about)}


def given(about: About) -> dict[str, Any]:
    """What of it is not as by default, as JSON values."""
    plain = {name: getattr(about, name) for name in About.__struct_fields__}
    plain["tags"] = list(about.tags)
    return {name: value for name, value in plain.items() if value and value != getattr(About(), name)}


def _item(body: bytes, entry: Entry) -> Item:
    """A stored body with the names that its entry gives it, decoded in one go."""
    names = msgspec.json.encode({"id": entry.id, "digest": entry.digest})
    return _items.decode(names if body == b"{}" else body[:-1] + b"," + names[1:])
