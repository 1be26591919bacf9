"""`promptward runs`: list, show, cancel, resume, rescore."""

import click

from app.cli.command import Session, allow_code, common
from app.cli.progress import follow
from app.cli.run_report import exit_code, show, told

run_argument = click.argument("run_id", metavar="RUN")


@click.group()
def runs() -> None:
    """List runs, show one, stop it, go on with it, score it again."""


@runs.command("list")
@click.option("--status", help="queued, running, done, budget, cancelled or failed.")
@click.option("--suite", help="Only runs of this suite.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@common
async def list_runs(session: Session, status: str | None, suite: str | None, limit: int) -> None:
    """List runs, newest first."""
    async with session.client() as client:
        page = await client.runs.list(status=status, suite=suite, limit=limit)
    session.out.data(page["items"])
    rows = [
        [r["id"], r["status"], r["suite"], r["candidates"], told(r["cells"]), r["created_at"]] for r in page["items"]
    ]
    session.out.table(["run", "status", "suite", "candidates", "cells", "created at"], rows)


@runs.command("show")
@run_argument
@common
async def show_run(session: Session, run_id: str) -> int:
    """Show a run's figures again. The exit code is that of `run`."""
    async with session.client() as client:
        found = await client.runs.get(run_id)
        await show(session.out, client, found)
    return exit_code(found)


@runs.command()
@run_argument
@common
async def cancel(session: Session, run_id: str) -> None:
    """Stop a run. What has been answered is kept."""
    async with session.client() as client:
        found = await client.runs.cancel(run_id)
    session.out.data(found)
    session.out.line(f"{found['status']}: {told(found['cells'])}")


@runs.command()
@run_argument
@click.option("--budget", type=click.FloatRange(min=0), metavar="USD", help="A new budget; what was spent counts.")
@allow_code
@common
async def resume(session: Session, run_id: str, budget: float | None) -> int:
    """Go on with a run that was stopped, or lost cells to infrastructure."""
    async with session.client() as client:
        await client.runs.resume(run_id, budget_usd=budget)
        found = await follow(session, client, run_id, run_id)
        await show(session.out, client, found)
    return exit_code(found)


@runs.command()
@run_argument
@click.option("--suite", help="Whose scorers to use; by default the latest version of the run's own suite.")
@allow_code
@common
async def rescore(session: Session, run_id: str, suite: str | None) -> int:
    """Score the stored answers again. Calls no model but a judge."""
    async with session.client() as client:
        await client.runs.rescore(run_id, suite=suite)
        found = await follow(session, client, run_id, run_id)
        await show(session.out, client, found)
    return exit_code(found)
