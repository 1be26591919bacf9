"""How a scheduled run ended, in as few figures as a list can show."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.errors import DomainError
from app.monitoring.schemas import Compared, Outcome
from app.runs.errors import RunNotFoundError
from app.runs.schemas import Cells
from app.runs.service import Runs

BASELINE = "baseline"


async def outcome_of(session: AsyncSession, runs: Runs, project_id: str, run_id: str) -> Outcome:
    """Raises nothing for a run that is gone: its end is that it is."""
    try:
        run = await runs.get(session, project_id, run_id)
    except RunNotFoundError:
        return Outcome("gone", Cells(), 0.0)
    names = [candidate.id for candidate in run.candidates]
    comparisons = []
    for name in names if BASELINE in names and run.status in ("done", "budget") else ():
        if name != BASELINE:
            try:
                found = await runs.comparison(session, project_id, run_id, name, BASELINE)
            except DomainError as error:  # such as sides without a common endpoint
                comparisons.append(Compared(name, BASELINE, [], error.detail))
                continue
            overall = [metric for metric in found.metrics if metric.slice is None]
            comparisons.append(Compared(name, BASELINE, overall))
    return Outcome(run.status, run.cells, run.cost_usd, comparisons)
