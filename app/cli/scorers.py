import click

from app.cli.command import Session, common
from app.cli.exits import UserError
from app.cli.output import shown


@click.command()
@click.argument("name", required=False)
@common
async def scorers(session: Session, name: str | None) -> None:
    """List the scorers, or show one with its arguments."""
    async with session.client() as client:
        print(await client.scorers.list())
