"""`promptward audit`: every change, and whether the chain of them is whole, here or in a file."""

from pathlib import Path
from typing import Any

import click
import msgspec

from app.cli.command import Session, common
from app.cli.exits import Exit, UserError
from app.cli.files import replacing

head_option = click.option(
    "--head", "heads", multiple=True, metavar="NO:HASH", help="An earlier checkpoint that has to lie on the chain."
)


@click.group()
def audit() -> None:
    """Who changed what, when and why."""


@audit.command("list")
@click.option("--action", help="Such as label.moved, or its noun: release.")
@click.option("--subject", help="Text in what was changed.")
@click.option("--actor", help="Text in who changed it.")
@click.option("--since", metavar="TIME", help="From this time on: RFC 3339, such as 2027-01-31T00:00:00Z.")
@click.option("--until", metavar="TIME", help="Before this time.")
@click.option("--limit", type=click.IntRange(1, 500), help="How many on a page.  [default: 20]")
@click.option("--cursor", help="Where the page before ended.")
@click.option("--all", "everything", is_flag=True, help="All of them, not one page.")
@common
async def list_changes(
    session: Session, limit: int | None, cursor: str | None, everything: bool, **filters: str | None
) -> None:
    """Changes, newest first."""
    if everything and (limit is not None or cursor is not None):
        raise UserError("--all shows everything; leave out --limit and --cursor")
    found: dict[str, Any] = {"items": [], "next_cursor": None}
    async with session.client() as client:
        while True:
            size = 500 if everything else limit or 20
            page: Any = await client.audit.list(limit=size, cursor=cursor, **filters)
            found["items"] += page["items"]
            found["next_cursor"] = cursor = page["next_cursor"]
            if page.get("unreadable"):
                found["unreadable"] = [*found.get("unreadable", []), *page["unreadable"]]
            if cursor is None or not everything:
                break
    session.out.data(found)
    rows = [[e["no"], e["at"][:19], e["actor"], e["action"], e["subject"], e["reason"]] for e in found["items"]]
    session.out.table([">no", "at", "by", "what", "of", "why"], rows)
    for number in found.get("unreadable", []):
        session.out.note(f"entry {number} was altered and cannot be shown; see `promptward audit verify`")
    if cursor is not None:
        session.out.note(f"there are more: --cursor {cursor}, or --all")


@audit.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--since-no", type=click.IntRange(min=1), help="From this entry on, to continue an earlier export.")
@common
async def export(session: Session, file: Path, since_no: int | None) -> None:
    """Write the chain to FILE as JSON lines, oldest first. The last line is a checkpoint; keep what this prints elsewhere."""
    tail, lines = b"", 0
    async with session.client() as client:
        with replacing(file) as target:
            async for piece in client.audit.export(since_no=since_no):
                target.write(piece)
                lines += piece.count(b"\n")
                tail = (tail + piece)[-10_000:]
    end = msgspec.json.decode(tail.splitlines()[-1])["checkpoint"]
    session.out.data({"file": str(file), "entries": lines - 1, "checkpoint": end})
    session.out.line(f"wrote {file} ({lines - 1:,} entries)")
    session.out.line(f"checkpoint {end['no']}:{end['hash']}")


@audit.command()
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Check this export instead; needs neither service nor database.",
)
@head_option
@click.option("--signed", is_flag=True, help="With --file: its checkpoint was sealed with this home's signing key.")
@common
async def verify(session: Session, file: Path | None, heads: tuple[str, ...], signed: bool) -> int:
    """Compute the whole chain again. Ends with 4 when it is broken, and names the first bad entry."""
    if file is None:
        if signed or len(heads) > 1:
            raise UserError("--signed, and more than one --head, go with --file")
        async with session.client() as client:
            found = await client.audit.verify(head=heads[0] if heads else None)
    else:
        found = _checked(session, file, heads, signed)
    session.out.data(found)
    if found["ok"]:
        session.out.line(f"whole: {found['entries']} entries, head {found['head']}")
        return Exit.PASS
    session.out.line(f"broken at entry {found['first_bad']}: {found['why']}")
    return Exit.TROUBLE


def _checked(session: Session, file: Path, heads: tuple[str, ...], signed: bool) -> dict[str, Any]:
    from app.main import check_audit_export

    try:
        with file.open("rb") as lines:
            found = check_audit_export(lines, heads, session.settings if signed else None)
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be checked: {error}") from error
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain
