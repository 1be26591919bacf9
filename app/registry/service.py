"""The one mechanism of all kinds: immutable contents, numbered versions, references pinned when a version is made."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.changes import Change, record
from app.kit.clock import Clock, utc_now
from app.kit.digests import DIGEST_PREFIX
from app.kit.errors import ConflictError, FieldError, InvalidContentError, NotFoundError
from app.kit.texts import require_text
from app.registry import contents, scanning
from app.registry.composition import ByDigest, expanded
from app.registry.contents import Prepared, deciding
from app.registry.kinds import kinds
from app.registry.labels import ANYTHING, Expected, Labels
from app.registry.names import LATEST, Ref, checked_name, name_problem, parse_ref, parse_version
from app.registry.repository import Repository, artifact_of
from app.registry.schemas import Artifact, LabelRead, Version
from app.registry.tables import ArtifactRow, ContentRow, VersionRow

__all__ = ["Artifact", "Prepared", "Registry", "Version", "deciding"]

Lookup = Callable[[str, str], Awaitable[Artifact]]
"""`(kind, reference) -> what it stands for`; raises `NotFoundError`."""

FROM_API = {"via": "api"}


class Registry:
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

    # Reading

    async def resolve(self, kind: str, ref: str) -> Artifact:
        """What `name`, `name@7`, `name@label` or `name@sha256:…` stands for; a digest also finds a draft.

        Raises `NotFoundError` that names the reference and what exists instead.
        """
        try:
            parsed = parse_ref(ref)
        except ValueError as error:
            raise NotFoundError(f"{ref!r} is no reference to a {_words(kind)}: {error}") from error
        version, content = await self._find(kind, parsed)
        name = parsed.name if version is None else version.name
        return artifact_of(content, name, None if version is None else version.number)

    async def by_digest(self, kind: str, digest: str) -> Artifact:
        """A content, versioned or draft, by its whole digest."""
        found = await self.repository.contents(kind, digest, 1) if len(digest) == len(DIGEST_PREFIX) + 64 else []
        if not found:
            raise NotFoundError(f"no {_words(kind)} has the digest {digest!r}")
        return artifact_of(found[0])

    async def version(self, kind: str, name: str, ref: str) -> Version:
        """One version by what stands behind the `@`: a number, a label, a digest, or `latest`."""
        if name_problem(name):
            raise NotFoundError(await self._no_such_name(kind, name))
        try:
            parsed = Ref(name, *parse_version(ref))
        except ValueError as error:
            raise NotFoundError(str(error)) from error
        version, content = await self._find(kind, parsed)
        if version is None:
            raise NotFoundError(f"{content.digest} is a draft, not a version of {name!r}")
        return await self._read(version, content)

    async def known(self, kind: str, name: str) -> ArtifactRow:
        """The artifact of that name, or a `NotFoundError` that names what exists."""
        row = None if name_problem(name) else await self.repository.artifact(kind, name)
        if row is None and (named := await self.repository.aliased(kind, name)) is not None:
            row = await self.repository.artifact(kind, named)
        if row is None:
            raise NotFoundError(await self._no_such_name(kind, name))
        return row

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

    async def _find(self, kind: str, ref: Ref) -> tuple[VersionRow | None, ContentRow]:
        if ref.digest is None:
            found = await self.repository.version(kind, ref.name, number=ref.number, label=ref.label)
            if found is not None:
                return found
            named = await self.repository.aliased(kind, ref.name)
            if named is not None and await self.repository.artifact(kind, ref.name) is None:
                return await self._find(kind, ref._replace(name=named))
            raise NotFoundError(await self._no_such(kind, ref))
        versions = await self.repository.versions_by_digest(kind, ref.name, ref.digest)
        drafts = [] if versions else await self.repository.contents(kind, ref.digest)
        digests = sorted({version.digest for version, _ in versions} | {draft.digest for draft in drafts})
        if not digests:
            raise NotFoundError(await self._no_such(kind, ref))
        if len(digests) > 1:
            raise NotFoundError(f"{ref.digest} is the start of several digests ({', '.join(digests)}); give more of it")
        return versions[0] if versions else (None, drafts[0])

    async def _read(self, version: VersionRow, content: ContentRow) -> Version:
        labels = await self.repository.labels(version.kind, version.name)
        return Version(
            kind=kinds()[version.kind].plural,
            name=version.name,
            version=version.number,
            digest=version.digest,
            labels=[label for label, number in labels.items() if number == version.number],
            content=msgspec.Raw(content.body),
            pins=content.pins,
            message=version.message,
            author=version.author,
            created_at=version.created_at,
            source=version.source,
            erased=(await self.repository.erased([content])).get(version.digest, UNSET),
        )

    async def _no_such(self, kind: str, ref: Ref) -> str:
        row = await self.repository.artifact(kind, ref.name)
        if row is None:
            return await self._no_such_name(kind, ref.name)
        wanted = (
            f"version {ref.number}" if ref.number else f"label {ref.label!r}" if ref.label else f"digest {ref.digest}"
        )
        if ref.number is not None and ref.number < row.latest:
            return f"version {ref.number} of {_words(kind)} {ref.name!r} was deleted"
        labels = ", ".join(await self.repository.labels(kind, ref.name)) or "none"
        numbers = "version 1" if row.latest == 1 else f"versions 1 to {row.latest}"
        return f"{_words(kind)} {ref.name!r} has no {wanted}; it has {numbers}, labels: {labels}"

    async def _no_such_name(self, kind: str, name: str) -> str:
        from rapidfuzz import process

        names = await self.repository.names(kind)
        near = [found for found, _, _ in process.extract(name, names, processor=str.lower, limit=3, score_cutoff=70)]
        if near:
            hint = f"did you mean {' or '.join(repr(n) for n in near)}?"
        elif names:
            hint = f"there are: {', '.join(names[:10])}" + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        else:
            hint = "there is none yet"
        return f"there is no {_words(kind)} {name!r}; {hint}"


def _words(kind: str) -> str:
    return kinds()[kind].words


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
