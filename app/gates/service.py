"""Judging a candidate of a run: gathers the evidence, decides, keeps the verdict."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access.schemas import Caller
from app.gates.looks import Schedule, looks
from app.gates.outcome import exit_code, headline, incomplete
from app.gates.schemas import Backtest, BacktestCreate, Evaluate, Extension, Verdict, VerdictRecord
from app.gates.tables import VerdictRow
from app.kit.changes import Change
from app.kit.changes import record as record_change
from app.kit.clock import Clock, utc_now
from app.kit.db import writing
from app.kit.errors import InvalidContentError, NotFoundError
from app.kit.ids import new_id
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.registry.kinds.gate_policy import GatePolicy, Stage
from app.registry.lineage import Lineage
from app.registry.service import Artifact, Registry
from app.runs.compare import RunEvidence
from app.runs.service import Runs


class Gates:
    """The gates of one project, within the caller's transaction."""

    def __init__(self, session: AsyncSession, caller: Caller, runs: Runs, clock: Clock = utc_now) -> None:
        self._session, self._caller, self._runs, self._clock = session, caller, runs, clock
        self._registry = Registry(session, caller.project_id, actor=caller.actor, clock=clock)

    async def evaluate(
        self, asked: Evaluate, *, approvals: Mapping[str, int] | None = None, fresh_baseline: bool = True
    ) -> VerdictRecord:
        """Judges `candidate` against `baseline`, and keeps the verdict.

        A release says how many people of which role approved, and whether the baseline was run afresh after its promotion.

        Raises `NotFoundError` for unknown parts, `InvalidContentError` when the two sides cannot be paired.
        """
        await writing(self._session)
        policy = await self._policy(asked)
        evidence = await self._runs.evidence(self._session, self._caller.project_id, asked.candidate, asked.baseline)
        schedule = looks(policy.content.at(asked.stage), evidence.repeats)
        earlier = await self._earlier(policy, evidence, asked.stage)
        passed = {
            rule["id"]
            for row in earlier
            if row.look < schedule.number
            for rule in row.record["rules"]
            if rule["verdict"] == "pass"
        }
        tries = await self._tries(evidence)
        from app.gates.gathering import gather

        gathered = gather(
            evidence,
            schedule,
            frozenset(passed),
            tries,
            self._clock(),
            approvals=approvals,
            fresh_baseline=fresh_baseline,
        )
        verdict = await asyncio.to_thread(_decide, policy.content, gathered, asked.stage)
        trouble = None
        if incomplete(verdict):
            sides = [side for side in (asked.candidate, asked.baseline) if side is not None]
            trouble = await self._runs.trouble(self._session, self._caller.project_id, *sides)
        record = self._record(verdict, policy, asked, evidence, schedule, trouble)
        self._session.add(self._row(record, policy, evidence, schedule))
        await self._session.flush()
        run = asked.candidate.partition("/")[0]
        lineage = Lineage(self._registry.repository)
        await lineage.note_use("run", run, [("gate_policy", policy.digest)], self._clock())
        self._note(record)
        return record

    def _note(self, verdict: VerdictRecord) -> None:
        change = Change(
            project_id=self._caller.project_id,
            actor=self._caller.actor,
            action="verdict.given",
            subject=f"verdict {verdict.id}",
            after=verdict.verdict,
            reason=verdict.headline,
            details={"pins": verdict.pins, "stage": verdict.stage, "candidate": verdict.candidate},
        )
        record_change(self._session, change)

    async def backtest(self, asked: BacktestCreate) -> Backtest:
        """Judges many suites drawn from recorded answers. Raises `InvalidContentError` when a pair has no such metric."""
        changes = {}
        for number, change in enumerate(asked.changes):
            if change.name in changes:
                raise InvalidContentError.at(f"/changes/{number}/name", f"two changes are called {change.name!r}")
            evidence = await self._runs.evidence(
                self._session, self._caller.project_id, change.candidate, change.baseline
            )
            changes[change.name] = (evidence, change.neutral)
        return await asyncio.to_thread(_backtest, asked, changes)

    async def get(self, verdict_id: str) -> VerdictRecord:
        row = await self._session.get(VerdictRow, (self._caller.project_id, verdict_id))
        if row is None:
            raise NotFoundError(f"there is no verdict {verdict_id!r}")
        return msgspec.convert(row.record, VerdictRecord)

    async def page(self, limit: int, cursor: str | None) -> Page[VerdictRecord]:
        """Newest first."""
        query = select(VerdictRow).where(col(VerdictRow.project_id) == self._caller.project_id)
        if cursor is not None:
            query = query.where(col(VerdictRow.id) < decode_cursor(cursor, (str,))[0])
        rows = list(await self._session.scalars(query.order_by(col(VerdictRow.id).desc()).limit(limit + 1)))
        items = [msgspec.convert(row.record, VerdictRecord) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def _policy(self, asked: Evaluate) -> Artifact:
        if not isinstance(asked.policy, str):
            return await self._registry.draft("gate_policy", asked.policy.content, pointer="/policy/content")
        try:
            if asked.policy.startswith("sha256:"):
                return await self._registry.by_digest("gate_policy", asked.policy)
            return await self._registry.resolve("gate_policy", asked.policy)
        except NotFoundError as error:
            raise InvalidContentError.at("/policy", error.detail) from error

    async def _earlier(self, policy: Artifact, evidence: RunEvidence, stage: Stage) -> list[VerdictRow]:
        """Verdicts about exactly this pair, policy and data, from which a rule that passed stays passed."""
        query = select(VerdictRow).where(
            col(VerdictRow.project_id) == self._caller.project_id,
            col(VerdictRow.subject) == evidence.candidate.bundle,
            col(VerdictRow.policy) == policy.digest,
            col(VerdictRow.dataset) == evidence.dataset,
            col(VerdictRow.stage) == stage,
            col(VerdictRow.baseline).is_(None)
            if evidence.baseline is None
            else col(VerdictRow.baseline) == evidence.baseline.bundle,
        )
        return list(await self._session.scalars(query))

    async def _tries(self, evidence: RunEvidence) -> int:
        """How many contents of this name were judged on this data, this one included: a gate used often is overfitted."""
        query = (
            select(col(VerdictRow.subject))
            .where(
                col(VerdictRow.project_id) == self._caller.project_id,
                col(VerdictRow.name) == evidence.name,
                col(VerdictRow.dataset) == evidence.dataset,
            )
            .distinct()
        )
        judged = set(await self._session.scalars(query))
        return len(judged | {evidence.candidate.bundle})

    def _record(
        self,
        verdict: Verdict,
        policy: Artifact,
        asked: Evaluate,
        evidence: RunEvidence,
        schedule: Schedule,
        trouble: str | None,
    ) -> VerdictRecord:
        content: GatePolicy = policy.content
        undecided = any(
            r.cause == "undecided" for r in verdict.rules if r.verdict == "inconclusive" and r.strength != "report"
        )
        more = schedule.next_repeats if verdict.verdict == "inconclusive" and undecided else None
        return VerdictRecord(
            **{name: getattr(verdict, name) for name in Verdict.__struct_fields__ if name != "pins"},
            pins={**verdict.pins, "policy": policy.digest},
            id=new_id("ver"),
            policy=policy.ref,
            candidate=asked.candidate,
            baseline=asked.baseline,
            name=evidence.name,
            exit_code=exit_code(verdict, content, asked.stage),
            headline=headline(verdict, trouble),
            extend=None if more is None else Extension(repeats=more),
            created_at=self._clock(),
        )

    def _row(self, record: VerdictRecord, policy: Artifact, evidence: RunEvidence, schedule: Schedule) -> VerdictRow:
        return VerdictRow(
            project_id=self._caller.project_id,
            id=record.id,
            subject=evidence.candidate.bundle,
            baseline=None if evidence.baseline is None else evidence.baseline.bundle,
            policy=policy.digest,
            dataset=evidence.dataset,
            name=evidence.name,
            stage=record.stage,
            verdict=record.verdict,
            look=schedule.number,
            record=msgspec.to_builtins(record),
            headline=record.headline,
            author=self._caller.actor,
            created_at=record.created_at,
        )


def _backtest(asked: BacktestCreate, changes: dict[str, tuple[RunEvidence, bool]]) -> Backtest:
    import numpy as np

    from app.gates.characteristics import resample_gates
    from app.gates.gathering import differences

    made = {}
    for name, (evidence, neutral) in changes.items():
        d = differences(evidence, asked.metric)
        if len(d) < 2:
            raise InvalidContentError.at("/metric", f"{name}: fewer than two cases have {asked.metric!r} on both sides")
        made[name] = np.concatenate([d, -d]) if neutral else d
    rows = resample_gates(made, size=asked.size, margin=asked.margin, suites=asked.suites, seed=asked.seed)
    return Backtest(asked.metric, asked.margin, asked.size, asked.suites, rows)


def _decide(policy: GatePolicy, evidence: Any, stage: Stage) -> Verdict:
    from app.gates.decision import decide

    return decide(policy, evidence, stage)
