"""Releases: the only door to production."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.feedback.service import Feedback
from app.gates.outcome import HELD, PASS
from app.kit.clock import Clock
from app.kit.db import Sessions, writing
from app.kit.errors import ConflictError, ForbiddenError, InvalidContentError, NotFoundError
from app.kit.pages import Page, encode_cursor
from app.registry.environments import Environments, Rules
from app.registry.lineage import Lineage
from app.registry.service import Registry
from app.releases import evidence, proposal, reading
from app.releases.deployments import Deployments
from app.releases.errors import ReleaseStateError, SelfApprovalError
from app.releases.evaluations import Evaluations
from app.releases.lifecycle.service import require_in_use
from app.releases.repository import Repository
from app.releases.rollouts import Rollouts
from app.releases.schemas import (
    SERVING,
    Act,
    Approve,
    Deployment,
    EvaluateAgain,
    ReleaseCreate,
    ReleaseRead,
    ReleaseSummary,
)
from app.releases.tables import ApprovalRow, DeploymentRow, ReleaseRow
from app.releases.transitions import Transitions
from app.runs.service import Runs

__all__ = ["Deployment", "Releases"]


class Releases:
    """The releases of this process's database; what the application holds. Projects are kept apart by every call."""

    def __init__(self, sessions: Sessions, runs: Runs, feedback: Feedback, clock: Clock) -> None:
        self._sessions, self._runs, self._feedback, self._clock = sessions, runs, feedback, clock
        self._deployments = Deployments(sessions)
        self._evaluations = Evaluations(sessions, runs, clock, self._deployments)
        self._rollouts = Rollouts(sessions, feedback, clock, self._deployments)

    async def start(self) -> None:
        """Takes up what a stopped process left: unfinished evaluations, and ratings that nobody looked at."""
        self._feedback.listeners.append(self._rollouts.counted)
        await self._evaluations.start()
        await self._rollouts.start()

    async def close(self) -> None:
        await self._evaluations.close()
        await self._deployments.close()

    # Reading

    async def deployment(self, project_id: str, environment: str, prompt: str) -> Deployment | None:
        """What is live, from memory when it can be."""
        return await self._deployments.get(project_id, environment, prompt)

    async def deployments(self, project_id: str) -> list[Deployment]:
        return await self._deployments.every(project_id)

    def forget(self, project_id: str, places: list[tuple[str, str]]) -> None:
        """After something else than a release changed what is served at (environment, prompt)."""
        for environment, prompt in places:
            self._deployments.forget(project_id, environment, prompt)

    async def get(self, project_id: str, release_id: str) -> ReleaseRead:
        """Raises `NotFoundError`. During a rollout the word of the ratings is that of now."""
        async with self._sessions() as session:
            repository = Repository(session, project_id)
            row = await repository.release(release_id)
            read = await reading.whole(repository, row)
        if row.state in SERVING:
            verdict = await self._rollouts.verdict(row)
            return msgspec.structs.replace(read, rollout_verdict=verdict)
        return read

    async def page(
        self,
        session: AsyncSession,
        project_id: str,
        limit: int,
        cursor: str | None,
        environment: str | None,
        prompt: str | None,
        states: list[str],
    ) -> Page[ReleaseSummary]:
        """Newest first."""
        rows = await Repository(session, project_id).page(limit, cursor, environment, prompt, states)
        items = [reading.summary(row) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def wait(self, project_id: str, release_id: str, seconds: float) -> ReleaseRead:
        """The release once it is evaluated, or as it is when the time is up."""
        await self._evaluations.wait(project_id, release_id, seconds)
        return await self.get(project_id, release_id)

    # Acting

    async def create(self, caller: Caller, asked: ReleaseCreate) -> ReleaseRead:
        """Pins everything and begins to evaluate. Nothing is stored when anything is wrong."""
        async with self._sessions.begin() as session:
            await writing(session)
            registry = Registry(session, caller.project_id, actor=caller.actor, clock=self._clock)
            rules = await self._rules(session, caller, asked.environment)
            content = await proposal.resolved(registry, asked)
            await require_in_use(session, caller.project_id, content.name)
            demanded = await evidence.demands(registry, rules, asked.environment, content.name)
            if asked.run is not None:
                await self._check_run(session, caller.project_id, asked.run)
            shares = proposal.steps(rules, asked.rollout)
            transitions = Transitions(session, caller.project_id, caller.actor, self._clock)
            place = await transitions.repository.place(asked.environment, content.name)
            await transitions.refuse_same(place, content.bundle.digest)
            needed = evidence.approvals_asked(rules, demanded)
            row = proposal.new_row(caller, asked, content, shares, needed, self._clock())
            transitions.take(row, place)
            session.add(row)
            await session.flush()
            if not await registry.repository.hold_version("prompt", content.name, content.version):
                raise ConflictError(
                    f"{content.name}@{content.version} was deleted just now; name a version that is there"
                )
            lineage = Lineage(registry.repository)
            await lineage.note_use("release", row.id, row.pins.items(), self._clock())
            await session.flush()
            await transitions.move(row, "evaluating", "created", asked.notes)
        self._evaluations.launch(caller.project_id, row.id)
        return await self.get(caller.project_id, row.id)

    async def evaluate(self, caller: Caller, release_id: str, asked: EvaluateAgain, arrived: datetime) -> ReleaseRead:
        """Evaluates a release again, by what is asked for now; earlier approvals no longer count."""
        if asked.run is not None:
            async with self._sessions() as session:
                await self._check_run(session, caller.project_id, asked.run)
        async with self._acting(caller, release_id, asked, arrived) as (transitions, row, place):
            transitions.require(row, "blocked", "awaiting_approval", to="evaluated again")
            transitions.take(row, place)
            await transitions.move(
                row,
                "evaluating",
                "evaluated",
                asked.reason,
                evaluation=row.evaluation + 1,
                offered_run=asked.run,
                verdicts=[],
                verdict=None,
                exit_code=None,
            )
        self._evaluations.launch(caller.project_id, release_id)
        return await self.get(caller.project_id, release_id)

    async def approve(self, caller: Caller, release_id: str, asked: Approve, arrived: datetime) -> ReleaseRead:
        """One person's yes to exactly this content and this evidence. Nobody approves their own work."""
        await self._refuse_stale(caller, release_id, asked, arrived)
        async with self._acting(caller, release_id, asked, arrived) as (transitions, row, place):
            self._check_approver(caller, row)
            if asked.accept_risk:
                _check_risk(transitions, row, asked.reason)
            else:
                transitions.require(row, "awaiting_approval", to="approved")
            rules, demanded = await self._evaluations.asked(transitions.repository.session, row)
            if rules.approver_role not in (caller.role, "approver"):
                raise ForbiddenError(
                    f"{row.environment} asks for the approval of a key with the role {rules.approver_role!r}"
                )
            needed = evidence.approvals_asked(rules, demanded)
            given = await transitions.repository.approvals(row.id, row.evaluation)
            if any(approval.key_id == caller.key_id for approval in given):
                raise ReleaseStateError(f"{caller.actor} has approved this release already; somebody else must")
            now = self._clock()
            approval = ApprovalRow(
                project_id=caller.project_id,
                release_id=row.id,
                evaluation=row.evaluation,
                key_id=caller.key_id,
                by=caller.actor,
                role=caller.role,
                at=now,
                reason=asked.reason,
                accepted_risk=asked.accept_risk,
            )
            transitions.repository.session.add(approval)
            if row.state == "blocked":
                transitions.take(row, place)
            await transitions.move(
                row,
                "awaiting_approval",
                "approved",
                asked.reason,
                {"accept_risk": asked.accept_risk},
                approvals_needed=max(needed, 1),
            )
            enough = len(given) + 1 >= needed
        if enough:
            await self._evaluations.conclude(caller.project_id, release_id, caller.actor)
        return await self.get(caller.project_id, release_id)

    async def reject(self, caller: Caller, release_id: str, asked: Act, arrived: datetime) -> ReleaseRead:
        async with self._acting(caller, release_id, asked, arrived) as (transitions, row, place):
            transitions.require(row, "evaluating", "blocked", "awaiting_approval", to="rejected")
            transitions.leave(row, place)
            await transitions.move(row, "rejected", "rejected", asked.reason)
        await self._evaluations.stop(caller, row, f"release {release_id} was rejected")
        return await self.get(caller.project_id, release_id)

    async def promote(self, caller: Caller, release_id: str, asked: Act, arrived: datetime) -> ReleaseRead:
        """The next step of a rollout now; or the first one, for a release that passed and was held by something else."""
        async with self._acting(caller, release_id, asked, arrived) as (transitions, row, place):
            if row.state == "blocked" and row.exit_code == PASS:
                if why := await self._evaluations.obstacle(transitions.repository.session, row, place):
                    raise ReleaseStateError(why)
                await transitions.begin(row, place, asked.reason or "promoted by hand")
            else:
                transitions.require(row, "rolling_out", to="promoted")
                rules = await self._rules(transitions.repository.session, caller, row.environment)
                if why := evidence.frozen(rules, self._clock()):
                    raise ReleaseStateError(f"{row.environment} is {why}")
                await transitions.advance(row, place, asked.reason or "promoted by hand")
        return await self.get(caller.project_id, release_id)

    async def pause(self, caller: Caller, release_id: str, asked: Act, arrived: datetime) -> ReleaseRead:
        async with self._acting(caller, release_id, asked, arrived) as (transitions, row, _place):
            transitions.require(row, "rolling_out", to="paused")
            await transitions.pause(row, asked.reason or "paused by hand")
        return await self.get(caller.project_id, release_id)

    async def resume(self, caller: Caller, release_id: str, asked: Act, arrived: datetime) -> ReleaseRead:
        """Goes on. What the rollout rules hold against it now is overruled; another one that breaks pauses it again."""
        current = await self.get(caller.project_id, release_id)
        verdict = current.rollout_verdict
        broken = [rule.id for rule in verdict.rules if rule.verdict == "fail"] if verdict is not None else []
        async with self._acting(caller, release_id, asked, arrived) as (transitions, row, _place):
            transitions.require(row, "paused", to="resumed")
            await transitions.move(
                row,
                "rolling_out",
                "resumed",
                asked.reason or "resumed by hand",
                {"overruled": broken} if broken else None,
                overruled=broken,
            )
        return await self.get(caller.project_id, release_id)

    async def rollback(self, caller: Caller, release_id: str, asked: Act, arrived: datetime) -> ReleaseRead:
        """Ends a rollout, or puts the predecessor back where this release is live."""
        async with self._acting(caller, release_id, asked, arrived) as (transitions, row, place):
            transitions.require(row, "rolling_out", "paused", "live", to="rolled back")
            details = await self._rollouts.details(row) if row.state in SERVING else None
            await transitions.roll_back(row, place, asked.reason or "rolled back by hand", details)
        return await self.get(caller.project_id, release_id)

    # Inside

    @asynccontextmanager
    async def _acting(
        self, caller: Caller, release_id: str, asked: Any, arrived: datetime
    ) -> AsyncIterator[tuple[Transitions, ReleaseRow, DeploymentRow]]:
        """One act in one transaction, under the lock. Of acts that arrive together one wins: the others find that something
        happened after they came."""
        async with self._sessions.begin() as session:
            transitions = Transitions(session, caller.project_id, caller.actor, self._clock)
            row, place = await transitions.repository.locked(release_id)
            if asked.revision is not None and asked.revision != row.revision:
                raise ReleaseStateError(
                    f"release {row.id} is at revision {row.revision}, not {asked.revision}: something happened in the "
                    "meantime; read it again"
                )
            if row.updated_at > arrived:
                raise ReleaseStateError(f"release {row.id} changed while this request was on its way; read it again")
            if getattr(asked, "bundle", None) not in (None, row.bundle):
                raise ReleaseStateError(f"release {row.id} is about {row.bundle}, not about {asked.bundle}")
            yield transitions, row, place
        self._deployments.forget(caller.project_id, row.environment, row.name)

    async def _refuse_stale(self, caller: Caller, release_id: str, asked: Approve, arrived: datetime) -> None:
        """What waits for approval with evidence that is no longer what is asked for is blocked, and the approval refused."""
        why = None
        async with self._acting(caller, release_id, asked, arrived) as (transitions, row, place):
            if row.state == "awaiting_approval":
                why = await self._evaluations.stale(transitions.repository.session, row, place)
                if why is not None:
                    await self._evaluations.block(transitions, row, place, why)
        if why is not None:
            raise ReleaseStateError(f"release {release_id} is blocked: {why}")

    async def _rules(self, session: AsyncSession, caller: Caller, environment: str) -> Rules:
        environments = Environments(session, caller.project_id, caller.actor, self._clock)
        try:
            return await environments.rules(environment)
        except NotFoundError as error:
            raise InvalidContentError.at("/environment", error.detail) from error

    async def _check_run(self, session: AsyncSession, project_id: str, run_id: str) -> None:
        try:
            run = await self._runs.get(session, project_id, run_id)
        except NotFoundError as error:
            raise InvalidContentError.at("/run", error.detail) from error
        if run.status != "done":
            raise InvalidContentError.at("/run", f"run {run_id} is {run.status}; only a finished run is evidence")

    def _check_approver(self, caller: Caller, row: ReleaseRow) -> None:
        if caller.key_id == row.author_key or caller.actor == row.content_author:
            raise SelfApprovalError(
                f"{caller.actor} wrote or proposed what release {row.id} is about; somebody else must approve it"
            )


def _check_risk(transitions: Transitions, row: ReleaseRow, reason: str) -> None:
    """An inconclusive verdict may be accepted for a reason; a fail, lost cells or stale evidence may not."""
    if row.state == "blocked" and (row.verdict != "inconclusive" or row.exit_code != HELD):
        raise ReleaseStateError(
            f"release {row.id} is blocked, and not for want of evidence ({row.reason}): no approval mends that"
        )
    transitions.require(row, "blocked", "awaiting_approval", to="approved")
    if not reason.strip():
        raise InvalidContentError.at("/reason", "say why the risk is accepted; the reason is kept with the release")
