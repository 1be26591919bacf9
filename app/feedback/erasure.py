"""Forgetting one person."""

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access.idempotency import KEPT, erase_answers
from app.feedback.book import Book
from app.feedback.schemas import UNITS, Erased, Tally
from app.feedback.tables import ExposureRow, InferenceRow, QuotaRow, RatingRow, VoteRow

SHOWN = 12
"""The length of the part of a rater's hash that is answered with a rating."""


async def erase(session: AsyncSession, book: Book, project_id: str, person: str, now: datetime) -> Erased:
    """Removes a person (a keyed hash) as a rater and as a unit; the caller has opened `book`, and commits.

    Their ratings and votes go, the texts and the unit of the answers that were for them, their exposures, their quotas, their
    mark on receipts, and answers kept for idempotency that hold any of it. Everything is un-counted; that an answer was given,
    and how long it took, stays counted. A vote that they had replaced is not brought back, and what others said of their
    answers stays as a rating that counts in no rollout.
    """
    found = await session.scalars(
        select(VoteRow).where(
            col(VoteRow.project_id) == project_id, (col(VoteRow.rater) == person) | (col(VoteRow.unit) == person)
        )
    )
    votes = list(found)
    await book.read_scales({vote.split for vote in votes}, {vote.signal for vote in votes})
    for vote in votes:
        book.uncount(vote)
        await session.delete(vote)
    hers = (col(InferenceRow.project_id) == project_id, col(InferenceRow.unit) == person)
    exposures = await session.scalars(
        select(ExposureRow).where(col(ExposureRow.project_id) == project_id, col(ExposureRow.unit) == person)
    )
    for exposure in list(exposures):
        book.add(exposure.split, Tally(exposure.phase, exposure.arm, UNITS, 0, -1, -1.0, -1.0))  # type: ignore[arg-type]
        await session.delete(exposure)
    lately = await session.scalars(select(col(InferenceRow.id)).where(*hers, col(InferenceRow.at) > now - 2 * KEPT))
    await erase_answers(session, project_id, {person[:SHOWN].encode(), *(answer.encode() for answer in lately)})
    await session.execute(
        update(RatingRow)
        .where(
            col(RatingRow.project_id) == project_id,
            col(RatingRow.in_rollout).is_(True),
            col(RatingRow.inference_id).in_(select(col(InferenceRow.id)).where(*hers)),
        )
        .values(in_rollout=False)
        .execution_options(synchronize_session=False)
    )
    ratings = await session.execute(
        delete(RatingRow).where(col(RatingRow.project_id) == project_id, col(RatingRow.rater) == person)
    )
    await session.execute(
        update(InferenceRow)
        .where(col(InferenceRow.project_id) == project_id, col(InferenceRow.used_by) == person)
        .values(used_by=None)
        .execution_options(synchronize_session=False)
    )
    answers = await session.execute(
        update(InferenceRow)
        .where(*hers)
        .values(unit=None, variables=None, messages=None, output=None, error=None, tags=[])
        .execution_options(synchronize_session=False)
    )
    await session.execute(
        delete(QuotaRow).where(
            col(QuotaRow.project_id) == project_id, col(QuotaRow.who).startswith(f"rater {person} ", autoescape=True)
        )
    )
    await book.store()
    return Erased(ratings.rowcount, answers.rowcount)  # type: ignore[attr-defined]
