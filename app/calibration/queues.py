"""Label queues: answers of a run that wait for people, and what these say."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access.schemas import Caller
from app.calibration.choosing import can_be_labelled, disagreement, judged, metric_of
from app.calibration.drawing import FLOOR, draw
from app.calibration.pairs import Verdicts
from app.calibration.schemas import HumanLabel, LabelItem, LabelPut, LabelQueue, QueueCreate
from app.calibration.tables import LabelItemRow, LabelQueueRow
from app.kit.changes import Change, record
from app.kit.clock import Clock
from app.kit.db import Sessions, writing
from app.kit.errors import ConflictError, InvalidContentError, NotFoundError
from app.kit.ids import new_id
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.registry.service import Artifact, Registry
from app.runs import results
from app.runs.errors import RunNotFoundError
from app.runs.masking import Masking
from app.runs.scan import Filters
from app.runs.schemas import RESTING, Result
from app.runs.service import Runs
from app.runs.store import Loaded

_REPEATS = 100


class Queues:
    """The label queues of this process's database."""

    def __init__(self, sessions: Sessions, runs: Runs, clock: Clock) -> None:
        self._sessions, self._runs, self._clock = sessions, runs, clock

    async def create(self, caller: Caller, rubric: str, asked: QueueCreate) -> LabelQueue:
        """Draws answers of a run for people to label.

        Raises `NotFoundError` for a rubric that is not there, `InvalidContentError` for a run that is not, has no answers,
        or nothing to disagree about, and `ConflictError` for one that is still at work.
        """
        async with self._sessions() as session:
            known = await Registry(session, caller.project_id).known("rubric", rubric)
            try:
                run = await self._runs.loaded(session, caller.project_id, asked.run)
            except RunNotFoundError as error:
                raise InvalidContentError.at("/run", error.detail) from error
        if run.row.status not in RESTING:
            raise ConflictError(f"run {asked.run} is at work; draw from it when it rests")
        judge = metric_of(run, known.name, asked)
        places: list[tuple[Result, float]] = []
        async for some in results.each(self._sessions, run):
            places += [
                (result, disagreement(result, judge, asked)) for result in some if can_be_labelled(result, asked)
            ]
        if not places:
            raise InvalidContentError.at("/run", f"run {asked.run} has no answer with a text")
        sizes = [1.0 if asked.by == "random" else FLOOR + size for _, size in places]
        chosen = draw(sizes, asked.n, asked.seed)
        queue = new_id("lbq")
        drawn: dict[str, Any] = {"by": asked.by, "seed": asked.seed, "metric": judge, "of": len(places)}
        async with self._sessions.begin() as session:
            await writing(session)
            session.add(
                LabelQueueRow(
                    project_id=caller.project_id,
                    id=queue,
                    rubric=known.name,
                    run_id=asked.run,
                    drawn=drawn,
                    created_by=caller.actor,
                    created_at=self._clock(),
                )
            )
            for number, (place, probability) in enumerate(chosen):
                result = places[place][0]
                score = None if judge is None else result.scores.get(judge)
                session.add(
                    LabelItemRow(
                        project_id=caller.project_id,
                        queue_id=queue,
                        number=number,
                        case_id=result.case,
                        variant=result.variant,
                        repeat=result.repeat,
                        probability=probability,
                        judge=None if score is None else judged(score.label, score.value),
                    )
                )
            _note(session, caller, "label_queue.created", queue, {"rubric": known.name, "run": asked.run, **drawn})
        async with self._sessions() as session:
            return await self.get(session, caller.project_id, known.name, queue)

    async def get(self, session: AsyncSession, project_id: str, rubric: str, queue: str | None) -> LabelQueue:
        """A queue of a rubric, by default the newest. Raises `NotFoundError`."""
        row = await self._row(session, project_id, rubric, queue)
        items = select(func.count(), func.count(col(LabelItemRow.human))).where(
            col(LabelItemRow.project_id) == project_id, col(LabelItemRow.queue_id) == row.id
        )
        n, labelled = (await session.execute(items)).one()
        return LabelQueue(
            id=row.id,
            rubric=row.rubric,
            run=row.run_id,
            by=row.drawn["by"],
            seed=row.drawn["seed"],
            metric=row.drawn["metric"],
            of=row.drawn["of"],
            n=n,
            labelled=labelled,
            created_by=row.created_by,
            created_at=row.created_at,
        )

    async def items(
        self,
        session: AsyncSession,
        caller: Caller,
        rubric: str,
        queue: str | None,
        labelled: bool | None,
        limit: int,
        cursor: str | None,
    ) -> Page[LabelItem]:
        """The answers of a queue with what a rater needs. What the judge said is shown of labelled ones only: it would
        sway whoever labels."""
        row = await self._row(session, caller.project_id, rubric, queue)
        query = select(LabelItemRow).where(
            col(LabelItemRow.project_id) == caller.project_id, col(LabelItemRow.queue_id) == row.id
        )
        if labelled is not None:
            query = query.where(col(LabelItemRow.human).is_not(None) if labelled else col(LabelItemRow.human).is_(None))
        if cursor is not None:
            query = query.where(col(LabelItemRow.number) > decode_cursor(cursor, (int,))[0])
        rows = list(await session.scalars(query.order_by(col(LabelItemRow.number)).limit(limit + 1)))
        run = await self._runs.loaded(session, caller.project_id, row.run_id)
        masking = await Masking.of(session, run, caller.clearance)
        found = await _answers(session, run, rows[:limit])
        items = [_item(one, masking.of_all([answer])[0]) for one, answer in zip(rows[:limit], found, strict=True)]
        return Page(items, encode_cursor(rows[limit - 1].number) if len(rows) > limit else None)

    async def label(self, session: AsyncSession, caller: Caller, rubric: str, item: str, put: LabelPut) -> LabelItem:
        """Keeps what a person says of an answer; null takes it back. Raises `NotFoundError` for an answer that was not drawn,
        `InvalidContentError` for what is no verdict of the rubric."""
        await writing(session)
        queue, _, number = item.rpartition("-")
        row = await self._row(session, caller.project_id, rubric, queue)
        found = (
            await session.get(LabelItemRow, (caller.project_id, row.id, int(number)))
            if number.isascii() and number.isdigit() and len(number) < 9
            else None
        )
        if found is None:
            raise NotFoundError(f"queue {row.id} has no answer {item!r}")
        content = await _rubric(session, caller, row.rubric)
        if put.human is None:
            found.human = found.labelled_by = found.labelled_at = None
        else:
            try:
                found.human = Verdicts(content.content).read(put.human)
            except ValueError as error:
                raise InvalidContentError.at("/human", str(error)) from error
            found.labelled_by, found.labelled_at = caller.actor, self._clock()
        await session.flush()
        _note(session, caller, "answer.labelled", item, {"human": found.human})
        run = await self._runs.loaded(session, caller.project_id, row.run_id)
        masking = await Masking.of(session, run, caller.clearance)
        return _item(found, masking.of_all(await _answers(session, run, [found]))[0])

    async def labels(self, session: AsyncSession, project_id: str, rubric: str, queue: str) -> list[HumanLabel]:
        """What people said of a queue's answers, with the weights that make up for how they were drawn."""
        row = await self._row(session, project_id, rubric, queue, "/queue")
        query = select(LabelItemRow).where(
            col(LabelItemRow.project_id) == project_id,
            col(LabelItemRow.queue_id) == row.id,
            col(LabelItemRow.human).is_not(None),
        )
        rows = list(await session.scalars(query.order_by(col(LabelItemRow.number))))
        if not rows:
            raise InvalidContentError.at("/queue", f"no answer of {row.id} is labelled yet")
        run = await self._runs.loaded(session, project_id, row.run_id)
        return [_label(one, answer) for one, answer in zip(rows, await _answers(session, run, rows), strict=True)]

    async def _row(
        self, session: AsyncSession, project_id: str, rubric: str, queue: str | None, pointer: str | None = None
    ) -> LabelQueueRow:
        known = await Registry(session, project_id).known("rubric", rubric)
        query = select(LabelQueueRow).where(
            col(LabelQueueRow.project_id) == project_id, col(LabelQueueRow.rubric) == known.name
        )
        if queue is not None:
            query = query.where(col(LabelQueueRow.id) == queue)
        row = (await session.scalars(query.order_by(col(LabelQueueRow.id).desc()).limit(1))).first()
        if row is None:
            detail = f"{known.name} has no label queue" + ("" if queue is None else f" {queue!r}")
            raise NotFoundError(detail) if pointer is None else InvalidContentError.at(pointer, detail)
        return row


async def _rubric(session: AsyncSession, caller: Caller, name: str) -> Artifact:
    return await Registry(session, caller.project_id, actor=caller.actor).resolve("rubric", name)


async def _answers(session: AsyncSession, run: Loaded, rows: Sequence[LabelItemRow]) -> list[Result]:
    """The cells of these items, in order."""
    found: dict[tuple[str, str, int], Result] = {}
    for case, variant in dict.fromkeys((row.case_id, row.variant) for row in rows):
        page = await results.page(session, run, Filters(variant=variant, case=case), _REPEATS, None)
        found |= {(one.case, one.variant, one.repeat): one for one in page.items}
    return [found[row.case_id, row.variant, row.repeat] for row in rows]


def _item(row: LabelItemRow, answer: Result) -> LabelItem:
    return LabelItem(
        item=f"{row.queue_id}-{row.number}",
        case=row.case_id,
        variant=row.variant,
        repeat=row.repeat,
        probability=row.probability,
        inputs=answer.inputs,
        reference=answer.reference,
        output=None if answer.answer is None else answer.answer.text,
        context=None if answer.answer is None else answer.answer.context,
        human=row.human,
        judge=row.judge if row.human is not None else None,
        labelled_by=row.labelled_by,
        labelled_at=row.labelled_at,
    )


def _label(row: LabelItemRow, answer: Result) -> HumanLabel:
    return HumanLabel(
        human=row.human or "",
        judge=row.judge,
        id=f"{row.case_id} {row.variant} {row.repeat}",
        output=None if answer.answer is None else answer.answer.text,
        inputs=answer.inputs,
        reference=answer.reference,
        context=None if answer.answer is None else answer.answer.context,
        cluster=row.case_id,
        weight=1 / row.probability,
    )


def _note(session: AsyncSession, caller: Caller, action: str, subject: str, details: dict[str, Any]) -> None:
    record(
        session,
        Change(
            project_id=caller.project_id,
            actor=caller.actor,
            action=action,
            subject=f"label queue {subject}",
            details=msgspec.to_builtins(details),
        ),
    )
