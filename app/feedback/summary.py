"""Rates and means of ratings with their intervals, computed in the database up to a few sums per group."""

from math import sqrt
from typing import Any, Literal, NamedTuple

from sqlalchemy import String, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.feedback.filters import Filters, filtered
from app.feedback.schemas import Summary, SummaryRow
from app.feedback.tables import RatingRow

By = Literal["version", "release", "environment", "endpoint", "signal"]
CONFIDENCE = 0.95
SCALES = {"thumbs": (0.0, 1.0), "stars": (1.0, 5.0), "score": (0.0, 1.0)}


class _Sums(NamedTuple):
    """Sums over the raters g of one group, each with n_g ratings that sum to s_g; r_g = s_g - n_g m, m the mean rating."""

    raters: int
    n: int
    mean: float
    residuals: float
    """sum r_g^2"""
    crossed: float
    """sum n_g r_g"""
    sizes: float
    """sum n_g^2"""


async def summary(session: AsyncSession, project_id: str, filters: Filters, by: By) -> Summary:
    """One row per key and signal. A rating that its rater replaced, and what a cap set aside, is left out.

    Raises as `filtered` does.
    """
    key: Any = {
        "version": col(RatingRow.prompt).concat("@").concat(cast(col(RatingRow.version), String)),
        "release": col(RatingRow.release),
        "environment": col(RatingRow.environment),
        "endpoint": col(RatingRow.endpoint),
        "signal": col(RatingRow.signal),
    }[by]
    chosen = select(
        func.coalesce(key, "").label("key"),
        col(RatingRow.signal).label("signal"),
        col(RatingRow.rater).label("rater"),
        col(RatingRow.value).label("value"),
    ).where(col(RatingRow.current).is_(True), col(RatingRow.counted).is_(True))
    ratings = (await filtered(session, project_id, filters, chosen)).subquery().c
    grouped = (
        select(ratings.key, ratings.signal, ratings.rater, func.count().label("n"), func.sum(ratings.value).label("s"))
        .group_by(ratings.key, ratings.signal, ratings.rater)
        .cte("by_rater")
    )
    g = grouped.c
    means = (
        select(
            g.key,
            g.signal,
            func.count().label("raters"),
            func.sum(g.n).label("n"),
            (func.sum(g.s) / func.sum(g.n)).label("mean"),
        )
        .group_by(g.key, g.signal)
        .cte("means")
    )
    # A second pass over the residuals: the difference of two large sums of squares would be rounding and nothing else.
    m = means.c
    residual = g.s - g.n * m.mean
    query = (
        select(
            m.key,
            m.signal,
            m.raters,
            m.n,
            m.mean,
            func.sum(residual * residual),
            func.sum(g.n * residual),
            func.sum(g.n * g.n),
        )
        .select_from(means.join(grouped, (g.key == m.key) & (g.signal == m.signal)))
        .group_by(m.key, m.signal, m.raters, m.n, m.mean)
        .order_by(m.key, m.signal)
    )
    rows = (await session.execute(query)).all()
    return Summary(filters.prompt, by, [_row(by, key, signal, _sums(*sums)) for key, signal, *sums in rows])


def _sums(raters: int, n: Any, mean: float, residuals: float, crossed: float, sizes: Any) -> _Sums:
    return _Sums(int(raters), int(n), float(mean), float(residuals), float(crossed), float(sizes))


def _row(by: By, key: str, signal: str, sums: _Sums) -> SummaryRow:
    number = key.rpartition("@")[2]
    low, high, method = _interval(signal, sums)
    return SummaryRow(
        key=key,
        version=int(number) if by == "version" and number.isdigit() else None,
        signal=signal,
        n=sums.n,
        raters=sums.raters,
        mean=sums.mean,
        low=low,
        high=high,
        confidence=CONFIDENCE,
        method=method,
    )


def _interval(signal: str, sums: _Sums) -> tuple[float | None, float | None, str]:
    """Bounds of the mean and how they were found. On a known scale they lie on it, and one imaginary rater at its end is
    counted against each: people who all say the same are no proof that everybody does."""
    scale = SCALES.get(signal)
    if signal == "thumbs" and sums.raters == sums.n:
        return *wilson(sums.mean * sums.n, sums.n), "wilson"
    if sums.raters < 2:
        return None, None, "one rater"
    if scale is not None:
        below, above = _clustered(_with(sums, scale[0])), _clustered(_with(sums, scale[1]))
        low, high = max(scale[0], below[0] - below[1]), min(scale[1], above[0] + above[1])
        return low, high, "t, clustered by rater, with one more at the end of the scale"
    mean, half = _clustered(sums)
    # Below this a spread is what adding the values up in floating point makes.
    if half <= 1e-12 * max(1.0, abs(mean)):
        return None, None, "all raters agree"
    return mean - half, mean + half, "t, clustered by rater"


def _with(sums: _Sums, value: float) -> _Sums:
    """The same with one more rater, who gave one rating."""
    mean = sums.mean + (value - sums.mean) / (sums.n + 1)
    shift = sums.mean - mean
    residuals = sums.residuals + 2 * shift * sums.crossed + shift * shift * sums.sizes + (value - mean) ** 2
    crossed = sums.crossed + shift * sums.sizes + (value - mean)
    return _Sums(sums.raters + 1, sums.n + 1, mean, residuals, crossed, sums.sizes + 1)


def _clustered(sums: _Sums) -> tuple[float, float]:
    """The mean, and half the width of its interval.

    The clustered standard error is sqrt(G/(G-1) sum_g r_g^2) / N, with G - 1 degrees of freedom.
    """
    from scipy.special import stdtrit

    raters, n, mean, residuals, _, _ = sums
    se = sqrt(raters / (raters - 1) * max(0.0, residuals)) / n
    return mean, float(stdtrit(raters - 1, (1 + CONFIDENCE) / 2)) * se


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Two-sided 95 % interval of a rate (Wilson 1927)."""
    z = 1.959963984540054
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)
