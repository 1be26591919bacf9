"""Named queries over one project's artifacts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, delete, false, func, not_, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.db import batched_by_variables, core, insert_rows
from app.registry.contents import Prepared
from app.registry.kinds import kinds
from app.registry.schemas import Artifact
from app.registry.tables import (
    AliasRow,
    ArtifactRow,
    ArtifactTagRow,
    ContentRow,
    ErasureRow,
    LabelRow,
    ReferenceRow,
    VersionRow,
)

CHANGING = "projects whose artifacts change"
"""Where a session notes which projects' artifacts its transaction may change."""


class Repository:
    def __init__(self, session: AsyncSession, project_id: str) -> None:
        self.session = session
        self.project_id = project_id

    async def lock(self) -> None:
        """Makes this transaction the only one that changes this project's artifacts until it ends.

        One lock for all of them: no order of locks can deadlock, and numbers have no gaps. On SQLite it is the database's
        write lock, taken by a write that changes nothing (which works in a transaction that has begun, as `writing` cannot).
        """
        self.session.sync_session.info.setdefault(CHANGING, set()).add(self.project_id)
        if self.session.get_bind().dialect.name == "postgresql":
            statement = text("SELECT pg_advisory_xact_lock(hashtextextended('registry ' || :project, 0))")
            await self.session.execute(statement, {"project": self.project_id})
        else:
            await self.session.execute(text("DELETE FROM protected_label WHERE 0"))

    async def artifact(self, kind: str, name: str) -> ArtifactRow | None:
        return await self.session.get(ArtifactRow, (self.project_id, kind, name), populate_existing=True)

    async def same_folded(self, kind: str, name: str) -> str | None:
        """The name that is there already, in whatever case."""
        query = select(col(ArtifactRow.name)).where(
            *self._of(ArtifactRow, kind), col(ArtifactRow.folded) == name.lower()
        )
        return await self.session.scalar(query)

    async def names(self, kind: str) -> list[str]:
        query = select(col(ArtifactRow.name)).where(
            *self._of(ArtifactRow, kind), col(ArtifactRow.archived_at).is_(None)
        )
        return list(await self.session.scalars(query.order_by(col(ArtifactRow.name))))

    async def in_use(self) -> list[ArtifactRow]:
        """All that is not archived, by kind and name."""
        query = select(ArtifactRow).where(
            col(ArtifactRow.project_id) == self.project_id, col(ArtifactRow.archived_at).is_(None)
        )
        return list(await self.session.scalars(query.order_by(col(ArtifactRow.kind), col(ArtifactRow.name))))

    async def every_name(self, kind: str) -> list[str]:
        """Names in use and archived ones."""
        query = select(col(ArtifactRow.name)).where(*self._of(ArtifactRow, kind))
        return list(await self.session.scalars(query.order_by(col(ArtifactRow.name))))

    async def any_erased(self) -> bool:
        """Whether any item of the project's datasets is gone."""
        query = select(col(ErasureRow.manifest)).where(col(ErasureRow.project_id) == self.project_id)
        return await self.session.scalar(query.limit(1)) is not None

    async def count_erased(self, counts: Mapping[str, int]) -> None:
        """Adds to how many items of each manifest are gone; what is counted down to none is forgotten."""
        table = core(ErasureRow)
        for manifest, count in counts.items():
            own = {"project_id": self.project_id, "manifest": manifest}
            await insert_rows(self.session, ErasureRow, [{**own, "erased": 0}], ignore_existing=True)
            more = update(table).where(table.c.project_id == self.project_id, table.c.manifest == manifest)
            await self.session.execute(more.values(erased=table.c.erased + count))
        await self.session.execute(delete(table).where(table.c.project_id == self.project_id, table.c.erased <= 0))

    async def version(
        self, kind: str, name: str, *, number: int | None = None, label: str | None = None
    ) -> tuple[VersionRow, ContentRow] | None:
        """A version by number or label, else the latest."""
        query = self._versions(kind, name)
        if number is not None:
            query = query.where(col(VersionRow.number) == number)
        elif label is not None:
            query = query.join(
                LabelRow,
                (col(LabelRow.project_id) == VersionRow.project_id)
                & (col(LabelRow.kind) == VersionRow.kind)
                & (col(LabelRow.name) == VersionRow.name)
                & (col(LabelRow.number) == VersionRow.number),
            ).where(col(LabelRow.label) == label)
        else:
            query = query.join(
                ArtifactRow,
                (col(ArtifactRow.project_id) == VersionRow.project_id)
                & (col(ArtifactRow.kind) == VersionRow.kind)
                & (col(ArtifactRow.name) == VersionRow.name)
                & (col(ArtifactRow.latest) == VersionRow.number),
            )
        found = (await self.session.execute(query)).first()
        return None if found is None else (found[0], found[1])

    async def hold_version(self, kind: str, name: str, number: int) -> bool:
        """Whether a version is there; if so, nobody deletes it before this transaction ends."""
        query = select(col(VersionRow.number)).where(*self._named(VersionRow, kind, name))
        query = query.where(col(VersionRow.number) == number).with_for_update(read=True, key_share=True)
        return await self.session.scalar(query) is not None

    async def versions_by_digest(self, kind: str, name: str, prefix: str) -> list[tuple[VersionRow, ContentRow]]:
        """Versions of a name whose digest starts so, newest first."""
        query = self._versions(kind, name).where(*_starts(VersionRow, prefix)).order_by(col(VersionRow.number).desc())
        return [(version, content) for version, content in (await self.session.execute(query)).all()]

    async def contents(self, kind: str, prefix: str, limit: int = 2) -> list[ContentRow]:
        query = select(ContentRow).where(*self._of(ContentRow, kind), *_starts(ContentRow, prefix)).limit(limit)
        return list(await self.session.scalars(query))

    async def labels(self, kind: str, name: str) -> dict[str, int]:
        """Where each label of a name points."""
        query = select(col(LabelRow.label), col(LabelRow.number)).where(*self._named(LabelRow, kind, name))
        return {row[0]: row[1] for row in (await self.session.execute(query.order_by(col(LabelRow.label)))).all()}

    async def labels_of(self, kind: str, names: Sequence[str]) -> dict[str, dict[str, int]]:
        """The same for many names."""
        found: dict[str, dict[str, int]] = {name: {} for name in names}
        for some in batched_by_variables(names):
            query = select(col(LabelRow.name), col(LabelRow.label), col(LabelRow.number)).where(
                *self._of(LabelRow, kind), col(LabelRow.name).in_(some)
            )
            # sorted here: by an ORDER BY on labels SQLite is led to read all of the project's
            rows = (await self.session.execute(query)).all()
            for name, label, number in sorted((str(row[0]), str(row[1]), int(row[2])) for row in rows):
                found[name][label] = number
        return found

    async def store(self, prepared: Prepared, now: Any) -> None:
        """Keeps a content, unless it is there, and what it refers to."""
        await insert_rows(
            self.session,
            ContentRow,
            [
                {
                    "project_id": self.project_id,
                    "kind": prepared.kind.name,
                    "digest": prepared.digest,
                    "body": prepared.body,
                    "pins": prepared.pins,
                    "deciding_pins": prepared.deciding_pins,
                    "created_at": now,
                }
            ],
            ignore_existing=True,
        )
        references = [
            {
                "project_id": self.project_id,
                "kind": prepared.kind.name,
                "digest": prepared.digest,
                "pointer": reference.pointer,
                "to_kind": reference.kind,
                "to_digest": prepared.pins[reference.pointer],
            }
            for reference in prepared.kind.references(prepared.content)
        ]
        await insert_rows(self.session, ReferenceRow, references, ignore_existing=True)

    async def replace_tags(self, kind: str, name: str, tags: Iterable[str]) -> None:
        wanted = set(tags)
        rows = list(await self.session.scalars(select(ArtifactTagRow).where(*self._named(ArtifactTagRow, kind, name))))
        for row in rows:
            if row.tag not in wanted:
                await self.session.delete(row)
        known = {row.tag for row in rows}
        for tag in sorted(wanted - known):
            self.session.add(ArtifactTagRow(project_id=self.project_id, kind=kind, name=name, tag=tag))

    async def aliased(self, kind: str, alias: str) -> str | None:
        """The name of the artifact that has this alias."""
        if "\x00" in alias:  # which PostgreSQL does not even compare
            return None
        query = select(col(AliasRow.name)).where(*self._of(AliasRow, kind), col(AliasRow.alias) == alias)
        return await self.session.scalar(query)

    async def replace_aliases(self, kind: str, name: str, aliases: Iterable[str]) -> None:
        await self.session.execute(delete(AliasRow).where(*self._named(AliasRow, kind, name)))
        rows = [{"project_id": self.project_id, "kind": kind, "alias": alias, "name": name} for alias in set(aliases)]
        await insert_rows(self.session, AliasRow, rows)

    async def version_rows(self, kind: str, name: str, below: int | None, limit: int) -> list[VersionRow]:
        query = select(VersionRow).where(*self._named(VersionRow, kind, name))
        if below is not None:
            query = query.where(col(VersionRow.number) < below)
        return list(await self.session.scalars(query.order_by(col(VersionRow.number).desc()).limit(limit)))

    async def was_made_via(self, kind: str, name: str, via: str) -> bool:
        """Whether any version of a name has this source."""
        query = select(col(VersionRow.number)).where(*self._named(VersionRow, kind, name), _via(via)).limit(1)
        return await self.session.scalar(query) is not None

    async def last_path(self, kind: str, name: str, via: str) -> str | None:
        """The file that the newest version with this source came from."""
        query = select(VersionRow).where(*self._named(VersionRow, kind, name), _via(via))
        row = await self.session.scalar(query.order_by(col(VersionRow.number).desc()).limit(1))
        path = None if row is None else row.source.get("path")
        return path if isinstance(path, str) else None

    async def keep(self, names: Mapping[tuple[str, str], str], via: str) -> None:
        """Notes on the latest versions of names that the files at these paths hold them too, whoever made them."""
        join = (
            (col(ArtifactRow.project_id) == VersionRow.project_id)
            & (col(ArtifactRow.kind) == VersionRow.kind)
            & (col(ArtifactRow.name) == VersionRow.name)
            & (col(ArtifactRow.latest) == VersionRow.number)
        )
        query = select(VersionRow).join(ArtifactRow, join).where(col(VersionRow.project_id) == self.project_id)
        for row in await self.session.scalars(query.where(not_(func.coalesce(_via(via), false())))):
            if (path := names.get((row.kind, row.name))) is not None:
                row.source = {**row.source, "kept_by": via, "path": path}
        await self.session.flush()

    async def made_via(self, via: str) -> list[ArtifactRow]:
        """The names in use whose latest version has this source."""
        query = (
            select(ArtifactRow)
            .join(
                VersionRow,
                (col(VersionRow.project_id) == ArtifactRow.project_id)
                & (col(VersionRow.kind) == ArtifactRow.kind)
                & (col(VersionRow.name) == ArtifactRow.name)
                & (col(VersionRow.number) == ArtifactRow.latest),
            )
            .where(col(ArtifactRow.project_id) == self.project_id, col(ArtifactRow.archived_at).is_(None), _via(via))
            .order_by(col(ArtifactRow.kind), col(ArtifactRow.name))
        )
        return list(await self.session.scalars(query))

    async def erased(self, contents: Sequence[ContentRow]) -> dict[str, int]:
        """By digest, of how many items of a dataset nothing but the digest is left."""
        manifests = {
            row.digest: msgspec.json.decode(row.body)["items"]["digest"] for row in contents if row.kind == "dataset"
        }
        if not manifests:
            return {}
        query = select(col(ErasureRow.manifest), col(ErasureRow.erased)).where(
            col(ErasureRow.project_id) == self.project_id, col(ErasureRow.manifest).in_(set(manifests.values()))
        )
        counts = {row[0]: row[1] for row in (await self.session.execute(query)).all()}
        return {digest: counts.get(manifest, 0) for digest, manifest in manifests.items()}

    def _versions(self, kind: str, name: str) -> Select[VersionRow, ContentRow]:
        return (
            select(VersionRow, ContentRow)
            .join(
                ContentRow,
                (col(ContentRow.project_id) == VersionRow.project_id)
                & (col(ContentRow.kind) == VersionRow.kind)
                & (col(ContentRow.digest) == VersionRow.digest),
            )
            .where(*self._named(VersionRow, kind, name))
        )

    def _of(self, table: Any, kind: str) -> tuple[Any, Any]:
        return col(table.project_id) == self.project_id, col(table.kind) == kind

    def _named(self, table: Any, kind: str, name: str) -> tuple[Any, Any, Any]:
        return (*self._of(table, kind), col(table.name) == name)


async def projects_with(session: AsyncSession, kind: str) -> list[str]:
    """The projects that have artifacts of a kind."""
    query = select(col(ArtifactRow.project_id)).where(col(ArtifactRow.kind) == kind).distinct()
    return list(await session.scalars(query))


def artifact_of(content: ContentRow, name: str | None = None, number: int | None = None) -> Artifact:
    """A stored content with its Struct decoded."""
    return Artifact(
        kind=content.kind,
        name=name,
        number=number,
        digest=content.digest,
        content=msgspec.json.decode(content.body, type=kinds()[content.kind].content),
        pins=content.pins,
        deciding_pins=content.deciding_pins,
    )


def _via(via: str) -> Any:
    source = col(VersionRow.source)
    return or_(source["via"].as_string() == via, source["kept_by"].as_string() == via)


def _starts(table: Any, prefix: str) -> tuple[Any, Any]:
    # "g" follows every hex digit, so this is a range that an index serves.
    return col(table.digest) >= prefix, col(table.digest) < prefix + "g"
