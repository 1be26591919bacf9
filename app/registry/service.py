"""The one mechanism of all kinds: immutable contents, numbered versions, references pinned when a version is made."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.changes import Change, record
from app.kit.clock import Clock, utc_now
from app.kit.errors import ConflictError, FieldError, InvalidContentError, NotFoundError
from app.kit.texts import require_text
from app.registry import contents, scanning
from app.registry.composition import ByDigest, expanded
from app.registry.contents import Prepared, deciding
from app.registry.finding import Finding
from app.registry.kinds import kinds
from app.registry.labels import ANYTHING, Expected, Labels
from app.registry.names import LATEST, checked_name
from app.registry.repository import Repository
from app.registry.schemas import Artifact, LabelRead, Version
from app.registry.tables import ArtifactRow, VersionRow

__all__ = ["Artifact", "Prepared", "Registry", "Version", "deciding"]

Lookup = Callable[[str, str], Awaitable[Artifact]]
"""`(kind, reference) -> what it stands for`; raises `NotFoundError`."""

FROM_API = {"via": "api"}


class Registry(Finding):
    """The artifacts of one project, within the caller's transaction."""

    def __init__(
        self,
        session: AsyncSession,
        project_id: str,
        *,
        actor: str = "",
        clock: Clock = utc_now,
        scan: scanning.Mode = "warn",
    ) -> None:
        """`scan` is what becomes of personal data and secrets in contents that are made versions."""
        self.repository = Repository(session, project_id)
        self.labels = Labels(self.repository, actor, clock)
        self.scan = scan
        self._session, self._actor, self._clock = session, actor, clock

    # Writing

    async def prepare(
        self,
        kind: str,
        content: dict[str, Any],
        *,
        pointer: str = "",
        lookup: Lookup | None = None,
        by_digest: ByDigest | None = None,
    ) -> Prepared:
        """Checks a content and pins its references; stores nothing.

        `pointer` stands before the pointers of errors; `lookup` and `by_digest` find what is referred to in place of the
        registry. Raises `InvalidContentError`.
        """
        declared = kinds()[kind]
        parsed = contents.parse(declared, content, pointer)
        pinned: dict[str, Artifact] = {}
        problems: list[FieldError] = []
        for reference in declared.references(parsed):
            try:
                pinned[reference.pointer] = await (lookup or self.resolve)(reference.kind, reference.ref)
            except NotFoundError as error:
                problems.append(FieldError(pointer + reference.pointer, error.detail))
        if not problems:
            try:
                referred = await self._referred(pinned, by_digest or self.by_digest)
            except InvalidContentError as error:
                raise contents.several([FieldError(pointer + p.pointer, p.detail) for p in error.errors]) from error
            problems = [FieldError(pointer + p.pointer, p.detail) for p in declared.disagreements(parsed, referred)]
        if problems:
            raise contents.several(problems)
        return contents.prepare(declared, parsed, pinned)

    async def _referred(self, pinned: dict[str, Artifact], by_digest: ByDigest) -> dict[str, Any]:
        """The contents that a content refers to, prompts with their own fragments in their places."""
        known: dict[tuple[str, int], Any] = {}
        return {
            where: await expanded(part, by_digest, 1, known) if part.kind == "prompt" else part.content
            for where, part in pinned.items()
        }

    async def draft(self, kind: str, content: dict[str, Any], *, pointer: str = "") -> Artifact:
        """Keeps a content by its digest, without a version; its references are pinned all the same."""
        await self.repository.lock()
        prepared = await self.prepare(kind, content, pointer=pointer)
        await self.store(prepared)
        return prepared.artifact()

    async def store(self, prepared: Prepared) -> None:
        await self.repository.store(prepared, self._clock())

    async def create_version(
        self,
        kind: str,
        name: str,
        content: dict[str, Any],
        message: str = "",
        labels: Iterable[str] = (),
        *,
        pointer: str = "",
        source: dict[str, Any] | None = None,
    ) -> tuple[Version, bool]:
        """A new version; or, with False, the latest one when that is what the content is."""
        checked_name(name)
        require_text(message, "/message")
        labels = list(labels)
        await self.repository.lock()
        await self.labels.require_free(kind, name, labels)
        prepared = await self.prepare(kind, content, pointer=pointer)
        return await self.add_version(name, prepared, message, labels, source=source)

    async def add_version(
        self,
        name: str,
        prepared: Prepared,
        message: str = "",
        labels: Iterable[str] = (),
        *,
        source: dict[str, Any] | None = None,
    ) -> tuple[Version, bool]:
        """The same for a prepared content. The caller holds the lock, and has checked name and labels."""
        kind, now = prepared.kind.name, self._clock()
        row = await self.repository.artifact(kind, name)
        if row is None and (taken := await self.repository.same_folded(kind, name)):
            raise ConflictError(
                f"the name {taken!r} exists; {name!r} differs from it only by upper and lower case, which files confuse"
            )
        if row is None and (other := await self.repository.aliased(kind, name)):
            raise ConflictError(f"{name!r} is an alias of {other!r}; use that name, or take the alias out of it first")
        created = row is None or row.digest != prepared.digest
        warnings = self._scanned(prepared) if created else []
        if row is None or row.digest != prepared.digest:
            await self.store(prepared)
            row = await self._next(name, row, prepared, message, source or FROM_API, now)
        if row.archived_at is not None:  # a name that gets content again is in use again
            row.archived_at = None
            self.note("unarchived", kind, name, None, row.digest, message)
        await self._session.flush()
        for label in labels:
            await self.labels.put(kind, name, label, row.latest, message)
        version = await self.version(kind, name, LATEST)
        return (msgspec.structs.replace(version, warnings=warnings) if warnings else version), created

    def _scanned(self, prepared: Prepared) -> list[FieldError]:
        """What looks personal or secret; raises `InvalidContentError` where that is refused. Items are looked at where they are
        stored."""
        if self.scan in ("off", "report") or prepared.kind.name == "dataset":
            return []
        problems = scanning.told(scanning.scan(prepared.plain, prepared.body, "/content"))
        if problems and self.scan == "refuse":
            raise contents.several(problems)
        return problems

    async def put_label(
        self,
        kind: str,
        name: str,
        label: str,
        version: int | str,
        reason: str = "",
        expected: Expected = ANYTHING,
    ) -> LabelRead:
        """Puts a free label on a version, given by its number, or as what stands behind an `@`.

        Raises `PreconditionFailedError` when the label does not stand where it is `expected`.
        """
        require_text(reason, "/reason")
        await self.repository.lock()
        await self.labels.require_free(kind, name, [label], "/label")
        name = (await self.known(kind, name)).name
        await self.labels.require(kind, name, label, expected)
        try:
            target = await self.version(kind, name, str(version))
        except NotFoundError as error:
            raise InvalidContentError.at("/version", error.detail) from error
        await self.labels.put(kind, name, label, target.version, reason)
        return await self.labels.one(kind, name, label)

    async def remove_label(
        self, kind: str, name: str, label: str, reason: str = "", expected: Expected = ANYTHING
    ) -> None:
        require_text(reason, "/reason")
        await self.repository.lock()
        await self.labels.require_free(kind, name, [label], "/label")
        name = (await self.known(kind, name)).name
        await self.labels.require(kind, name, label, expected)
        await self.labels.remove(kind, name, label, reason)

    async def archive(self, kind: str, name: str, reason: str = "") -> None:
        """Takes a name out of lists. Its versions stay, and references to them still resolve."""
        await self.repository.lock()
        row = await self.known(kind, name)
        row.archived_at = row.archived_at or self._clock()
        await self._session.flush()
        self.note("archived", kind, row.name, row.digest, None, reason)

    # Inside

    async def _next(
        self,
        name: str,
        row: ArtifactRow | None,
        prepared: Prepared,
        message: str,
        source: dict[str, Any],
        now: Any,
    ) -> ArtifactRow:
        kind, project_id = prepared.kind.name, self.repository.project_id
        description = str(prepared.plain.get("description", ""))
        tags = [str(tag) for tag in prepared.plain.get("tags", [])]
        if row is None:
            row = ArtifactRow(
                project_id=project_id,
                kind=kind,
                name=name,
                folded=name.lower(),
                latest=0,
                digest="",
                description="",
                tags=[],
                search="",
                created_at=now,
                updated_at=now,
            )
            self._session.add(row)
        self.note("versioned", kind, name, row.digest or None, prepared.digest, message, number=row.latest + 1)
        row.latest += 1
        row.digest, row.description, row.tags, row.updated_at = prepared.digest, description, tags, now
        row.owner = (prepared.plain.get("owner") or "")[:120] or None
        row.search = "\n".join([name, *_texts(prepared.plain)]).casefold()
        await self._session.flush()
        await self.repository.replace_tags(kind, name, tags)
        await self._set_aliases(kind, name, prepared.plain.get("aliases", []))
        self._session.add(
            VersionRow(
                project_id=project_id,
                kind=kind,
                name=name,
                number=row.latest,
                digest=prepared.digest,
                message=message,
                author=self._actor,
                created_at=now,
                source=source,
            )
        )
        await self._session.flush()
        return row

    async def _set_aliases(self, kind: str, name: str, aliases: list[str]) -> None:
        """The latest version's aliases. One that is a name, or another artifact's alias, would be ambiguous."""
        for index, alias in enumerate(aliases):
            other = await self.repository.aliased(kind, alias)
            taken = f"{other!r} has it" if other not in (None, name) else None
            if await self.repository.artifact(kind, alias) is not None:
                taken = "it is the name of another one"
            if taken:
                detail = f"the alias {alias!r} is taken: {taken}"
                raise ConflictError(detail, [FieldError(f"/content/aliases/{index}", detail)])
        await self.repository.replace_aliases(kind, name, aliases)

    def note(
        self, action: str, kind: str, name: str, before: str | None, after: str | None, why: str, **details: Any
    ) -> None:
        """For the audit: what this transaction did to an artifact."""
        record(
            self._session,
            Change(
                project_id=self.repository.project_id,
                actor=self._actor,
                action=f"{kind}.{action}",
                subject=f"{kind} {name}",
                before=before,
                after=after,
                reason=why,
                details=details,
            ),
        )


def _texts(value: Any) -> Iterable[str]:
    """Every string in plain data, for search."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
