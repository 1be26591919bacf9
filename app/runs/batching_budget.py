"""What batches may cost of a run's budget: in this process's memory, or as a purse of their own beside the processes'."""

from collections.abc import Sequence

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.kit.db import core
from app.runs.active import ActiveRun
from app.runs.budget import LocalBudget
from app.runs.tables import RunPurseRow


async def reserve(session: AsyncSession, run: ActiveRun, batch_id: str, amounts: Sequence[int]) -> int:
    """How many of these amounts, from the first on, the budget has room for; they are set aside for the batch."""
    budget = run.budget
    if budget.limit is None:
        return len(amounts)
    if isinstance(budget, LocalBudget):
        fit, nano = _fitting(budget.limit - budget.spent - budget.reserved, amounts)
        budget.reserved += nano
        return fit
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:run, 0))"), {"run": run.id})
    granted = select(func.coalesce(func.sum(col(RunPurseRow.granted_nano)), 0)).where(
        col(RunPurseRow.project_id) == run.project_id, col(RunPurseRow.run_id) == run.id
    )
    fit, nano = _fitting(budget.limit - int((await session.execute(granted)).scalar_one()), amounts)
    if fit:
        session.add(
            RunPurseRow(project_id=run.project_id, run_id=run.id, process=batch_id, granted_nano=nano, spent_nano=0)
        )
        await session.flush()
    return fit


async def settle(session: AsyncSession, run: ActiveRun, batch_id: str, cost: int) -> None:
    """What the batch cost, where several processes share the budget. A process's own is settled when this is stored."""
    if run.budget.limit is not None and not isinstance(run.budget, LocalBudget):
        purses = core(RunPurseRow)
        await session.execute(
            update(purses)
            .where(purses.c.project_id == run.project_id, purses.c.run_id == run.id, purses.c.process == batch_id)
            .values(granted_nano=cost, spent_nano=cost)
        )


def settled(run: ActiveRun, reserved: int, cost: int) -> None:
    if isinstance(run.budget, LocalBudget):
        run.budget.settle(reserved, cost)


def _fitting(room: int, amounts: Sequence[int]) -> tuple[int, int]:
    nano = 0
    for number, amount in enumerate(amounts):
        if nano + amount > room:
            return number, nano
        nano += amount
    return len(amounts), nano
