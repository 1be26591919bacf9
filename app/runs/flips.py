"""Which of some cases changed sides between two variants, read for a few cases at a time."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.db import core
from app.runs import compare
from app.runs.cases import cases_of
from app.runs.compare import Side
from app.runs.tables import RunScoreRow


async def flipped(
    session: AsyncSession, candidate: Side, baseline: Side, metric: str | None, some: Sequence[int]
) -> set[int]:
    """Those of `some` of the candidate's cases (ascending numbers) that changed sides in `metric`, or in any."""
    if not some:
        return set()
    ours, theirs = candidate.run, baseline.run
    others = list(some)
    if ours.row.id != theirs.row.id:
        place = (await cases_of(session, theirs)).place
        both = [(n, place[ours.cases[n].id]) for n in some if ours.cases[n].id in place]
        some, others = [n for n, _ in both], [n for _, n in both]
    numbers = {m.name: n for n, m in enumerate(theirs.spec.metrics)}
    named = [
        (n, numbers[m.name], m)
        for n, m in enumerate(ours.spec.metrics)
        if m.name in numbers and metric in (None, m.name)
    ]
    alone = ours.spec.repeats == theirs.spec.repeats == 1 and some == others
    found: set[int] = set()
    for own, other in compare.pairs(candidate, baseline):
        for mine, its, how in named:
            if alone:
                query = _changed(candidate, own, mine, baseline, other, its, some)
                found |= set(await session.scalars(query)) & set(some)
            elif some:
                left = await compare.scores(session, ours, own, mine, some)
                right = await compare.scores(session, theirs, other, its, others)
                found |= {some[n] for n in compare.changed_sides(how, left, right)}
    return found


def _changed(candidate: Side, own: int, mine: int, baseline: Side, other: int, its: int, some: Sequence[int]) -> Any:
    """Cases in the range of `some`, of one repeat each, that passed on one side only."""
    a, b = core(RunScoreRow).alias(), core(RunScoreRow).alias()
    same = (b.c.case_no == a.c.case_no) & (b.c.repeat == a.c.repeat)
    sides = [(a, candidate, own, mine), (b, baseline, other, its)]
    of_sides = [
        condition
        for table, side, variant_no, metric_no in sides
        for condition in (
            table.c.project_id == side.run.row.project_id,
            table.c.run_id == side.run.row.id,
            table.c.variant_no == variant_no,
            table.c.metric_no == metric_no,
            table.c.case_no.between(some[0], some[-1]),
        )
    ]
    return select(a.c.case_no).join(b, same).where(*of_sides, a.c.passed != b.c.passed)
