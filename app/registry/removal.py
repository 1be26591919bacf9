"""Taking out of use: names are archived and can come back; a version is deleted only when nothing ever depended on it."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from app.kit.errors import ConflictError, FieldError, LabelProtectedError
from app.registry.lineage import Lineage
from app.registry.schemas import Artifact
from app.registry.service import Registry
from app.registry.tables import ContentRow, ReferenceRow, VersionRow

SHOWN = 20


class InUseError(ConflictError):
    """Something refers to what should go; `errors` name each."""

    slug, title = "in-use", "Something refers to this"


class Removal:
    def __init__(self, registry: Registry) -> None:
        self._registry, self._repository = registry, registry.repository

    async def archive(self, kind: str, name: str, reason: str) -> None:
        """Takes a name out of lists; its versions stay, and references to them resolve.

        Raises `LabelProtectedError` while an environment serves it: a release takes it out of there.
        """
        await self._repository.lock()
        row = await self._registry.known(kind, name)
        labels = await self._repository.labels(kind, row.name)
        held = sorted(set(labels) & await self._registry.labels.protected(kind))
        if held:
            detail = f"{row.name!r} carries {', '.join(held)}, which a release alone moves: release something else there, or retire it"
            raise LabelProtectedError(detail, [FieldError("/name", detail)])
        if row.archived_at is None:
            await self._registry.archive(kind, row.name, reason)

    async def restore(self, kind: str, name: str, reason: str) -> None:
        """Brings an archived name back into use."""
        await self._repository.lock()
        row = await self._registry.known(kind, name)
        if row.archived_at is not None:
            row.archived_at = None
            await self._repository.session.flush()
            self._registry.note("unarchived", kind, row.name, None, row.digest, reason)

    async def delete_version(self, kind: str, name: str, ref: str, reason: str) -> None:
        """Deletes a version that was a mistake. Its number is never given again.

        Raises `InUseError` naming every label, version, run, release and environment that refers to it, and for the latest
        version.
        """
        await self._repository.lock()
        version = await self._registry.version(kind, name, ref)
        row = await self._registry.known(kind, name)
        if version.version == row.latest:
            raise InUseError(
                f"{name}@{version.version} is the latest version: make another one first, or archive the name "
                f"(DELETE /api/v1/{version.kind}/<name>)"
            )
        artifact = await self._registry.resolve(kind, f"{row.name}@{version.version}")
        await self._require_unused(artifact, version.labels)
        session, project_id = self._repository.session, self._repository.project_id
        await session.execute(
            delete(VersionRow).where(
                col(VersionRow.project_id) == project_id,
                col(VersionRow.kind) == kind,
                col(VersionRow.name) == row.name,
                col(VersionRow.number) == version.version,
            )
        )
        # Whoever held the version while it was to go has ended its transaction by now, and may have begun to use it.
        await self._require_unused(artifact, ())
        if not await self._still_held(kind, version.digest):
            try:
                for table in (ReferenceRow, ContentRow):
                    await session.execute(
                        delete(table).where(
                            col(table.project_id) == project_id,
                            col(table.kind) == kind,
                            col(table.digest) == version.digest,
                        )
                    )
            except IntegrityError as error:  # a run or release that began while this was looked at
                raise InUseError(f"{name}@{version.version} stays: something began to use it just now") from error
        self._registry.note("version_deleted", kind, row.name, version.digest, None, reason, number=version.version)

    async def _require_unused(self, artifact: Artifact, labels: Sequence[str]) -> None:
        if refers := await self._referring(artifact, labels):
            more = f" and {len(refers) - 3} more" if len(refers) > 3 else ""
            detail = f"{artifact.ref} stays: {', '.join(refers[:3])}{more} refer to it"
            raise InUseError(detail, [FieldError("", who) for who in refers[:SHOWN]])

    async def _referring(self, artifact: Artifact, labels: Sequence[str]) -> list[str]:
        lineage = Lineage(self._repository)
        users = await lineage.users(artifact, SHOWN)
        found = [f"label {label!r}" for label in labels]
        for words, use in (("release", users.releases), ("run", users.runs)):
            found += [f"{words} {identifier}" for identifier in use.newest]
        dependents = await lineage.dependents(artifact, SHOWN, None)
        found += [f"{d.kind} {d.name}@{d.version}" for d in dependents.items]
        return found + [f"environment {name}" for name in await lineage.asked_for(artifact)]

    async def _still_held(self, kind: str, digest: str) -> bool:
        """Whether another version, or a draft, is this content or refers to it."""
        project_id = self._repository.project_id
        versions = select(col(VersionRow.number)).where(
            col(VersionRow.project_id) == project_id, col(VersionRow.kind) == kind, col(VersionRow.digest) == digest
        )
        references = select(col(ReferenceRow.pointer)).where(
            col(ReferenceRow.project_id) == project_id,
            col(ReferenceRow.to_kind) == kind,
            col(ReferenceRow.to_digest) == digest,
        )
        session = self._repository.session
        return any([await session.scalar(query.limit(1)) is not None for query in (versions, references)])
