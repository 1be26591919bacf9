import click

from app.cli.command import Session, common


@click.command()
@common
async def settings(session: Session) -> None:
    """Show every setting, its value and where it came from; secrets are masked."""
    shown = session.settings.shown()
    session.out.data([s._asdict() for s in shown])
    session.out.table(["name", "value", "source"], shown)
