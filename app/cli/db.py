"""`promptward db`: the database of this home (or of PROMPTWARD_DATABASE_URL), without a service."""

import click

from app.cli.command import Session, common
from app.cli.connection import same_errors


@click.group()
def db() -> None:
    """Bring the database up to date, or check that it is."""


@db.command()
@common
async def upgrade(session: Session) -> None:
    """Bring the schema up to date. Stop the service on this home first."""
    from app.main import upgrade_database

    with same_errors():
        done = await upgrade_database(session.settings)
    session.out.data({"upgraded": done})
    session.out.line("upgraded" if done else "already up to date")


@db.command()
@common
async def check(session: Session) -> None:
    """Check that the schema is the one this program needs; exit code 4 when it is not."""
    from app.main import check_database

    with same_errors():
        await check_database(session.settings)
    session.out.data({"up_to_date": True})
    session.out.line("up to date")
