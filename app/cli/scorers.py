import click

from app.cli.command import Session, common


@click.command()
@click.argument("name", required=False)
@common
async def scorers(session: Session, name: str | None) -> None:
    """List the scorers, or show one with its arguments."""
    async with session.client() as client:
        print(await client.scorers.list())
