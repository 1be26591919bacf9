"""Lineage both ways: what a version is made of, and what was made of it, ran with it, or was released with it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import exists, func, select, tuple_
from sqlmodel import col

from app.kit.db import batched_by_variables, insert_rows
from app.kit.errors import ConflictError
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.registry.kinds import kinds
from app.registry.names import parse_ref
from app.registry.repository import Repository
from app.registry.schemas import Artifact, Dependency, Dependent, Use, Users
from app.registry.tables import ContentRow, ContentUseRow, EnvironmentRow, ReferenceRow, VersionRow

User = Literal["run", "release"]
Node = tuple[str, str]
"""A content: kind and digest."""


class Lineage:
    """What hangs together with one content of one project."""

    def __init__(self, repository: Repository) -> None:
        self._repository, self._session = repository, repository.session
        self._project_id = repository.project_id

    async def note_use(self, by: User, by_id: str, roots: Iterable[tuple[str, str | None]], at: datetime) -> None:
        """Writes down that a run or a release used these contents, and all that they refer to. For the rooms above.

        From here to the end of the transaction none of them is deleted. Raises `ConflictError` when one was, since it was read.
        """
        asked = {(kind, digest) for kind, digest in roots if digest is not None}
        nodes, waiting = set(asked), set(asked)
        while waiting:
            rows = [row for some in _by_kind(waiting) for row in await self._references(*some)]
            waiting = {(row.to_kind, row.to_digest) for row in rows} - nodes
            nodes |= waiting
        held = {(kind, digest) for kind, some in _by_kind(nodes) for digest in await self._held(kind, some)}
        if gone := sorted(asked - held):
            words = kinds()[gone[0][0]].words
            raise ConflictError(f"the {words} {gone[0][1]} was deleted just now; name a version that is there")
        rows_of_use = [
            {"project_id": self._project_id, "kind": kind, "digest": digest, "by": by, "by_id": by_id, "at": at}
            for kind, digest in sorted(held)
        ]
        await insert_rows(self._session, ContentUseRow, rows_of_use, ignore_existing=True)

    async def dependencies(self, artifact: Artifact, *, transitive: bool) -> list[Dependency]:
        """What a content refers to, as it was pinned; with `transitive` also what that refers to, each content once."""
        found: list[Dependency] = []
        seen: set[Node] = set()
        waiting = [(artifact.kind, artifact.digest, 1)]
        while waiting:
            kind, digest, depth = waiting.pop(0)
            rows = sorted(await self._references(kind, [digest]), key=lambda row: row.pointer)
            versions = await self._versions({(row.to_kind, row.to_digest) for row in rows})
            for row in rows:
                node = (row.to_kind, row.to_digest)
                if node in seen:
                    continue
                seen.add(node)
                named = versions.get(node, [])
                plural = kinds()[row.to_kind].plural
                found.append(
                    Dependency(plural, row.pointer, row.to_digest, [f"{v.name}@{v.number}" for v in named], depth)
                )
                if transitive:
                    waiting.append((*node, depth + 1))
        return found

    async def dependents(self, artifact: Artifact, limit: int, cursor: str | None) -> Page[Dependent]:
        """The versions that refer to a content, by kind, name and number. Drafts have no name and are left out."""
        query = (
            select(VersionRow, col(ReferenceRow.pointer))
            .join(
                ReferenceRow,
                (col(ReferenceRow.project_id) == VersionRow.project_id)
                & (col(ReferenceRow.kind) == VersionRow.kind)
                & (col(ReferenceRow.digest) == VersionRow.digest),
            )
            .where(
                col(ReferenceRow.project_id) == self._project_id,
                col(ReferenceRow.to_kind) == artifact.kind,
                col(ReferenceRow.to_digest) == artifact.digest,
            )
        )
        key = (col(VersionRow.kind), col(VersionRow.name), col(VersionRow.number), col(ReferenceRow.pointer))
        if cursor is not None:
            query = query.where(_after(key, decode_cursor(cursor, (str, str, int, str))))
        rows = (await self._session.execute(query.order_by(*key).limit(limit + 1))).all()
        items = [
            Dependent(kinds()[v.kind].plural, v.name, v.number, v.digest, pointer, v.created_at)
            for v, pointer in rows[:limit]
        ]
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(items, encode_cursor(last[0].kind, last[0].name, last[0].number, last[1]) if last else None)

    async def users(self, artifact: Artifact, newest: int) -> Users:
        """Who used a content: labels on its versions, environments that ask for its name, runs and releases."""
        versions = await self._versions({(artifact.kind, artifact.digest)})
        named = versions.get((artifact.kind, artifact.digest), [])
        labels = await self._labels(named)
        return Users(
            labels=labels,
            environments=await self._environments(artifact.kind, sorted({v.name for v in named})),
            runs=await self._uses(artifact, "run", newest),
            releases=await self._uses(artifact, "release", newest),
        )

    async def runs_of(self, kind: str, names: Sequence[str]) -> dict[tuple[str, str], str]:
        """The newest run that used a content, by the name and digest of the versions that are it."""
        versions = (
            select(col(VersionRow.name), col(VersionRow.digest))
            .where(col(VersionRow.project_id) == self._project_id, col(VersionRow.kind) == kind)
            .where(col(VersionRow.name).in_(names))
            .distinct()
            .subquery()
        )
        query = (
            select(versions.c.name, versions.c.digest, func.max(col(ContentUseRow.by_id)))
            .join(ContentUseRow, col(ContentUseRow.digest) == versions.c.digest)
            .where(
                col(ContentUseRow.project_id) == self._project_id,
                col(ContentUseRow.kind) == kind,
                col(ContentUseRow.by) == "run",
            )
            .group_by(versions.c.name, versions.c.digest)
        )
        return {(row[0], row[1]): row[2] for row in (await self._session.execute(query)).all()}

    async def _uses(self, artifact: Artifact, by: User, newest: int) -> Use:
        where = (
            col(ContentUseRow.project_id) == self._project_id,
            col(ContentUseRow.kind) == artifact.kind,
            col(ContentUseRow.digest) == artifact.digest,
            col(ContentUseRow.by) == by,
        )
        count = await self._session.scalar(select(func.count()).select_from(ContentUseRow).where(*where))
        query = select(col(ContentUseRow.by_id)).where(*where).order_by(col(ContentUseRow.by_id).desc()).limit(newest)
        return Use(int(count or 0), list(await self._session.scalars(query)))

    async def _labels(self, versions: list[VersionRow]) -> list[str]:
        found = []
        for version in versions:
            labels = await self._repository.labels(version.kind, version.name)
            found += [f"{version.name}@{label}" for label, number in labels.items() if number == version.number]
        return found

    async def _environments(self, kind: str, names: list[str]) -> list[str]:
        """The environments whose rules name one of these prompts, suites or policies."""
        query = select(EnvironmentRow).where(col(EnvironmentRow.project_id) == self._project_id)
        found = []
        for row in await self._session.scalars(query):
            asked: set[str] = set()
            for prompt, needs in row.rules.get("prompts", {}).items():
                if kind == "prompt":
                    asked.add(prompt)
                elif kind == "suite":
                    asked |= {ref.partition("@")[0] for ref in needs.get("suites", [])}
                elif kind == "gate_policy":
                    asked.add((needs.get("policy") or "").partition("@")[0])
            if asked & set(names):
                found.append(row.name)
        return sorted(found)

    async def asked_for(self, artifact: Artifact) -> list[str]:
        """The environments whose rules ask for exactly this version of a suite or policy, by its number or digest."""
        found: list[str] = []
        if artifact.kind not in ("suite", "gate_policy"):
            return found
        query = select(EnvironmentRow).where(col(EnvironmentRow.project_id) == self._project_id)
        for row in await self._session.scalars(query):
            for needs in row.rules.get("prompts", {}).values():
                refs = needs.get("suites", []) if artifact.kind == "suite" else [needs.get("policy") or ""]
                if any(_is_exactly(ref, artifact) for ref in refs) and row.name not in found:
                    found.append(row.name)
        return sorted(found)

    async def _references(self, kind: str, digests: list[str]) -> list[ReferenceRow]:
        query = select(ReferenceRow).where(
            col(ReferenceRow.project_id) == self._project_id,
            col(ReferenceRow.kind) == kind,
            col(ReferenceRow.digest).in_(digests),
        )
        return list(await self._session.scalars(query))

    async def _held(self, kind: str, digests: list[str]) -> list[str]:
        """Those that are there, and now stay until this transaction ends: on PostgreSQL who deletes one waits for that."""
        query = select(col(ContentRow.digest)).where(
            col(ContentRow.project_id) == self._project_id,
            col(ContentRow.kind) == kind,
            col(ContentRow.digest).in_(digests),
        )
        query = query.order_by(col(ContentRow.digest)).with_for_update(read=True, key_share=True)
        return list(await self._session.scalars(query))

    async def _versions(self, nodes: set[Node]) -> dict[Node, list[VersionRow]]:
        """The versions of contents, newest first."""
        found: dict[Node, list[VersionRow]] = {}
        for kind, digests in _by_kind(nodes):
            query = select(VersionRow).where(
                col(VersionRow.project_id) == self._project_id,
                col(VersionRow.kind) == kind,
                col(VersionRow.digest).in_(digests),
            )
            for row in await self._session.scalars(query.order_by(col(VersionRow.name), col(VersionRow.number).desc())):
                found.setdefault((kind, row.digest), []).append(row)
        return found


def was_run(kind: str, project: Any, digest: Any) -> Any:
    """A condition for queries of rooms above: some run used the content of these columns."""
    return exists().where(
        col(ContentUseRow.project_id) == project,
        col(ContentUseRow.kind) == kind,
        col(ContentUseRow.digest) == digest,
        col(ContentUseRow.by) == "run",
    )


def _is_exactly(ref: str, artifact: Artifact) -> bool:
    try:
        parsed = parse_ref(ref)
    except ValueError:
        return False
    if parsed.name != artifact.name:
        return False
    return parsed.number == artifact.number or (parsed.digest is not None and artifact.digest.startswith(parsed.digest))


def _by_kind(nodes: Iterable[Node]) -> list[tuple[str, list[str]]]:
    grouped: dict[str, list[str]] = {}
    for kind, digest in sorted(nodes):
        grouped.setdefault(kind, []).append(digest)
    return [(kind, some) for kind, digests in grouped.items() for some in batched_by_variables(digests)]


def _after(columns: tuple[Any, ...], key: list[Any]) -> Any:
    """The rows behind a key in the order of `columns`."""
    return tuple_(*columns) > tuple_(*key)
