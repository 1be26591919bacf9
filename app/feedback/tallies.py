"""What is counted of a rollout."""

from collections.abc import Sequence

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.feedback.counting import BUCKETS
from app.feedback.schemas import SCALED, Scale, Tally
from app.feedback.tables import TallyRow, VoteRow


async def tallies(session: AsyncSession, project_id: str, release_id: str, scales: Sequence[Scale] = ()) -> list[Tally]:
    """The kept tallies, and the named numbers of `scales` counted from their votes."""
    names = Tally.__struct_fields__
    signal = col(TallyRow.signal)
    query = select(*(getattr(TallyRow, name) for name in names)).where(
        col(TallyRow.project_id) == project_id,
        col(TallyRow.split) == release_id,
        signal.in_(SCALED) | signal.startswith(":"),
    )
    found = [Tally(*row) for row in (await session.execute(query)).all()]
    for scale in scales:
        found.extend(await _counted(session, project_id, release_id, scale))
    return found


async def _counted(session: AsyncSession, project_id: str, release_id: str, scale: Scale) -> list[Tally]:
    """One named number on one scale. Summed as shares of it, so that no huge value drowns the others."""
    value = col(VoteRow.value)
    of_it = (
        col(VoteRow.project_id) == project_id,
        col(VoteRow.split) == release_id,
        col(VoteRow.signal) == scale.signal,
    )
    inside = value.between(scale.low, scale.high)
    share = (value - scale.low) / (scale.high - scale.low)
    bucket = cast(func.round(share * BUCKETS), Integer)
    votes = (
        select(col(VoteRow.phase), col(VoteRow.arm), bucket.label("bucket"), share.label("share"))
        .where(*of_it, inside)
        .subquery()
    )
    v = votes.c
    query = select(v.phase, v.arm, v.bucket, func.count(), func.sum(v.share), func.sum(v.share * v.share)).group_by(
        v.phase, v.arm, v.bucket
    )
    found = [
        Tally(phase, arm, scale.name, bucket, n, total, squares)
        for phase, arm, bucket, n, total, squares in (await session.execute(query)).all()
    ]
    outside = (
        select(col(VoteRow.phase), col(VoteRow.arm), func.count())
        .where(*of_it, ~inside)
        .group_by(col(VoteRow.phase), col(VoteRow.arm))
    )
    rows = (await session.execute(outside)).all()
    found.extend(Tally(phase, arm, scale.outside, 0, n, 0.0, 0.0) for phase, arm, n in rows)  # type: ignore[arg-type]
    return found
