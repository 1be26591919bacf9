"""The state machine of a release. Every transition happens under the lock of its prompt's place in the environment."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.changes import Change, record
from app.kit.clock import Clock
from app.registry.service import Registry
from app.releases.errors import AlreadyLiveError, OnItsWayError, ReleaseStateError
from app.releases.repository import Repository
from app.releases.schemas import SERVING, State
from app.releases.tables import DeploymentRow, ReleaseEventRow, ReleaseRow

WHY = {
    "evaluating": "its gate has not passed yet: wait until it is evaluated",
    "blocked": "its gate did not pass: read its verdict, mend it, and make a new release (or evaluate this one again)",
    "awaiting_approval": "it still needs approvals",
    "rolling_out": "it is being rolled out",
    "live": "it is live",
    "paused": "it is paused: resume it first, or roll it back",
    "rolled_back": "it was rolled back: make a new release",
    "rejected": "it was rejected: make a new release",
    "superseded": "a later release has taken its place",
}


class Transitions:
    """Within the caller's transaction; `by` is who acts. `release` and `place` are locked rows."""

    def __init__(self, session: AsyncSession, project_id: str, by: str, clock: Clock) -> None:
        self._session, self._by, self._clock = session, by, clock
        self.repository = Repository(session, project_id)
        self._labels = Registry(session, project_id, actor=by, clock=clock).labels

    async def move(
        self,
        release: ReleaseRow,
        to: State,
        action: str,
        reason: str = "",
        details: dict[str, Any] | None = None,
        **values: Any,
    ) -> None:
        """One event: compare-and-set on the revision, the history and the audit in the same transaction."""
        now, revision = self._clock(), release.revision
        before = release.state if revision else None
        values = {"state": to, "revision": revision + 1, "updated_at": now, "reason": reason, **values}
        changed = await self._session.execute(
            update(ReleaseRow)
            .where(
                col(ReleaseRow.project_id) == release.project_id,
                col(ReleaseRow.id) == release.id,
                col(ReleaseRow.revision) == revision,
            )
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        if changed.rowcount != 1:  # type: ignore[attr-defined]
            raise ReleaseStateError(f"release {release.id} changed in the meantime; read it again")
        await self._session.refresh(release)
        self._session.add(
            ReleaseEventRow(
                project_id=release.project_id,
                release_id=release.id,
                no=revision + 1,
                at=now,
                by=self._by,
                action=action,
                from_state=before,
                to_state=to,
                share=release.share,
                reason=reason,
                details=details or {},
            )
        )
        await self._session.flush()
        self.note(release, action, before, reason)

    def note(self, release: ReleaseRow, action: str, before: str | None, reason: str) -> None:
        """One entry of the audit."""
        record(
            self._session,
            Change(
                project_id=release.project_id,
                actor=self._by,
                action=f"release.{action}",
                subject=f"release {release.id}",
                before=before,
                after=release.state,
                reason=reason,
                details={
                    "environment": release.environment,
                    "prompt": release.refs["prompt"],
                    "bundle": release.bundle,
                    "share": release.share,
                },
            ),
        )

    def require(self, release: ReleaseRow, *states: State, to: str) -> None:
        """Raises `ReleaseStateError` that says why this cannot be done now."""
        if release.state not in states:
            why = WHY[release.state]
            if release.state in ("blocked", "awaiting_approval") and release.reason:
                why = f"{why} ({release.reason})"
            raise ReleaseStateError(f"release {release.id} cannot be {to} while {release.state}: {why}")

    async def refuse_same(self, place: DeploymentRow, bundle: str) -> None:
        """Raises `AlreadyLiveError` when exactly this content is live, and `OnItsWayError` when it is on its way."""
        live, active = [
            None if release_id is None else await self.repository.release(release_id)
            for release_id in (place.live, place.active)
        ]
        if live is not None and live.bundle == bundle:
            raise AlreadyLiveError(f"exactly this content is live in {place.environment} already (release {live.id})")
        if active is not None and active.bundle == bundle:
            raise OnItsWayError(
                f"exactly this content is on its way to {place.environment} already: "
                f"release {active.id} is {active.state.replace('_', ' ')}"
            )

    def take(self, release: ReleaseRow, place: DeploymentRow) -> None:
        """Makes this the one release on its way; `ReleaseStateError` when another one is."""
        if place.active is not None and place.active != release.id:
            raise ReleaseStateError(
                f"release {place.active} of {place.name!r} is on its way to {place.environment}; only one is at a time: "
                "wait for it, reject it, or roll it back"
            )
        self._set(place, active=release.id)

    def leave(self, release: ReleaseRow, place: DeploymentRow) -> None:
        if place.active == release.id:
            self._set(place, active=None)

    async def begin(self, release: ReleaseRow, place: DeploymentRow, reason: str) -> None:
        """Opens the door: the first step of the rollout, or live at once when there is none or nothing to compare with."""
        self.take(release, place)
        if not release.steps or place.live is None:
            await self.live(release, place, reason, "started")
            return
        self._set(place)
        await self.move(
            release,
            "rolling_out",
            "started",
            reason,
            step=0,
            share=release.steps[0],
            overruled=[],
            started_at=self._clock(),
        )

    async def advance(
        self, release: ReleaseRow, place: DeploymentRow, reason: str, details: dict[str, Any] | None = None
    ) -> None:
        """The next step, or live after the last one."""
        step = (release.step or 0) + 1
        if step >= len(release.steps):
            await self.live(release, place, reason, "promoted", details)
            return
        self._set(place)
        await self.move(release, "rolling_out", "promoted", reason, details, step=step, share=release.steps[step])

    async def live(
        self,
        release: ReleaseRow,
        place: DeploymentRow,
        reason: str,
        action: str,
        details: dict[str, Any] | None = None,
    ) -> None:
        previous = place.live
        started = {} if release.started_at is not None else {"started_at": self._clock()}
        await self.move(release, "live", action, reason, details, share=1.0, predecessor=previous, **started)
        if previous is not None:
            old = await self.repository.release(previous)
            await self.move(old, "superseded", "superseded", f"release {release.id} took its place", share=0.0)
        self._set(place, live=release.id, active=None)
        await self._label(release, f"release {release.id}: {reason}" if reason else f"release {release.id}")

    async def pause(self, release: ReleaseRow, reason: str, details: dict[str, Any] | None = None) -> None:
        await self.move(release, "paused", "paused", reason, details)

    async def roll_back(
        self, release: ReleaseRow, place: DeploymentRow, reason: str, details: dict[str, Any] | None = None
    ) -> None:
        """A rollout ends and everybody has what is live; what is live gives way to its predecessor."""
        if release.state in SERVING:
            self.leave(release, place)
            await self.move(release, "rolled_back", "rolled_back", reason, details, share=0.0)
            return
        self.require(release, "live", to="rolled back")
        if release.predecessor is None:
            raise ReleaseStateError(
                f"release {release.id} has no predecessor: nothing was live in {release.environment} before it; "
                "release something else in its place"
            )
        if place.active is not None:
            candidate = await self.repository.release(place.active)
            if candidate.state in SERVING:  # its ratings were compared with what is being taken away
                await self.roll_back(
                    candidate, place, f"release {release.id}, which it is compared with, is rolled back"
                )
        restored = await self.repository.release(release.predecessor)
        await self.move(release, "rolled_back", "rolled_back", reason, details, share=0.0)
        await self.move(restored, "live", "restored", f"release {release.id} was rolled back", share=1.0)
        self._set(place, live=restored.id)
        await self._label(restored, f"release {release.id} was rolled back: {reason}")

    async def _label(self, release: ReleaseRow, reason: str) -> None:
        await self._labels.move_protected("prompt", release.name, release.environment, release.version, reason)

    def _set(self, place: DeploymentRow, **values: Any) -> None:
        for name, value in values.items():
            setattr(place, name, value)
        place.revision += 1
        place.updated_at = self._clock()
