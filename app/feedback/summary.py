"""Rates and means of ratings with their intervals, computed in the database up to a few sums per group."""

from datetime import datetime
from math import sqrt
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.feedback.schemas import Summary, SummaryRow
from app.feedback.tables import RatingRow

By = Literal["version", "release", "environment", "endpoint", "signal"]
CONFIDENCE = 0.95


async def summary(
    session: AsyncSession,
    project_id: str,
    *,
    prompt: str | None,
    by: By,
    signal: str | None,
    since: datetime | None,
) -> Summary:
    """One row per key and signal. A rating that its rater replaced, and what a cap set aside, is left out."""
    key: Any = {
        "version": col(RatingRow.prompt).concat("@").concat(_text(col(RatingRow.version))),
        "release": col(RatingRow.release),
        "environment": col(RatingRow.environment),
        "endpoint": col(RatingRow.endpoint),
        "signal": col(RatingRow.signal),
    }[by]
    key = func.coalesce(key, "")
    per_rater = select(
        key.label("key"),
        col(RatingRow.signal).label("signal"),
        col(RatingRow.rater).label("rater"),
        func.count().label("n"),
        func.sum(col(RatingRow.value)).label("s"),
    ).where(col(RatingRow.project_id) == project_id, col(RatingRow.current).is_(True), col(RatingRow.counted).is_(True))
    if prompt is not None:
        per_rater = per_rater.where(col(RatingRow.prompt) == prompt)
    if signal is not None:
        per_rater = per_rater.where(col(RatingRow.signal) == signal)
    if since is not None:
        per_rater = per_rater.where(col(RatingRow.created_at) >= since)
    grouped = per_rater.group_by(key, col(RatingRow.signal), col(RatingRow.rater)).subquery()
    c = grouped.c
    sums = select(
        c.key,
        c.signal,
        func.count(),
        func.sum(c.n),
        func.sum(c.s),
        func.sum(c.s * c.s),
        func.sum(c.n * c.s),
        func.sum(c.n * c.n),
    ).group_by(c.key, c.signal)
    rows = (await session.execute(sums.order_by(c.key, c.signal))).all()
    return Summary(prompt, by, [_row(by, *row) for row in rows])


def _text(number: Any) -> Any:
    from sqlalchemy import String, cast

    return cast(number, String)


def _row(
    by: By, key: str, signal: str, raters: int, n: Any, total: float, squares: float, cross: float, sizes: Any
) -> SummaryRow:
    """From sums over raters of their number of ratings n_g and the ratings' sum s_g.

    The clustered standard error is sqrt(G/(G-1) sum_g (s_g - n_g m)^2) / N, with G - 1 degrees of freedom.
    """
    n, sizes = int(n), int(sizes)
    number = key.rpartition("@")[2]
    version = int(number) if by == "version" and number.isdigit() else None
    mean = total / n
    low: float | None
    high: float | None
    if signal == "thumbs" and raters == n:
        low, high = wilson(total, n)
        method = "wilson"
    elif raters < 2:
        low = high = None
        method = "one rater"
    else:
        from scipy.special import stdtrit

        spread = max(0.0, squares - 2 * mean * cross + mean * mean * sizes)
        se = sqrt(raters / (raters - 1) * spread) / n
        half = float(stdtrit(raters - 1, (1 + CONFIDENCE) / 2)) * se
        low, high, method = mean - half, mean + half, "t, clustered by rater"
    return SummaryRow(
        key=key,
        version=version,
        signal=signal,
        n=n,
        raters=raters,
        mean=mean,
        low=low,
        high=high,
        confidence=CONFIDENCE,
        method=method,
    )


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Two-sided 95 % interval of a rate (Wilson 1927)."""
    z = 1.959963984540054
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return centre - half, centre + half
