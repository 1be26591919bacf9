"""A command with a defect, to see what its user sees."""

import click

from app.cli.command import Session, common


@click.command()
@common
async def broken(session: Session) -> None:
    """Fail."""
    raise RuntimeError("two\nlines")
