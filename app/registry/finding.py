"""Finding contents by what people write for them; and saying what there is instead when there is none."""

import msgspec
from msgspec import UNSET

from app.kit.digests import DIGEST_PREFIX
from app.kit.errors import NotFoundError
from app.registry.kinds import kinds
from app.registry.names import Ref, name_problem, parse_ref, parse_version
from app.registry.repository import Repository, artifact_of
from app.registry.schemas import Artifact, Version
from app.registry.tables import ArtifactRow, ContentRow, VersionRow


class Finding:
    """Looks artifacts up in one project. What is archived is found all the same; an alias leads to its artifact."""

    repository: Repository

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

    # Inside

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
