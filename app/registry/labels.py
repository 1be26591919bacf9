"""Labels: movable names for versions, every move with who, when and why; an environment's moves by a release alone."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlmodel import col

from app.kit.changes import Change, record
from app.kit.clock import Clock
from app.kit.errors import FieldError, LabelProtectedError, NotFoundError, PreconditionFailedError
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.registry.names import checked_label, label_problem
from app.registry.repository import Repository
from app.registry.schemas import LabelMove, LabelRead
from app.registry.tables import EnvironmentRow, LabelMoveRow, LabelRow, ProtectedLabelRow, VersionRow

ALWAYS_PROTECTED = frozenset({("prompt", "production")})
"""The environment `production` exists from the start."""


class Expected(NamedTuple):
    """Where a caller thinks that a label stands: on a content of one of these digests; nowhere; or wherever it may be."""

    digests: frozenset[str] = frozenset()
    nowhere: bool = False
    anywhere: bool = True


ANYTHING = Expected()


class Labels:
    """The labels of one project. Every change happens under the registry's lock."""

    def __init__(self, repository: Repository, actor: str, clock: Clock) -> None:
        self._repository, self._actor, self._clock = repository, actor, clock
        self._session = repository.session

    async def protected(self, kind: str) -> frozenset[str]:
        """The labels that are environments' on this kind."""
        query = select(col(ProtectedLabelRow.label)).where(*self._of(ProtectedLabelRow, kind))
        always = {label for protected_kind, label in ALWAYS_PROTECTED if protected_kind == kind}
        return frozenset(await self._session.scalars(query)) | always

    async def protect(self, kind: str, label: str) -> None:
        """For the room that owns environments: from now on nothing but `move_protected` moves this label."""
        checked_label(label)
        await self._repository.lock()
        if label not in await self.protected(kind):
            self._session.add(
                ProtectedLabelRow(
                    project_id=self._repository.project_id, kind=kind, label=label, created_at=self._clock()
                )
            )
            await self._session.flush()

    async def require_free(
        self,
        kind: str,
        name: str,
        labels: Iterable[str],
        pointer: str = "/labels",
        declared: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Raises unless all are well-formed labels that may be moved by hand; `LabelProtectedError` says what moves them.

        `declared` holds the rules of environments that come to be with this very change: their labels are not free either.
        """
        declared = declared or {}
        labels = list(labels)
        for index, label in enumerate(labels):
            checked_label(label, f"{pointer}/{index}")
        for label in labels:
            if label in await self.protected(kind) or (kind == "prompt" and label in declared):
                detail = await self._missing_evidence(name, label, declared.get(label))
                raise LabelProtectedError(detail, [FieldError(pointer, detail)])

    async def _missing_evidence(self, name: str, environment: str, rules: Mapping[str, Any] | None) -> str:
        """Why a label is refused: which evidence is missing, and how to get it. `rules`: those that are about to hold."""
        if rules is None:
            row = await self._session.get(EnvironmentRow, (self._repository.project_id, environment))
            rules = {} if row is None else row.rules
        needs = rules.get("prompts", {}).get(name, {})
        suites = ", ".join(repr(suite) for suite in needs.get("suites", []))
        if suites:
            policy = f"policy {needs['policy']!r}" if needs.get("policy") else "the suite's own policy"
            missing = f"a release of exactly that content in {environment}, whose gate passes: {policy} on {suites}"
            ask = f'{{"environment": "{environment}", "prompt": "{name}@<version>", "endpoint": "<name>"}}'
            way = f"`promptward ship`, or POST /api/v1/releases {ask}"
        else:
            missing = f"a release whose gate passes; {environment} names no suites for {name!r} yet, so that none can"
            way = f"declare environments.{environment}.prompts.{name}.suites in promptward.yaml, then `promptward ship`"
        return (
            f"{environment!r} is an environment: its label moves by a release alone. Missing evidence: {missing}. "
            f"How to get it: {way}. Any other label is free"
        )

    async def put(self, kind: str, name: str, label: str, number: int, reason: str = "") -> bool:
        """Points a free label at a version; returns whether it moved."""
        await self.require_free(kind, name, [label])
        return await self._move(kind, name, label, number, reason)

    async def move_protected(self, kind: str, name: str, label: str, number: int | None, reason: str) -> bool:
        """For releases alone: moves an environment's label, or takes it off with `number` None."""
        await self._repository.lock()
        return await self._move(kind, name, label, number, reason)

    async def remove(self, kind: str, name: str, label: str, reason: str = "") -> None:
        await self.require_free(kind, name, [label])
        await self._repository.lock()
        if await self._row(kind, name, label) is None:
            raise await self._missing(kind, name, label)
        await self._move(kind, name, label, None, reason)

    async def require(self, kind: str, name: str, label: str, expected: Expected) -> None:
        """Compare-and-set: raises `PreconditionFailedError` unless the label stands where the caller last saw it."""
        if expected == ANYTHING:
            return
        row = await self._row(kind, name, label)
        digest = None if row is None else await self._digest(kind, name, row.number)
        if expected.nowhere and row is not None:
            raise PreconditionFailedError(f"{name!r} has the label {label!r} already, on version {row.number}")
        if not expected.nowhere and (digest is None or (expected.digests and digest not in expected.digests)):
            where = "is not there" if row is None else f"stands on version {row.number} ({digest})"
            raise PreconditionFailedError(f"the label {label!r} of {name!r} {where}; read it again, then decide")

    async def listed(self, kind: str, name: str) -> list[LabelRead]:
        query = (
            select(LabelRow, col(VersionRow.digest))
            .join(
                VersionRow,
                (col(VersionRow.project_id) == LabelRow.project_id)
                & (col(VersionRow.kind) == LabelRow.kind)
                & (col(VersionRow.name) == LabelRow.name)
                & (col(VersionRow.number) == LabelRow.number),
            )
            .where(*self._of(LabelRow, kind), col(LabelRow.name) == name)
            .order_by(col(LabelRow.label))
        )
        protected = await self.protected(kind)
        return [
            LabelRead(row.label, row.number, digest, row.label in protected, row.moved_at, row.moved_by)
            for row, digest in (await self._session.execute(query)).all()
        ]

    async def one(self, kind: str, name: str, label: str) -> LabelRead:
        for found in await self.listed(kind, name):
            if found.label == label:
                return found
        raise await self._missing(kind, name, label)

    async def history(self, kind: str, name: str, label: str, limit: int, cursor: str | None) -> Page[LabelMove]:
        """Every move, newest first."""
        if label_problem(label):
            raise await self._missing(kind, name, label)
        query = select(LabelMoveRow).where(
            *self._of(LabelMoveRow, kind), col(LabelMoveRow.name) == name, col(LabelMoveRow.label) == label
        )
        if cursor is not None:
            query = query.where(col(LabelMoveRow.id) < decode_cursor(cursor, (int,))[0])
        rows = list(await self._session.scalars(query.order_by(col(LabelMoveRow.id).desc()).limit(limit + 1)))
        if not rows and cursor is None:
            raise await self._missing(kind, name, label)
        moves = [LabelMove(r.label, r.from_number, r.to_number, r.moved_by, r.moved_at, r.reason) for r in rows[:limit]]
        return Page(moves, encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)

    async def _move(self, kind: str, name: str, label: str, number: int | None, reason: str) -> bool:
        row = await self._row(kind, name, label)
        before = None if row is None else row.number
        if before == number:
            return False
        now, project_id = self._clock(), self._repository.project_id
        if number is None:
            await self._session.delete(row)
        elif row is None:
            self._session.add(
                LabelRow(
                    project_id=project_id,
                    kind=kind,
                    name=name,
                    label=label,
                    number=number,
                    moved_at=now,
                    moved_by=self._actor,
                )
            )
        else:
            row.number, row.moved_at, row.moved_by = number, now, self._actor
        self._session.add(
            LabelMoveRow(
                project_id=project_id,
                kind=kind,
                name=name,
                label=label,
                from_number=before,
                to_number=number,
                moved_at=now,
                moved_by=self._actor,
                reason=reason,
            )
        )
        await self._session.flush()
        record(
            self._session,
            Change(
                project_id=project_id,
                actor=self._actor,
                action="label.moved" if number is not None else "label.removed",
                subject=f"{kind} {name}@{label}",
                before=None if before is None else await self._digest(kind, name, before),
                after=None if number is None else await self._digest(kind, name, number),
                reason=reason,
                details={"from": before, "to": number},
            ),
        )
        return True

    async def _digest(self, kind: str, name: str, number: int) -> str | None:
        query = select(col(VersionRow.digest)).where(
            *self._of(VersionRow, kind), col(VersionRow.name) == name, col(VersionRow.number) == number
        )
        digest: str | None = await self._session.scalar(query)
        return digest

    async def _row(self, kind: str, name: str, label: str) -> LabelRow | None:
        identity = (self._repository.project_id, kind, name, label)
        return await self._session.get(LabelRow, identity, populate_existing=True)

    async def _missing(self, kind: str, name: str, label: str) -> NotFoundError:
        labels = ", ".join(await self._repository.labels(kind, name)) or "none"
        return NotFoundError(f"{name!r} has no label {label!r}; its labels: {labels}")

    def _of(self, table: Any, kind: str) -> tuple[Any, Any]:
        return col(table.project_id) == self._repository.project_id, col(table.kind) == kind
