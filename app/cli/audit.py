"""`promptward audit`: every change, and whether the chain of them is whole."""

import click

from app.cli.command import Session, common
from app.cli.exits import Exit


@click.group()
def audit() -> None:
    """Who changed what, when and why."""


@audit.command("list")
@click.option("--action", help="Such as label.moved, or its noun: release.")
@click.option("--subject", help="Text in what was changed.")
@click.option("--actor", help="Text in who changed it.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@common
async def list_changes(
    session: Session, action: str | None, subject: str | None, actor: str | None, limit: int
) -> None:
    """Changes, newest first."""
    async with session.client() as client:
        page = await client.audit.list(action=action, subject=subject, actor=actor, limit=limit)
    session.out.data(page)
    rows = [[e["no"], e["at"][:19], e["actor"], e["action"], e["subject"], e["reason"]] for e in page["items"]]
    session.out.table([">no", "at", "by", "what", "of", "why"], rows)


@audit.command()
@common
async def verify(session: Session) -> int:
    """Compute the whole chain again. Ends with 4 when it is broken, and names the first bad entry."""
    async with session.client() as client:
        found = await client.audit.verify()
    session.out.data(found)
    if found["ok"]:
        session.out.line(f"whole: {found['entries']} entries, head {found['head']}")
        return Exit.PASS
    session.out.line(f"broken at entry {found['first_bad']}: {found['why']}")
    return Exit.TROUBLE
