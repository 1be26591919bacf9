"""Calibrations: made, kept, read. Judging takes its time and happens outside of any transaction."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access.schemas import Caller
from app.calibration import judging, pairs, report, sources
from app.calibration.pairs import Pair, Verdicts
from app.calibration.queues import Queues
from app.calibration.report import Earlier
from app.calibration.schemas import (
    CalibrationCreate,
    CalibrationRead,
    CalibrationSummary,
    Disagreement,
    Figures,
    HumanLabel,
)
from app.calibration.sources import Found
from app.calibration.tables import CalibrationRow
from app.feedback.service import Feedback
from app.kit.changes import Change, record
from app.kit.clock import Clock
from app.kit.db import Sessions, writing
from app.kit.digests import digest
from app.kit.errors import InvalidContentError, NotFoundError
from app.kit.ids import new_id
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.llm.service import LLM
from app.registry.service import Artifact, Registry, deciding
from app.runs.asking import Asked, Judging
from app.runs.budget import LocalBudget
from app.runs.judge import Purse
from app.runs.replies import Replies, write
from app.runs.schemas import NANO

MOST_DISAGREEMENTS = 200


class _Judge(NamedTuple):
    """A rubric as it is judged by, with the digests of what decides a verdict."""

    rubric: Artifact
    judging: Judging
    rubric_digest: str
    judge_digest: str

    @property
    def name(self) -> str:
        return self.judging.judges[0].name


class Calibrations:
    """The calibrations of this process's database; what the application holds."""

    def __init__(self, sessions: Sessions, llm: LLM, feedback: Feedback, queues: Queues, clock: Clock) -> None:
        self._sessions, self._llm, self._feedback, self._queues, self._clock = sessions, llm, feedback, queues, clock
        self._replies = Replies(sessions)

    async def create(self, caller: Caller, rubric: str, asked: CalibrationCreate) -> CalibrationRead:
        """Measures the rubric's judge against people, and keeps the result.

        Raises `NotFoundError` for a rubric that is not there, `InvalidContentError` for labels that cannot be read, and
        what `judging.ask` raises. Nothing is kept then.
        """
        async with self._sessions() as session:
            name, judge = await self._judge(session, caller, rubric, asked.ref)
            verdicts = Verdicts(judge.rubric.content)
            labels, problems = await self._labels(session, caller, name, asked, verdicts)
        if not labels:
            raise InvalidContentError.at("/labels", "there is no label to calibrate by")
        found = pairs.read(labels, verdicts, asked.seed)
        recorded = any(pair.judge is not None for pair in found)
        cost = 0.0
        if recorded:
            if missing := sum(pair.judge is None for pair in found):
                problems["not recorded"] = missing
        else:
            said = await self._ask(caller.project_id, judge.judging, labels, asked.budget_usd)
            cost, problems = said.cost_usd, problems | said.problems
            found = [
                msgspec.structs.replace(pair, judge=verdict) for pair, verdict in zip(found, said.verdicts, strict=True)
            ]
        chosen = [pair for pair in found if asked.split in (None, pair.split)]
        figures = await asyncio.to_thread(report.figures, chosen, verdicts, asked.threshold, asked.seed)
        read = CalibrationRead(
            id=new_id("cal"),
            rubric=name,
            ref=judge.rubric.ref,
            rubric_digest=judge.rubric_digest,
            judge=judge.name,
            judge_digest=judge.judge_digest,
            verdicts="recorded" if recorded else "asked",
            split=asked.split,
            seed=asked.seed,
            threshold=asked.threshold,
            splits={part: sum(pair.split == part for pair in found) for part in ("train", "dev", "test")},
            figures=figures,
            leaks=pairs.leaks(judge.rubric.content, labels, found),
            examples_checked=len(judge.rubric.content.examples) if any(one.output for one in labels) else 0,
            drift=None,
            problems=problems,
            disagreements=[
                Disagreement(pair.id, pair.human, pair.judge)
                for pair in chosen
                if pair.judge is not None and pair.judge != pair.human
            ][:MOST_DISAGREEMENTS],
            cost_usd=cost,
            created_by=caller.actor,
            created_at=self._clock(),
        )
        return await self._keep(caller, read, found, chosen, verdicts)

    async def _ask(
        self, project_id: str, judge: Judging, labels: Sequence[HumanLabel], budget_usd: float | None
    ) -> judging.Asked:
        """Asks, and keeps the replies like those of runs: whoever asks the same again pays nothing."""
        asking = new_id("cal")
        budget = LocalBudget(None if budget_usd is None else round(budget_usd * NANO))
        try:
            return await judging.ask(
                Purse(self._llm, self._replies, budget, project_id, asking), judge, labels, budget_usd
            )
        finally:
            taken = self._replies.take(asking)
            try:
                if taken:
                    async with self._sessions.begin() as session:
                        await writing(session)
                        await write(session, taken, self._clock())
            finally:
                self._replies.stored(taken)

    async def _keep(
        self,
        caller: Caller,
        read: CalibrationRead,
        found: Sequence[Pair],
        chosen: Sequence[Pair],
        verdicts: Verdicts,
    ) -> CalibrationRead:
        async with self._sessions.begin() as session:
            await writing(session)
            earlier = await self._earlier(session, caller.project_id, read.rubric)
            if earlier is not None:
                moved = await asyncio.to_thread(
                    report.drift, earlier, chosen, read.rubric_digest, read.judge_digest, verdicts, read.seed
                )
                read = msgspec.structs.replace(read, drift=moved)
            row = CalibrationRow(
                project_id=caller.project_id,
                id=read.id,
                rubric=read.rubric,
                report=msgspec.to_builtins(read),
                pairs=msgspec.to_builtins(found),
                created_by=read.created_by,
                created_at=read.created_at,
            )
            session.add(row)
            change = Change(
                project_id=caller.project_id,
                actor=caller.actor,
                action="rubric.calibrated",
                subject=f"rubric {read.rubric}",
                after=read.rubric_digest,
                details={"calibration": read.id, "n": read.figures.n, "kappa": read.figures.kappa.value},
            )
            record(session, change)
        return read

    async def get(self, session: AsyncSession, project_id: str, calibration_id: str) -> CalibrationRead:
        row = await session.get(CalibrationRow, (project_id, calibration_id))
        if row is None:
            raise NotFoundError(f"there is no calibration {calibration_id!r}")
        return msgspec.convert(row.report, CalibrationRead)

    async def page(
        self, session: AsyncSession, caller: Caller, rubric: str, limit: int, cursor: str | None
    ) -> Page[CalibrationSummary]:
        """Newest first. Raises `NotFoundError` for a rubric that is not there."""
        known = await Registry(session, caller.project_id, actor=caller.actor).known("rubric", rubric)
        query = select(col(CalibrationRow.id), col(CalibrationRow.report)).where(
            col(CalibrationRow.project_id) == caller.project_id, col(CalibrationRow.rubric) == known.name
        )
        if cursor is not None:
            query = query.where(col(CalibrationRow.id) < decode_cursor(cursor, (str,))[0])
        rows = (await session.execute(query.order_by(col(CalibrationRow.id).desc()).limit(limit + 1))).all()
        items = [_summary(msgspec.convert(kept, CalibrationRead)) for _, kept in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def _judge(self, session: AsyncSession, caller: Caller, rubric: str, ref: str | None) -> tuple[str, _Judge]:
        registry = Registry(session, caller.project_id, actor=caller.actor)
        known = await registry.known("rubric", rubric)
        try:
            found = await registry.resolve("rubric", known.name if ref is None else f"{known.name}@{ref}")
        except NotFoundError as error:
            if ref is None:
                raise
            raise InvalidContentError.at("/ref", error.detail) from error
        endpoint: Artifact = await registry.by_digest("endpoint", found.pins["/endpoint"])
        asked = Asked(str(found.content.endpoint).partition("@")[0], endpoint)
        return known.name, _Judge(
            found, Judging(found, (asked,), None, self_judge=False), digest(deciding(found)), digest(deciding(endpoint))
        )

    async def _labels(
        self, session: AsyncSession, caller: Caller, rubric: str, asked: CalibrationCreate, verdicts: Verdicts
    ) -> Found:
        """The labels, from wherever they are."""
        given = [name for name in ("labels", "feedback", "dataset", "queue") if getattr(asked, name) is not None]
        if len(given) != 1:
            raise InvalidContentError.at("/labels", "give one of `labels`, `feedback`, `dataset` and `queue`")
        if asked.feedback is not None:
            return await sources.of_feedback(session, caller, self._feedback, asked.feedback, verdicts)
        if asked.dataset is not None:
            return await sources.of_dataset(session, caller, asked.dataset)
        if asked.queue is not None:
            return Found(await self._queues.labels(session, caller.project_id, rubric, asked.queue), {})
        return Found(list(asked.labels or []), {})

    async def _earlier(self, session: AsyncSession, project_id: str, rubric: str) -> Earlier | None:
        query = select(CalibrationRow).where(
            col(CalibrationRow.project_id) == project_id, col(CalibrationRow.rubric) == rubric
        )
        row = (await session.scalars(query.order_by(col(CalibrationRow.id).desc()).limit(1))).first()
        if row is None:
            return None
        kept: dict[str, Any] = row.report
        return Earlier(row.id, kept["rubric_digest"], kept["judge_digest"], msgspec.convert(row.pairs, list[Pair]))


def _summary(read: CalibrationRead) -> CalibrationSummary:
    figures: Figures = read.figures
    return CalibrationSummary(
        id=read.id,
        ref=read.ref,
        judge=read.judge,
        verdicts=read.verdicts,
        split=read.split,
        n=figures.n,
        accuracy=figures.accuracy.value,
        kappa=figures.kappa.value,
        created_by=read.created_by,
        created_at=read.created_at,
    )
