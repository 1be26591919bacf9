"""Who got answers: the keys behind what was served or logged."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.feedback.tables import InferenceRow


class Calls(NamedTuple):
    key: str
    times: int
    last: datetime


async def callers(
    session: AsyncSession, project_id: str, prompts: Sequence[str], since: datetime
) -> dict[str, list[Calls]]:
    """By prompt, which keys got how many of its answers since then; the busiest first."""
    calls = func.count()
    query = (
        select(col(InferenceRow.prompt), col(InferenceRow.key_id), calls, func.max(col(InferenceRow.at)))
        .where(col(InferenceRow.project_id) == project_id, col(InferenceRow.prompt).in_(prompts))
        .where(col(InferenceRow.at) >= since)
        .group_by(col(InferenceRow.prompt), col(InferenceRow.key_id))
        .order_by(calls.desc(), col(InferenceRow.key_id))
    )
    found: dict[str, list[Calls]] = {}
    for prompt, key, count, last in (await session.execute(query)).all():
        found.setdefault(prompt, []).append(Calls(key, count, last))
    return found
