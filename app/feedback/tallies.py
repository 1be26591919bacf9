"""What is counted of a rollout, and the ranges in which it counts named numbers.

A range is learned from the rule that asks for it. The first time, and until the next vote is stored, its votes are counted one
by one; that vote's transaction then keeps the count, with a row that says the range (a mark), and from there on it is
kept up to date like every other tally.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.feedback import counting
from app.feedback.schemas import RANGED, SCALED, Scale, Tally
from app.feedback.tables import TallyRow, VoteRow

MARK = -1
"""The bucket of a mark: its `total` and `squares` are the lowest and the highest value."""


async def tallies(
    session: AsyncSession, project_id: str, release_id: str, scales: Sequence[Scale] = ()
) -> tuple[list[Tally], set[Scale]]:
    """The tallies of a rollout, named numbers on `scales`; and those of `scales` that are not kept yet."""
    signal = col(TallyRow.signal)
    names = [*SCALED, *(scale.name for scale in scales)]
    query = select(*(getattr(TallyRow, name) for name in Tally.__struct_fields__)).where(
        col(TallyRow.project_id) == project_id,
        col(TallyRow.split) == release_id,
        signal.in_(names) | signal.startswith(":"),
    )
    rows = [Tally(*row) for row in (await session.execute(query)).all()]
    kept = {row.signal for row in rows if _is_mark(row.signal, row.bucket)}
    found = [row for row in rows if not _is_mark(row.signal, row.bucket)]
    missing = {scale for scale in scales if scale.name not in kept}
    for scale in missing:
        found.extend(await counted(session, project_id, release_id, scale))
    return found, missing


async def counted(session: AsyncSession, project_id: str, release_id: str, scale: Scale) -> list[Tally]:
    """One named number on one scale, from its votes."""
    query = select(col(VoteRow.phase), col(VoteRow.arm), col(VoteRow.value)).where(
        col(VoteRow.project_id) == project_id,
        col(VoteRow.split) == release_id,
        col(VoteRow.signal) == scale.signal,
    )
    sums: defaultdict[tuple[int, Any, str, int], list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    for phase, arm, value in (await session.execute(query)).all():
        for tally in counting.vote(phase, arm, scale.signal, value, [scale]):
            of_bucket = sums[tally.phase, tally.arm, tally.signal, tally.bucket]
            of_bucket[0] += 1
            of_bucket[1] += tally.total
            of_bucket[2] += tally.squares
    return [Tally(*place, int(n), total, squares) for place, (n, total, squares) in sums.items()]


async def kept_scales(
    session: AsyncSession, project_id: str, releases: Iterable[str], signals: Iterable[str]
) -> set[tuple[str, Scale]]:
    """The scales in which releases keep counts of these named numbers."""
    query = select(col(TallyRow.split), col(TallyRow.signal), col(TallyRow.total), col(TallyRow.squares)).where(
        col(TallyRow.project_id) == project_id,
        col(TallyRow.split).in_(list(releases)),
        col(TallyRow.signal).startswith(RANGED),
        col(TallyRow.bucket) == MARK,
    )
    marks = (await session.execute(query)).all()
    if not marks:
        return set()
    # A mark's name tells which signal it is of, though not the other way round.
    return {
        (split, scale)
        for split, name, low, high in marks
        for signal in set(signals)
        if (scale := Scale(signal, low, high)).name == name
    }


def mark(project_id: str, release_id: str, scale: Scale) -> dict[str, Any]:
    """The row that says that a scale's count is kept."""
    of_it = {"phase": 0, "arm": "", "signal": scale.name, "bucket": MARK}
    return {"project_id": project_id, "split": release_id, **of_it, "n": 0, "total": scale.low, "squares": scale.high}


def _is_mark(signal: str, bucket: int) -> bool:
    return bucket == MARK and signal.startswith(RANGED)
