"""What ratings, errors and latencies do to a rollout: looked at after every one of them."""

import asyncio
import logging
import time
from collections.abc import Iterable, Set
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.feedback.schemas import Tally
from app.feedback.service import Feedback
from app.gates.rollout.schemas import RolloutVerdict, scales
from app.kit.clock import Clock
from app.kit.db import Sessions
from app.kit.errors import DomainError
from app.registry.environments import Environments
from app.registry.kinds.gate_policy import GatePolicy
from app.registry.service import Registry
from app.releases import evidence
from app.releases.deployments import Deployments
from app.releases.repository import Repository
from app.releases.schemas import SERVING
from app.releases.tables import ReleaseRow
from app.releases.transitions import Transitions

RATINGS = "ratings"
"""Who acts when the people whom a release is served to decide."""

UNHURRIED_S = 1.0

_log = logging.getLogger(__name__)


class Rollouts:
    """Looks at rollouts and moves them."""

    def __init__(self, sessions: Sessions, feedback: Feedback, clock: Clock, deployments: Deployments) -> None:
        self._sessions, self._feedback, self._clock = sessions, feedback, clock
        self._deployments = deployments
        self._looked: dict[str, float] = {}
        self._policies: dict[tuple[str, ...], GatePolicy] = {}

    async def start(self) -> None:
        """Ratings whose process died before it looked at them are looked at now."""
        query = select(col(ReleaseRow.project_id), col(ReleaseRow.id)).where(col(ReleaseRow.state).in_(SERVING))
        async with self._sessions() as session:
            going_on = (await session.execute(query)).all()
        for project_id, release_id in going_on:
            try:
                await self.look(project_id, [release_id])
            except Exception:  # noqa: BLE001 - one rollout that cannot be judged must not keep everything else from starting
                _log.exception("the rollout of release %s could not be looked at", release_id)

    async def counted(self, project_id: str, releases: Set[str], judged: Set[str]) -> None:
        """After a commit: votes and failures are looked at at once, answers alone at most once a second."""
        now = time.monotonic()
        self._looked = {release: at for release, at in self._looked.items() if now - at < UNHURRIED_S}
        due = {release for release in releases if release in judged or release not in self._looked}
        self._looked.update(dict.fromkeys(due, now))
        await self.look(project_id, sorted(due))

    async def look(self, project_id: str, releases: Iterable[str]) -> None:
        """Judges these rollouts on all that was counted so far, and does what follows."""
        for release_id in releases:
            try:
                await self._look(project_id, release_id)
            except DomainError as error:  # somebody else moved it first: what they did stands
                _log.info("rollout of release %s was not moved: %s", release_id, error.detail)

    async def verdict(self, row: ReleaseRow) -> RolloutVerdict:
        """What the rollout rules say now."""
        async with self._sessions() as session:
            policy, tallies = await self._evidence(session, row)
        return await asyncio.to_thread(_judged, policy, tallies, row, self._clock())

    async def _evidence(self, session: AsyncSession, row: ReleaseRow) -> tuple[GatePolicy, list[Tally]]:
        policy = await self._policy(Registry(session, row.project_id), row)
        return policy, await self._feedback.tallies(session, row.project_id, row.id, scales(policy))

    async def details(self, row: ReleaseRow) -> dict[str, Any]:
        """The verdict of now, for the history."""
        return {"verdict": msgspec.to_builtins(await self.verdict(row))}

    async def _look(self, project_id: str, release_id: str) -> None:
        async with self._sessions() as session:
            row = await Repository(session, project_id).release(release_id)
            if row.state not in SERVING:
                return
            policy, tallies = await self._evidence(session, row)
        quick = await asyncio.to_thread(_judged, policy, tallies, row, self._clock(), flips=False)
        if not _moves(row, overruled(quick, row.overruled)):
            return
        verdict = overruled(await asyncio.to_thread(_judged, policy, tallies, row, self._clock()), row.overruled)
        details = {"verdict": msgspec.to_builtins(verdict)}
        async with self._sessions.begin() as session:
            transitions = Transitions(session, project_id, RATINGS, self._clock)
            current, place = await transitions.repository.locked(release_id)
            if current.revision != row.revision:
                return  # it moved; the next rating is judged against where it is then
            if verdict.action == "advance" and await self._frozen(transitions, current):
                return
            current.rollout_verdict = details["verdict"]
            if verdict.action == "advance":
                await transitions.advance(current, place, verdict.reason, details)
            elif verdict.action == "pause":
                await transitions.pause(current, verdict.reason, details)
            else:
                await transitions.roll_back(current, place, verdict.reason, details)
        self._deployments.forget(project_id, row.environment, row.name)

    async def _frozen(self, transitions: Transitions, row: ReleaseRow) -> bool:
        environments = Environments(transitions.repository.session, row.project_id, RATINGS, self._clock)
        return evidence.frozen(await environments.rules(row.environment), self._clock()) is not None

    async def _policy(self, registry: Registry, row: ReleaseRow) -> GatePolicy:
        """The policies that the release was judged by, as one: the rollout rules of all of them."""
        digests = tuple(sorted({digest for key, digest in row.evidence.items() if key.startswith("policy/")}))
        if digests not in self._policies:
            policies: list[GatePolicy] = [
                (await registry.by_digest("gate_policy", digest)).content for digest in digests
            ]
            rules = tuple(dict.fromkeys(rule for policy in policies for rule in policy.rollout_rules))
            ruling = next((policy for policy in policies if policy.rollout_rules), policies[0])
            self._policies[digests] = msgspec.structs.replace(ruling, rollout_rules=rules)
        return self._policies[digests]


def _judged(policy: GatePolicy, tallies: Any, row: ReleaseRow, now: datetime, *, flips: bool = True) -> RolloutVerdict:
    from app.gates.rollout.judge import judge_rollout

    step = row.step or 0
    # Whoever goes live after this step is asked for proof, even where the last step lies below `decide_at`.
    share = row.steps[step] if step + 1 < len(row.steps) else max(row.steps[step], policy.decide_at)
    return judge_rollout(
        policy,
        tallies,
        dict(enumerate(row.steps[: step + 1])),
        share=share,
        started_at=row.started_at or now,
        now=now,
        flips=flips,
    )


def overruled(verdict: RolloutVerdict, rules: list[str]) -> RolloutVerdict:
    """The verdict with what a person has overruled left out of the action."""
    broken = [rule for rule in verdict.rules if rule.verdict == "fail" and rule.strength != "report"]
    if not rules or not broken or verdict.action not in ("pause", "roll_back"):
        return verdict
    if all(rule.id in rules for rule in broken):
        return msgspec.structs.replace(verdict, action="hold", reason="overruled by hand: " + verdict.reason)
    return verdict


def _moves(row: ReleaseRow, verdict: RolloutVerdict) -> bool:
    if row.state == "paused":
        return verdict.action == "roll_back"
    return verdict.action != "hold"
