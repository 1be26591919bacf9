"""What is known of prompts: where each is live, what was evaluated, who calls it; and the lists by state."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access.service import KeyService
from app.feedback.callers import callers
from app.kit.clock import Clock
from app.registry.catalogue import NAME, OWNER, PROJECT
from app.registry.lineage import Lineage, was_run
from app.registry.repository import Repository
from app.releases.lifecycle.schemas import Consumer, Evaluation, Live, State
from app.releases.tables import DeploymentRow, LifeCycleRow, ReleaseRow
from app.runs import store as runs

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
            .join(ReleaseRow, _live_release())
            .where(col(DeploymentRow.project_id) == self._project_id, col(DeploymentRow.name).in_(names))
            .order_by(col(DeploymentRow.environment))
        )
        found: dict[str, list[Live]] = {}
        for place, release in (await self._session.execute(query)).all():
            live = Live(place.environment, release.version, release.pins["prompt"], release.id, release.started_at)
            found.setdefault(place.name, []).append(live)
        return found

    async def released(self, names: Sequence[str]) -> set[str]:
        """Those that ever got traffic by a release."""
        query = select(col(ReleaseRow.name)).where(
            col(ReleaseRow.project_id) == self._project_id,
            col(ReleaseRow.name).in_(names),
            col(ReleaseRow.started_at).is_not(None),
        )
        return {*await self._session.scalars(query.distinct())}

    async def evaluated(self, names: Sequence[str]) -> tuple[set[tuple[str, str]], dict[str, Evaluation]]:
        """Which contents of which names were run, and the newest run of each name."""
        by_content = await Lineage(Repository(self._session, self._project_id)).runs_of(KIND, names)
        newest: dict[str, str] = {}
        for (name, _), run in by_content.items():
            newest[name] = max(newest.get(name, ""), run)
        known = await runs.briefly(self._session, self._project_id, newest.values())
        return set(by_content), {name: Evaluation(run, *known[run]) for name, run in newest.items() if run in known}

    async def consumers(self, names: Sequence[str]) -> dict[str, list[Consumer]]:
        since = self._clock() - timedelta(days=SEEN_DAYS)
        found = await callers(self._session, self._project_id, names, since)
        keys = {calls.key for several in found.values() for calls in several}
        called = await KeyService(self._session, self._project_id).names(keys)
        return {
            prompt: [Consumer(key, called.get(key, ""), count, last) for key, count, last in several]
            for prompt, several in found.items()
        }

    def in_state(self, state: State) -> Any:
        """The condition of a list of artifacts."""
        live = select(DeploymentRow).where(*_same(DeploymentRow), col(DeploymentRow.live).is_not(None))
        if state == "live":
            return live.exists()
        if state == "never_released":
            released = select(ReleaseRow).where(*_same(ReleaseRow), col(ReleaseRow.started_at).is_not(None))
            return ~released.exists() & ~live.exists()
        if state == "live_unevaluated":
            content = col(ReleaseRow.pins)["prompt"].as_string()
            unevaluated = select(DeploymentRow).join(ReleaseRow, _live_release()).where(*_same(DeploymentRow))
            return unevaluated.where(~was_run(KIND, col(ReleaseRow.project_id), content)).exists()
        said = select(LifeCycleRow).where(*_same(LifeCycleRow))
        if state == "retired":
            return said.where(col(LifeCycleRow.retired_at).is_not(None)).exists()
        return said.where(col(LifeCycleRow.sunset_on) <= self._clock().date()).exists()

    def owned_by(self, owner: str) -> Any:
        """The condition of a list: this is its owner, as said in the catalogue, else as the latest version declares."""
        said = select(LifeCycleRow).where(*_same(LifeCycleRow), col(LifeCycleRow.owner).is_not(None))
        declared = and_(OWNER.in_([owner]), ~said.exists())
        return or_(said.where(col(LifeCycleRow.owner) == owner).exists(), declared)


def _live_release() -> Any:
    return and_(
        col(ReleaseRow.project_id) == col(DeploymentRow.project_id), col(ReleaseRow.id) == col(DeploymentRow.live)
    )


def _same(table: Any) -> tuple[Any, ...]:
    """The rows of a table about the artifact that is looked at."""
    return col(table.project_id) == PROJECT, col(table.name) == NAME
