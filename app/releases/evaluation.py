"""Gathering a release's evidence: its suites are run against what is live, and the gate judges each."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from app.access.schemas import Caller
from app.gates.outcome import FAIL, HELD, PASS, UNFINISHED, holds
from app.gates.schemas import Evaluate, VerdictRecord
from app.gates.service import Gates
from app.generation.schemas import CandidateSpec
from app.kit.clock import Clock
from app.kit.db import Sessions
from app.kit.errors import DomainError
from app.releases.evidence import Demand
from app.releases.schemas import SuiteVerdict
from app.releases.tables import ReleaseRow
from app.runs.schemas import RunCreate
from app.runs.service import Runs

FOREVER_S = 7 * 24 * 3600.0
SHORT = len("sha256:") + 12
"""How much of a digest is shown."""


class Outcome(NamedTuple):
    """What the gate says of the whole release. `only_approvals`: nothing but approvals is missing. `reason` is what
    keeps it from passing."""

    verdicts: list[SuiteVerdict]
    verdict: str | None
    exit_code: int
    only_approvals: bool
    reason: str


def runner(release: ReleaseRow) -> Caller:
    """Whose runs an evaluation's are. Nobody else uses them before they are done."""
    return Caller(release.project_id, release.author_key, "engineer", f"release {release.id}")


class Evaluation:
    """One evaluation of one release. Each step is a transaction of its own: a run may take hours."""

    def __init__(
        self, sessions: Sessions, runs: Runs, clock: Clock, release: ReleaseRow, live: ReleaseRow | None
    ) -> None:
        self._sessions, self._runs, self._clock = sessions, runs, clock
        self._release, self._live = release, live
        self._caller = runner(release)

    async def run(self, asked: list[Demand], approvals: Mapping[str, int]) -> Outcome:
        """Runs every suite and asks for its verdict."""
        return combined([await self._suite(demand, approvals) for demand in asked])

    async def judge_again(self, asked: list[Demand], approvals: Mapping[str, int]) -> Outcome:
        """The verdicts on the same runs, now that people have approved."""
        found = []
        by_suite = {verdict.suite: verdict for verdict in map(_verdict, self._release.verdicts)}
        for demand in asked:
            before = by_suite[demand.suite.ref]
            record = await self._judge(demand, before.run or "", "c1", approvals, fresh=True)
            found.append(self._of(demand, before.run or "", record))
        return combined(found)

    async def _suite(self, demand: Demand, approvals: Mapping[str, int]) -> SuiteVerdict:
        try:
            if self._release.offered_run is not None:
                offered = await self._offered(demand, self._release.offered_run)
                if offered is not None:
                    record = await self._judge(
                        demand, self._release.offered_run, offered.id, approvals, fresh=offered.fresh
                    )
                    return self._of(demand, self._release.offered_run, record)
            return await self._made(demand, approvals)
        except DomainError as error:
            return SuiteVerdict(
                demand.suite.ref, demand.policy.ref, None, None, None, f"not evaluated: {error.detail}", UNFINISHED
            )

    async def _made(self, demand: Demand, approvals: Mapping[str, int]) -> SuiteVerdict:
        """A run of our own, with more repeats while they could decide, and with fresh answers when those known are too old."""
        repeats, epochs = None, {} if self._live is None else {"baseline": self._live.id}
        while True:
            run_id = await self._run(demand, repeats, epochs)
            record = await self._judge(demand, run_id, "c1", approvals, fresh=True)
            if _aged(record) and epochs.get("c1") is None:
                epochs = {"c1": self._own_epoch, "baseline": self._own_epoch}
                continue
            if record.extend is None or record.exit_code == UNFINISHED:
                return self._of(demand, run_id, record)
            repeats = record.extend.repeats

    def _of(self, demand: Demand, run_id: str, record: VerdictRecord) -> SuiteVerdict:
        holding = list(holds(record.rules))
        return SuiteVerdict(
            suite=demand.suite.ref,
            policy=demand.policy.ref,
            run=run_id,
            verdict_id=record.id,
            verdict=record.verdict,
            headline=self._named(record.headline),
            exit_code=record.exit_code,
            only_approvals=record.verdict == "inconclusive"
            and bool(holding)
            and all(rule.rule == "approvals" for rule in holding),
        )

    def _named(self, text: str) -> str:
        """The run was asked for by digests; people know the release's parts by name and version."""
        for part, digest in self._release.pins.items():
            if ref := self._release.refs.get(part):
                text = text.replace(digest, ref).replace(digest[:SHORT], ref)
        return text

    @property
    def _own_epoch(self) -> str:
        return f"{self._release.id}:{self._release.evaluation}"

    async def _run(self, demand: Demand, repeats: int | None, epochs: dict[str, str]) -> str:
        baseline = None if self._live is None else msgspec.convert(self._live.spec, CandidateSpec)
        create = RunCreate(
            suite=demand.suite.ref,
            candidates=[msgspec.convert(self._release.spec, CandidateSpec)],
            baseline=baseline,
            repeats=repeats,
            priority="high",  # somebody waits for it, and nobody for what runs at night
        )
        creating = asyncio.ensure_future(self._runs.create(self._caller, create, epochs))
        try:
            started = await asyncio.shield(creating)
        except asyncio.CancelledError:
            await asyncio.wait([creating])  # half begun it could be neither cancelled nor finished
            raise
        await self._runs.wait(self._caller.project_id, started.id, FOREVER_S)
        return started.id

    async def _judge(
        self, demand: Demand, run_id: str, candidate: str, approvals: Mapping[str, int], *, fresh: bool
    ) -> VerdictRecord:
        async with self._sessions.begin() as session:
            gates = Gates(session, self._caller, self._runs, self._clock)
            return await gates.evaluate(
                Evaluate(
                    policy=demand.policy.digest,
                    stage="promote",
                    candidate=f"{run_id}/{candidate}",
                    baseline=None if self._live is None else f"{run_id}/baseline",
                ),
                approvals=approvals,
                fresh_baseline=fresh,
            )

    async def _offered(self, demand: Demand, run_id: str) -> "Offered | None":
        """The candidate of an offered run, when the run is about this suite, this content and this baseline."""
        async with self._sessions() as session:
            run = (await self._runs.loaded(session, self._release.project_id, run_id)).row
            read = await self._runs.get(session, self._release.project_id, run_id)
        if read.status != "done" or read.pins["suite"] != demand.suite.digest:
            return None
        bundles = {candidate.id: candidate.bundle for candidate in read.candidates}
        if bundles.get("baseline") != (None if self._live is None else self._live.bundle):
            return None
        chosen = next((c for c, bundle in bundles.items() if c != "baseline" and bundle == self._release.bundle), None)
        if chosen is None:
            return None
        epochs = {v["epoch"] for v in run.spec["variants"] if v["candidate"] == "baseline"}
        return Offered(chosen, fresh=self._live is None or epochs <= {self._live.id, run_id})


class Offered(NamedTuple):
    id: str
    fresh: bool


def combined(verdicts: list[SuiteVerdict]) -> Outcome:
    """Every suite must pass: the worst word counts."""
    codes = {verdict.exit_code for verdict in verdicts}
    exit_code = next(code for code in (FAIL, UNFINISHED, HELD, PASS) if code in codes)
    words = {verdict.verdict for verdict in verdicts}
    verdict = None if None in words else next(word for word in ("fail", "inconclusive", "pass") if word in words)
    # What keeps it from passing; a suite that passed says nothing here.
    reasons = [f"{v.suite}: {v.headline}" for v in verdicts if v.exit_code != PASS]
    only_approvals = exit_code == HELD and all(v.exit_code == PASS or v.only_approvals for v in verdicts)
    return Outcome(verdicts, verdict, exit_code, only_approvals, "; ".join(reasons))


def _aged(record: VerdictRecord) -> bool:
    return any(rule.rule == "max_age" and rule.verdict == "inconclusive" for rule in record.rules)


def _verdict(plain: Any) -> SuiteVerdict:
    return msgspec.convert(plain, SuiteVerdict)
