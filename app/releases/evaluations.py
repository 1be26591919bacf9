"""Evaluations in the background, and what follows from their outcome."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access.schemas import Caller
from app.gates.outcome import HELD, PASS, UNFINISHED
from app.kit.clock import Clock
from app.kit.db import Sessions, writing
from app.kit.errors import DomainError, InvalidContentError
from app.registry.environments import Environments, Rules
from app.registry.lineage import Lineage
from app.registry.repository import Repository as Contents
from app.registry.service import Registry
from app.releases import evidence
from app.releases.deployments import Deployments
from app.releases.evaluation import Evaluation, Outcome, runner
from app.releases.evidence import Demand
from app.releases.repository import Repository
from app.releases.tables import ApprovalRow, DeploymentRow, ReleaseRow
from app.releases.transitions import Transitions
from app.runs.service import Runs

GATE = "gate"
"""Who acts when a verdict moves a release."""

_log = logging.getLogger(__name__)


class Evaluations:
    """One task per release that is being evaluated."""

    def __init__(self, sessions: Sessions, runs: Runs, clock: Clock, deployments: Deployments) -> None:
        self._sessions, self._runs, self._clock = sessions, runs, clock
        self._deployments = deployments
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Takes up what a stopped process left. What it had been told by models is known and is not asked again."""
        query = select(col(ReleaseRow.project_id), col(ReleaseRow.id)).where(col(ReleaseRow.state) == "evaluating")
        async with self._sessions() as session:
            left = (await session.execute(query)).all()
        for project_id, release_id in left:
            self.launch(project_id, release_id)

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def launch(self, project_id: str, release_id: str) -> None:
        key = (project_id, release_id)
        task = self._tasks[key] = asyncio.create_task(
            self._evaluate(project_id, release_id), name=f"evaluate {release_id}"
        )
        task.add_done_callback(lambda done: self._tasks.pop(key, None) if self._tasks.get(key) is done else None)

    async def stop(self, caller: Caller, row: ReleaseRow, reason: str) -> None:
        """Ends an evaluation that nobody waits for any more, and its runs; what they have been told by now is kept."""
        if task := self._tasks.get((row.project_id, row.id)):
            task.cancel()
            await asyncio.wait([task])
        await self._runs.cancel_all(caller, runner(row).actor, reason)

    async def wait(self, project_id: str, release_id: str, seconds: float) -> None:
        task = self._tasks.get((project_id, release_id))
        if task is not None and seconds > 0:
            await asyncio.wait([task], timeout=seconds)

    async def obstacle(self, session: AsyncSession, row: ReleaseRow, place: DeploymentRow) -> str | None:
        """Why a release that passed may not begin now: other evidence is asked for, something else is live, or a freeze."""
        if why := await self.stale(session, row, place):
            return why
        rules, _ = await self.asked(session, row)
        if rules.after is not None and not await Repository(session, row.project_id).was_live(rules.after, row.bundle):
            return f"{row.environment} comes after {rules.after}, where this content was never live: release it there first"
        if why := evidence.frozen(rules, self._clock()):
            return f"{row.environment} is {why}; promote the release after that"
        return None

    async def stale(self, session: AsyncSession, row: ReleaseRow, place: DeploymentRow) -> str | None:
        """Why the evidence is not about what is asked for and live now; None when it is exactly that."""
        try:
            _, asked = await self.asked(session, row)
        except InvalidContentError as error:
            return f"its evidence is stale: {error.detail}"
        if why := evidence.stale(row.evidence, evidence.pins_of(asked)):
            return f"its evidence is stale: {why}; evaluate it again"
        if place.live != row.baseline:
            return "its evidence is stale: what is live has changed since the evaluation; evaluate it again"
        return None

    async def begin(self, transitions: Transitions, row: ReleaseRow, place: DeploymentRow, reason: str) -> None:
        """Begins the rollout of a release that passed, or blocks it and says why not."""
        why = await self.obstacle(transitions.repository.session, row, place)
        if why is None:
            await transitions.begin(row, place, reason)
        else:
            await self.block(transitions, row, place, why)

    async def block(self, transitions: Transitions, row: ReleaseRow, place: DeploymentRow, why: str) -> None:
        transitions.leave(row, place)
        await transitions.move(row, "blocked", "blocked", why)

    async def conclude(self, project_id: str, release_id: str, by: str) -> None:
        """Enough people have approved: the gate has the last word, and then the release begins."""
        async with self._sessions() as session:
            row = await Repository(session, project_id).release(release_id)
            given = await Repository(session, project_id).approvals(release_id, row.evaluation)
            _, asked = await self.asked(session, row)
            live = await self._live(session, row)
        outcome = None
        if any(verdict["only_approvals"] for verdict in row.verdicts):
            evaluation = Evaluation(self._sessions, self._runs, self._clock, row, live)
            outcome = await evaluation.judge_again(asked, _by_role(given))
        async with self._sessions.begin() as session:
            transitions = Transitions(session, project_id, by, self._clock)
            current, place = await transitions.repository.locked(release_id)
            if current.state != "awaiting_approval" or current.evaluation != row.evaluation:
                return
            accepted = any(approval.accepted_risk for approval in given)
            if outcome is not None and outcome.exit_code != PASS and not (accepted and outcome.exit_code == HELD):
                await self._keep(current, outcome)
                await self.block(transitions, current, place, outcome.reason)
            else:
                if outcome is not None:
                    await self._keep(current, outcome)
                await self.begin(transitions, current, place, "approved")
        self._deployments.forget(project_id, row.environment, row.name)

    # Inside

    async def _evaluate(self, project_id: str, release_id: str) -> None:
        async with self._sessions() as session:
            row = await Repository(session, project_id).release(release_id)
            place = await Repository(session, project_id).deployment(row.environment, row.name)
        if row.state != "evaluating":
            return
        baseline = None if place is None else place.live
        outcome, shown = await self._outcome(row, baseline)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(self._finish(project_id, row, outcome, shown, baseline))

    async def _outcome(self, row: ReleaseRow, baseline: str | None) -> tuple[Outcome, dict[str, str]]:
        """What the gate says, and the digests of what it judged by; whatever goes wrong is no pass."""
        try:
            async with self._sessions.begin() as session:
                await writing(session)
                _, asked = await self.asked(session, row)
                used = [(part.kind, part.digest) for demand in asked for part in (demand.suite, demand.policy)]
                lineage = Lineage(Contents(session, row.project_id))
                await lineage.note_use("release", row.id, used, self._clock())
                live = None if baseline is None else await Repository(session, row.project_id).release(baseline)
            evaluation = Evaluation(self._sessions, self._runs, self._clock, row, live)
            return await evaluation.run(asked, {}), evidence.pins_of(asked)
        except DomainError as error:
            detail = error.detail
        except Exception as error:  # noqa: BLE001 - a background task has nobody else to tell
            _log.exception("the evaluation of release %s broke off", row.id)
            detail = f"our own fault: {type(error).__name__}"
        return Outcome([], None, UNFINISHED, False, f"the evaluation did not finish: {detail}"), {}

    async def _finish(
        self, project_id: str, before: ReleaseRow, outcome: Outcome, shown: dict[str, str], baseline: str | None
    ) -> None:
        async with self._sessions.begin() as session:
            transitions = Transitions(session, project_id, GATE, self._clock)
            row, place = await transitions.repository.locked(before.id)
            if row.state != "evaluating" or row.evaluation != before.evaluation:
                return  # rejected, or evaluated again, in the meantime
            await self._keep(row, outcome)
            row.evidence, row.baseline = shown, baseline
            if shown:
                rules, asked = await self.asked(session, row)
                row.approvals_needed = evidence.approvals_asked(rules, asked)
            await session.flush()
            if outcome.exit_code != PASS and not outcome.only_approvals:
                await self.block(transitions, row, place, outcome.reason)
            elif row.approvals_needed > 0:
                why = f"needs {row.approvals_needed} approval{'' if row.approvals_needed == 1 else 's'}"
                await transitions.move(row, "awaiting_approval", "evaluated", why)
            else:
                await self.begin(transitions, row, place, "the gate passed" if outcome.verdict == "pass" else "allowed")
        self._deployments.forget(project_id, before.environment, before.name)

    async def _keep(self, row: ReleaseRow, outcome: Outcome) -> None:
        row.verdicts = [msgspec.to_builtins(verdict) for verdict in outcome.verdicts]
        row.verdict, row.exit_code = outcome.verdict, outcome.exit_code

    async def asked(self, session: AsyncSession, row: ReleaseRow) -> tuple[Rules, list[Demand]]:
        rules = await Environments(session, row.project_id, GATE, self._clock).rules(row.environment)
        registry = Registry(session, row.project_id)
        return rules, await evidence.demands(registry, rules, row.environment, row.name)

    async def _live(self, session: AsyncSession, row: ReleaseRow) -> ReleaseRow | None:
        return None if row.baseline is None else await Repository(session, row.project_id).release(row.baseline)


def _by_role(given: Sequence[ApprovalRow]) -> Mapping[str, int]:
    """Approvals by role; an administrator's counts as any."""
    counts = Counter(approval.role for approval in given)
    admins = counts["admin"]
    return {role: counts[role] + (admins if role != "admin" else 0) for role in {*counts, "approver"}}
