"""Endpoints side by side on one suite, over time: from what runs counted, not from their cells."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.errors import InvalidContentError
from app.monitoring.schemas import Leaderboard, Place, Standing
from app.runs import history
from app.runs.history import Past, PastVariant

MOST_RUNS = 200
LATENCY = "latency"


async def leaderboard(
    session: AsyncSession, project_id: str, suite: str, metric: str | None, since: datetime | None
) -> Leaderboard:
    """The best first, by the latest mean of `metric` (by default the suite's first score). Raises `InvalidContentError` when
    no run of the suite has that metric."""
    runs = await history.of_suite(session, project_id, suite, MOST_RUNS + 1, since=since, statuses=("done", "budget"))
    complete, runs = len(runs) <= MOST_RUNS, runs[:MOST_RUNS]
    if not runs:
        return Leaderboard(suite, metric or "", "maximize", None, [], 0, complete)
    known = list(dict.fromkeys(m.name for run in runs for m in run.spec.metrics))
    chosen = metric or next((m.name for m in runs[0].spec.metrics if m.high is not None), known[0] if known else "")
    if chosen not in known:
        raise InvalidContentError.at("/metric", f"no run of {suite} has {chosen!r}; there is {', '.join(known)}")
    latest = next(run for run in runs if chosen in {m.name for m in run.spec.metrics})
    measured = next(m.of_cases for m in latest.spec.metrics if m.name == chosen)
    histories: dict[tuple[str, str], list[tuple[Past, Standing]]] = {}
    for run in runs:
        for one in run.variants:
            if (standing := _standing(run, one, chosen)) is not None:
                key = (one.variant.endpoint_name, one.variant.prompt.partition("@")[0])
                histories.setdefault(key, []).append((run, standing))
    places = [_place(endpoint, prompt, found, latest) for (endpoint, prompt), found in histories.items()]
    sign = -1 if measured.direction == "maximize" else 1
    places.sort(key=lambda place: (place.latest.mean is None, sign * (place.latest.mean or 0.0), place.endpoint))
    return Leaderboard(suite, chosen, measured.direction, measured.unit, places, len(runs), complete)


def _standing(run: Past, one: PastVariant, metric: str) -> Standing | None:
    told = one.metrics.get(metric)
    if told is None:
        return None
    by_use = {m.name: m.use for m in run.spec.metrics}
    latency = next((one.metrics[name].median for name in one.metrics if by_use.get(name) == LATENCY), None)
    return Standing(
        run=run.id,
        at=run.at,
        prompt=one.variant.prompt,
        endpoint=one.variant.endpoint,
        suite=run.spec.suite,
        cases=run.spec.cases,
        n=told.n,
        missing=told.missing,
        mean=told.mean,
        low=told.low,
        high=told.high,
        cost_per_cell_usd=one.cost_per_cell_usd,
        latency_ms=latency,
    )


def _place(endpoint: str, prompt: str, found: list[tuple[Past, Standing]], newest: Past) -> Place:
    standings = [standing for _, standing in found]
    run = found[0][0]
    return Place(
        endpoint=endpoint,
        prompt=prompt,
        latest=standings[0],
        cost_per_cell_usd=next((s.cost_per_cell_usd for s in standings if s.cost_per_cell_usd is not None), None),
        latency_ms=next((s.latency_ms for s in standings if s.latency_ms is not None), None),
        same_data=(run.spec.dataset_digest, run.spec.cases) == (newest.spec.dataset_digest, newest.spec.cases),
        history=standings,
    )
