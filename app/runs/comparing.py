"""The last pass of a run: scores of what compares an answer with the other variants' answers to the same case."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.datasets.schemas import Entry, Item
from app.datasets.service import Datasets
from app.kit.db import Sessions
from app.runs import store
from app.runs.active import ActiveRun
from app.runs.scoring import Given, Scored, judged, score_batch
from app.runs.spec import Cell
from app.runs.store import PENDING, Ended
from app.runs.tables import RunCellRow
from app.runs.writer import Writer
from evaluators.contract import Score

CASES = 50
"""Cases whose answers are held at once."""
ANSWERED = ("cached", "answered", "failed")


class _Open(NamedTuple):
    """A score to make, and its key."""

    cell: Cell
    number: int
    given: Given
    key: str


class Comparing:
    """`out_of_budget` is told of a run whose next call does not fit its budget."""

    def __init__(self, sessions: Sessions, writer: Writer, out_of_budget: Callable[[ActiveRun], None]) -> None:
        self._sessions, self._writer, self._out_of_budget = sessions, writer, out_of_budget

    async def compare(self, run: ActiveRun) -> None:
        """Scores every cell whose variants all have an answer, a portion of the cases after the other. A cell that lacks
        one to be compared with has an error, which a resumed run tries again."""
        for start in range(0, len(run.cases), CASES):
            if run.stopping:
                return
            async with self._sessions() as session:
                open_ = await self._known(session, run, await self._portion(session, run, start))
            async with asyncio.TaskGroup() as group:
                for number in run.to_compare:
                    mine = [one for one in open_ if one.number == number]
                    if number in run.live.judges:
                        for one in mine:
                            group.create_task(self._judge(run, one))
                    elif mine:
                        live = run.live.metrics[number]
                        scored = await asyncio.to_thread(score_batch, live, [one.given for one in mine])
                        for one, score in zip(mine, scored, strict=True):
                            self._put(run, one.cell, one.given, number, score)

    async def _portion(self, session: AsyncSession, run: ActiveRun, start: int) -> list[tuple[Cell, Given]]:
        """The cells of some cases with what they are compared with; those that lack an answer are put as errors."""
        query = select(
            col(RunCellRow.variant_no), col(RunCellRow.case_no), col(RunCellRow.repeat), col(RunCellRow.cell_key), col(RunCellRow.status)
        ).where(
            col(RunCellRow.project_id) == run.project_id,
            col(RunCellRow.run_id) == run.id,
            col(RunCellRow.case_no).between(start, start + CASES - 1),
        )  # fmt: skip
        groups: dict[tuple[int, int], list[Any]] = {}
        for row in await session.execute(query.order_by(col(RunCellRow.variant_no))):
            groups.setdefault((row.case_no, row.repeat), []).append(row)
        keys = [row.cell_key for rows in groups.values() for row in rows if row.status in ANSWERED]
        answers = await store.answers(session, run.project_id, keys, run.reads)
        entries = [Entry(case.id, case.digest, case.tags) for case in run.cases[start : start + CASES]]
        items = await Datasets(session, run.project_id).some(entries)
        found: list[tuple[Cell, Given]] = []
        for (case_no, repeat), rows in groups.items():
            item = items[case_no - start]
            lost = [run.spec.variants[row.variant_no].id for row in rows if row.cell_key not in answers]
            for row in rows:
                if row.cell_key not in answers:
                    continue
                cell = Cell(row.variant_no, case_no, repeat)
                others = [other for other in rows if other is not row]
                texts = [] if lost else [answers[other.cell_key].text or "" for other in others]
                given = Given(
                    row.cell_key,
                    item,
                    store.answer_of(answers[row.cell_key]),
                    run.bundles[row.variant_no],
                    tuple(other.cell_key for other in others),
                    tuple(texts),
                )
                if lost:
                    self._put_lost(run, cell, given, lost)
                else:
                    found.append((cell, given))
        return found

    async def _known(self, session: AsyncSession, run: ActiveRun, cells: Sequence[tuple[Cell, Given]]) -> list[_Open]:
        """Puts the scores that are known, and those that do not apply; returns the others."""
        wanted: list[_Open] = []
        for cell, given in cells:
            for number in run.to_compare:
                live = run.live.metrics[number]
                if (skipped := live.not_applicable(given.item)) is not None:
                    self._put(run, cell, given, number, skipped)
                else:
                    wanted.append(_Open(cell, number, given, live.key(given.key, given.item, given.others)))
        kept = await store.scores(session, run.project_id, [one.key for one in wanted])
        open_: list[_Open] = []
        for one in wanted:
            if (row := kept.get(one.key)) is None:
                open_.append(one)
            else:
                score = Scored(store.score_of(row), one.key, fresh=False)
                self._put(run, one.cell, one.given, one.number, score)
        return open_

    async def _judge(self, run: ActiveRun, one: _Open) -> None:
        panel = run.live.judges[one.number]
        scored = await judged(run.live.metrics[one.number], one.given, panel.models)
        if scored.score.status == "error" and panel.unpaid:
            self._out_of_budget(run)
            return
        self._put(run, one.cell, one.given, one.number, scored)

    def _put_lost(self, run: ActiveRun, cell: Cell, given: Given, lost: Sequence[str]) -> None:
        for number in run.to_compare:
            reason = f"there is no answer of {', '.join(lost)} to compare with"
            scored = run.live.metrics[number].not_applicable(given.item) or Scored(Score.error(reason), None)
            self._put(run, cell, given, number, scored)

    def _put(self, run: ActiveRun, cell: Cell, given: Given, number: int, scored: Scored) -> None:
        item: Item = given.item
        self._writer.put(run, Ended(cell, given.key, PENDING, None, False, {number: scored}, item=item))
