"""`promptward runs`: list, show, cancel, resume, extend, clone, rescore."""

import json
from typing import Any

import click

from app.cli.command import Session, allow_code, common
from app.cli.exits import UserError
from app.cli.plan import show_plan
from app.cli.progress import follow
from app.cli.run_report import exit_code, show, told

run_argument = click.argument("run_id", metavar="RUN")


@click.group()
def runs() -> None:
    """List runs, show one, stop it, go on with it, make it larger, ask for another like it, score it again."""


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
@click.option("--errors", is_flag=True, help="Only what was lost to infrastructure; what was cancelled stays so.")
@allow_code
@common
async def resume(session: Session, run_id: str, budget: float | None, errors: bool) -> int:
    """Go on with a run that was stopped, or lost cells to infrastructure."""
    async with session.client() as client:
        await client.runs.resume(run_id, budget_usd=budget, only="errors" if errors else None)
        found = await follow(session, client, run_id, run_id)
        await show(session.out, client, found)
    return exit_code(found)


@runs.command()
@run_argument
@click.option("--max-cases", type=click.IntRange(min=1), help="How many cases it is to have in all.")
@click.option("--repeats", type=click.IntRange(1, 100), help="How many answers per case it is to have in all.")
@click.option("--budget", type=click.FloatRange(min=0), metavar="USD", help="A new budget; what was spent counts.")
@allow_code
@common
async def extend(
    session: Session, run_id: str, max_cases: int | None, repeats: int | None, budget: float | None
) -> int:
    """Put more cases or repeats into a run. What it has stays as it is."""
    if max_cases is None and repeats is None:
        raise UserError("say what to add: --max-cases N, --repeats N")
    async with session.client() as client:
        await client.runs.extend(run_id, max_cases=max_cases, repeats=repeats, budget_usd=budget)
        found = await follow(session, client, run_id, run_id)
        await show(session.out, client, found)
    return exit_code(found)


@runs.command()
@run_argument
@click.option("--set", "changes", multiple=True, metavar="FIELD=JSON", help="Such as max_cases=50 or suite=docs@2.")
@allow_code
@common
async def clone(session: Session, run_id: str, changes: tuple[str, ...]) -> int:
    """Start a run like another one, with the versions that it had, but for what is set."""
    given: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or not name:
            raise UserError(f"{change!r} is not FIELD=JSON, such as max_cases=50")
        try:
            given[name] = json.loads(text)
        except ValueError:
            given[name] = text  # a word, such as a reference
    async with session.client() as client:
        started = await client.runs.clone(run_id, **given)
        if started["plan"] is not None:
            show_plan(session.out, started["plan"], aside=True)
        session.out.note(f"run {started['id']}")
        found = await follow(session, client, started["id"], started["id"])
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
