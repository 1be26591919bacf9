"""`promptward workers`: who performs runs, and what waits."""

import click

from app.cli.command import Session, common


@click.command()
@common
async def workers(session: Session) -> None:
    """Show the services and workers of the database, and how much work waits."""
    async with session.client() as client:
        found = await client.workers()
    session.out.data(found)
    processes = found["processes"]
    if processes:
        columns = ["id", "kind", "version", "host", "pid", "alive", "started_at", "seen_at"]
        session.out.table(columns, [[process[c] for c in columns] for process in processes])
    else:
        session.out.line("This service has its database for itself, and performs its runs.")
    load = found["load"]
    rows = [[name, states["queued"], states["at_work"]] for name, states in load["jobs"].items()]
    session.out.table(["priority", "jobs queued", "jobs at work"], rows)
    session.out.line(
        f"{load['runs']['running']} runs at work, {load['runs']['queued']} waiting, {load['open_cells']} open cells"
    )
