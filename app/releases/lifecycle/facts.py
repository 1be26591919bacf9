"""What the tables know of prompts: where each is live, what was evaluated, who calls it; and lists by state."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access.tables import APIKey
from app.feedback.tables import InferenceRow
from app.kit.clock import Clock
from app.registry.tables import ArtifactRow, ContentUseRow, LifeCycleRow, VersionRow
from app.releases.lifecycle.schemas import Consumer, Evaluation, Live, State
from app.releases.tables import DeploymentRow, ReleaseRow
from app.runs.tables import RunRow

KIND = "prompt"
SEEN_DAYS = 30
"""How long ago a call still makes somebody a consumer."""


class Facts:
    """Queries over one project; each answers for many names at once."""

    def __init__(self, session: AsyncSession, project_id: str, clock: Clock) -> None:
        self._session, self._project_id, self._clock = session, project_id, clock

    async def live(self, names: Sequence[str]) -> dict[str, list[Live]]:
        query = (
            select(DeploymentRow, ReleaseRow)
            .join(
                ReleaseRow,
                (col(ReleaseRow.project_id) == DeploymentRow.project_id) & (col(ReleaseRow.id) == DeploymentRow.live),
            )
            .where(col(DeploymentRow.project_id) == self._project_id, col(DeploymentRow.name).in_(names))
            .order_by(col(DeploymentRow.environment))
        )
        found: dict[str, list[Live]] = {}
        for place, release in (await self._session.execute(query)).all():
            live = Live(place.environment, release.version, release.pins["prompt"], release.id, release.started_at)
            found.setdefault(place.name, []).append(live)
        return found

    async def released(self, names: Sequence[str]) -> set[str]:
        query = select(col(ReleaseRow.name)).where(
            col(ReleaseRow.project_id) == self._project_id,
            col(ReleaseRow.name).in_(names),
            col(ReleaseRow.started_at).is_not(None),
        )
        return {*await self._session.scalars(query.distinct())}

    async def evaluated(self, names: Sequence[str]) -> tuple[set[tuple[str, str]], dict[str, Evaluation]]:
        """Which contents of which names were run, and the newest run of each name."""
        versions = (
            select(col(VersionRow.name), col(VersionRow.digest))
            .where(col(VersionRow.project_id) == self._project_id, col(VersionRow.kind) == KIND)
            .where(col(VersionRow.name).in_(names))
            .distinct()
            .subquery()
        )
        query = (
            select(versions.c.name, versions.c.digest, func.max(col(ContentUseRow.by_id)))
            .join(ContentUseRow, col(ContentUseRow.digest) == versions.c.digest)
            .where(
                col(ContentUseRow.project_id) == self._project_id,
                col(ContentUseRow.kind) == KIND,
                col(ContentUseRow.by) == "run",
            )
            .group_by(versions.c.name, versions.c.digest)
        )
        evaluated: set[tuple[str, str]] = set()
        newest: dict[str, str] = {}
        for name, content, run in (await self._session.execute(query)).all():
            evaluated.add((name, content))
            newest[name] = max(newest.get(name, ""), run)
        runs = select(RunRow).where(col(RunRow.project_id) == self._project_id, col(RunRow.id).in_(newest.values()))
        by_id = {row.id: row for row in await self._session.scalars(runs)}
        return evaluated, {
            name: Evaluation(run, by_id[run].suite, by_id[run].status, by_id[run].created_at)
            for name, run in newest.items()
            if run in by_id
        }

    async def consumers(self, names: Sequence[str]) -> dict[str, list[Consumer]]:
        since = self._clock() - timedelta(days=SEEN_DAYS)
        calls = func.count()
        query = (
            select(col(InferenceRow.prompt), col(InferenceRow.key_id), calls, func.max(col(InferenceRow.at)))
            .where(col(InferenceRow.project_id) == self._project_id, col(InferenceRow.prompt).in_(names))
            .where(col(InferenceRow.at) >= since)
            .group_by(col(InferenceRow.prompt), col(InferenceRow.key_id))
            .order_by(calls.desc())
        )
        rows = (await self._session.execute(query)).all()
        keys = select(col(APIKey.id), col(APIKey.name)).where(
            col(APIKey.project_id) == self._project_id, col(APIKey.id).in_({row[1] for row in rows})
        )
        named = {row[0]: row[1] for row in (await self._session.execute(keys)).all()}
        found: dict[str, list[Consumer]] = {}
        for prompt, key, count, last in rows:
            found.setdefault(prompt, []).append(Consumer(key, named.get(key, ""), count, last))
        return found

    def in_state(self, state: State) -> Any:
        live = select(DeploymentRow).where(*same(DeploymentRow), col(DeploymentRow.live).is_not(None))
        if state == "live":
            return live.exists()
        if state == "never_released":
            released = select(ReleaseRow).where(*same(ReleaseRow), col(ReleaseRow.started_at).is_not(None))
            return ~released.exists() & ~live.exists()
        if state == "live_unevaluated":
            return _live_unevaluated()
        said = select(LifeCycleRow).where(*same(LifeCycleRow))
        if state == "retired":
            return said.where(col(LifeCycleRow.retired_at).is_not(None)).exists()
        return said.where(col(LifeCycleRow.sunset_on) <= self._clock().date()).exists()


def _live_unevaluated() -> Any:
    """Live somewhere with a content that no run used."""
    used = exists().where(
        col(ContentUseRow.project_id) == VersionRow.project_id,
        col(ContentUseRow.kind) == KIND,
        col(ContentUseRow.digest) == VersionRow.digest,
        col(ContentUseRow.by) == "run",
    )
    return (
        select(DeploymentRow)
        .join(
            ReleaseRow,
            (col(ReleaseRow.project_id) == DeploymentRow.project_id) & (col(ReleaseRow.id) == DeploymentRow.live),
        )
        .join(
            VersionRow,
            (col(VersionRow.project_id) == ReleaseRow.project_id)
            & (col(VersionRow.kind) == KIND)
            & (col(VersionRow.name) == ReleaseRow.name)
            & (col(VersionRow.number) == ReleaseRow.version),
        )
        .where(*same(DeploymentRow), ~used)
        .exists()
    )


def same(table: Any) -> tuple[Any, ...]:
    """The rows of a table about the artifact that is looked at."""
    return col(table.project_id) == ArtifactRow.project_id, col(table.name) == ArtifactRow.name
