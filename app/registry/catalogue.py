"""Finding artifacts: lists, search, the versions of a name, and what differs between two of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import and_, or_, select
from sqlmodel import col

from app.kit.clock import rfc3339
from app.kit.errors import BadRequestError
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.registry import diff
from app.registry.contents import plain
from app.registry.kinds import kinds
from app.registry.repository import Repository
from app.registry.schemas import Artifact, ArtifactRead, Diff, VersionSummary
from app.registry.service import Registry
from app.registry.tables import ArtifactRow, ArtifactTagRow, ContentRow, LabelRow, VersionRow


class Search(msgspec.Struct, frozen=True):
    """Which artifacts: every word of `q` occurs in the name, description, tags or content of the latest version."""

    q: str | None = None
    tag: str | None = None
    label: str | None = None
    owner: str | None = None
    folder: str | None = None
    archived: bool = False


_SHOWN = [
    col(getattr(ArtifactRow, name))
    for name in (
        *("kind", "name", "latest", "digest", "description", "tags", "owner"),
        *("created_at", "updated_at", "archived_at"),
    )
]
"""What a list shows. The texts that are searched are most of a row, and stay where they are."""


PROJECT, NAME, OWNER = col(ArtifactRow.project_id), col(ArtifactRow.name), col(ArtifactRow.owner)
"""Of the artifact that a list looks at, for the conditions of rooms above."""


class Order(msgspec.Struct, frozen=True):
    """By which column a list is sorted, and whether downwards; the name decides between equals."""

    column: Literal["name", "created_at", "updated_at"] = "name"
    descending: bool = False


def parse_order(text: str) -> Order:
    """`name`, `created_at` or `updated_at`, with `-` in front for downwards."""
    order = Order(text.removeprefix("-"), text.startswith("-"))  # type: ignore[arg-type]
    if order.column not in ("name", "created_at", "updated_at"):
        raise BadRequestError.at(
            "/sort", f"{text!r} is no order: use name, created_at or updated_at, with - for downwards"
        )
    return order


class Catalogue:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._repository: Repository = registry.repository
        self._session = registry.repository.session

    async def page(
        self,
        kind: str,
        search: Search,
        limit: int,
        cursor: str | None,
        order: Order = Order(),  # noqa: B008 - frozen
        conditions: Sequence[Any] = (),
    ) -> Page[ArtifactRead]:
        """In a given order. A name that is made or changed meanwhile neither repeats nor hides another one, unless it is the
        changed one and the order is that of changes."""
        mine = (col(ArtifactRow.project_id) == self._repository.project_id, col(ArtifactRow.kind) == kind)
        query = select(*_SHOWN).where(*mine, *conditions)
        archived = col(ArtifactRow.archived_at)
        query = query.where(archived.is_not(None) if search.archived else archived.is_(None))
        for word in _searchable(search.q, "/q").casefold().split():
            query = query.where(col(ArtifactRow.search).contains(word, autoescape=True))
        if search.tag is not None:
            query = query.where(self._has(ArtifactTagRow, col(ArtifactTagRow.tag) == _searchable(search.tag, "/tag")))
        if search.label is not None:
            query = query.where(self._has(LabelRow, col(LabelRow.label) == _searchable(search.label, "/label")))
        if search.owner is not None:
            query = query.where(col(ArtifactRow.owner) == _searchable(search.owner, "/owner"))
        if search.folder is not None:
            folder = _searchable(search.folder, "/folder").strip("/")
            query = query.where(col(ArtifactRow.name) > f"{folder}/", col(ArtifactRow.name) < f"{folder}0")
        keys = _keys(order)
        if cursor is not None:
            query = query.where(_behind(keys, _position(cursor, order), descending=order.descending))
        sorting = [key.desc() if order.descending else key.asc() for key in keys]
        rows = (await self._session.execute(query.order_by(*sorting).limit(limit + 1))).all()
        labels = await self._repository.labels_of(kind, [row.name for row in rows[:limit]])
        items = [_read(row, labels[row.name]) for row in rows[:limit]]
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(items, None if last is None else encode_cursor(*_key_of(last, order)))

    async def artifact(self, kind: str, name: str) -> ArtifactRead:
        row = await self._registry.known(kind, name)
        return _read(row, await self._repository.labels(kind, name))

    async def versions(self, kind: str, name: str, limit: int, cursor: str | None) -> Page[VersionSummary]:
        """Newest first."""
        await self._registry.known(kind, name)
        below = None if cursor is None else decode_cursor(cursor, (int,))[0]
        rows = await self._repository.version_rows(kind, name, below, limit + 1)
        labels = await self._repository.labels(kind, name)
        erased = await self._erased(kind, rows[:limit])
        items = [_summary(row, labels, erased.get(row.digest, UNSET)) for row in rows[:limit]]
        return Page(items, encode_cursor(rows[limit - 1].number) if len(rows) > limit else None)

    async def _erased(self, kind: str, rows: list[VersionRow]) -> dict[str, int]:
        if kind != "dataset":
            return {}
        query = select(ContentRow).where(
            col(ContentRow.project_id) == self._repository.project_id,
            col(ContentRow.kind) == kind,
            col(ContentRow.digest).in_([row.digest for row in rows]),
        )
        return await self._repository.erased(list(await self._session.scalars(query)))

    async def every_version(self, kind: str, name: str) -> list[VersionRow]:
        """All versions of a name, newest first."""
        row = await self._registry.known(kind, name)
        return await self._repository.version_rows(kind, row.name, None, row.latest)

    async def pair(self, kind: str, name: str, from_: str | None, to: str | None) -> tuple[Artifact, Artifact]:
        """The two versions that a diff is about: by default the latest, and the one before."""
        await self._registry.known(kind, name)
        after = await self._registry.resolve(kind, f"{name}@{to or 'latest'}")
        earlier = from_ or str(max(1, (after.number or 1) - 1))
        return await self._registry.resolve(kind, f"{name}@{earlier}"), after

    async def diff(self, kind: str, name: str, from_: str | None, to: str | None) -> Diff:
        before, after = await self.pair(kind, name, from_, to)
        old, new = plain(before.content), plain(after.content)
        changes = diff.changes(old, new)
        return Diff(
            from_=before.number or before.digest,
            to=after.number or after.digest,
            changes=changes,
            texts=diff.texts(changes),
            pins=diff.pin_changes(before.pins, after.pins),
            unified=diff.unified(old, new, before.ref, after.ref),
        )

    def _has(self, table: Any, condition: Any) -> Any:
        return (
            select(table)
            .where(
                col(table.project_id) == ArtifactRow.project_id,
                col(table.kind) == ArtifactRow.kind,
                col(table.name) == ArtifactRow.name,
                condition,
            )
            .exists()
        )


def _keys(order: Order) -> list[Any]:
    own = [] if order.column == "name" else [col(getattr(ArtifactRow, order.column))]
    return [*own, col(ArtifactRow.name)]


def _key_of(row: Any, order: Order) -> list[str]:
    return [row.name] if order.column == "name" else [rfc3339(getattr(row, order.column)), row.name]


def _position(cursor: str, order: Order) -> list[Any]:
    if order.column == "name":
        return [_searchable(decode_cursor(cursor, (str,))[0], "/cursor")]
    at, name = decode_cursor(cursor, (datetime, str))
    return [at, _searchable(name, "/cursor")]


def _behind(keys: list[Any], position: list[Any], *, descending: bool) -> Any:
    """Written out, because a comparison of rows would bind times without their type."""
    *leading, name = [key < value if descending else key > value for key, value in zip(keys, position, strict=True)]
    return or_(*leading, and_(keys[0] == position[0], name)) if leading else name


def _searchable(text: str | None, pointer: str) -> str:
    if text is not None and "\x00" in text:
        raise BadRequestError.at(pointer, "a NUL character occurs nowhere")
    return text or ""


def _read(row: Any, labels: dict[str, int]) -> ArtifactRead:
    """`row` has the columns of `_SHOWN`."""
    return ArtifactRead(
        kind=kinds()[row.kind].plural,
        name=row.name,
        version=row.latest,
        digest=row.digest,
        description=row.description,
        tags=row.tags,
        owner=row.owner,
        labels=labels,
        created_at=row.created_at,
        updated_at=row.updated_at,
        archived_at=row.archived_at,
    )


def _summary(row: VersionRow, labels: dict[str, int], erased: int | UnsetType) -> VersionSummary:
    return VersionSummary(
        kind=kinds()[row.kind].plural,
        name=row.name,
        version=row.number,
        digest=row.digest,
        labels=[label for label, number in labels.items() if number == row.number],
        message=row.message,
        author=row.author,
        created_at=row.created_at,
        source=row.source,
        erased=erased,
    )
