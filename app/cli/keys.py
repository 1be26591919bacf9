import click

from app.cli.command import Session, common


@click.group()
def keys() -> None:
    """List, make and revoke API keys."""


@keys.command("list")
@common
async def list_keys(session: Session) -> None:
    """List the project's keys, without their secrets."""
    async with session.client() as client:
        found = [key async for key in client.keys.each()]
    session.out.data(found)
    columns = ["id", "name", "role", "clearance", "created_at", "expires_at", "last_used_at", "revoked_at"]
    session.out.table(columns, [[key[c] for c in columns] for key in found])


@keys.command()
@click.argument("name")
@click.option(
    "--role",
    default="ci",
    show_default=True,
    help="admin, approver, engineer, proposer, ci, server, feedback or reader.",
)
@click.option("--clearance", help="public, internal, confidential or personal; the role's own by default.")
@click.option("--expires-at", metavar="TIME", help="RFC 3339, such as 2027-01-31T00:00:00Z.")
@common
async def create(session: Session, name: str, role: str, clearance: str | None, expires_at: str | None) -> None:
    """Make a key. It is printed now and never shown again."""
    async with session.client() as client:
        created = await client.keys.create(role, name, expires_at=expires_at, clearance=clearance)
    session.out.data(created)
    session.out.line(created["key"])
    session.out.note(f"This is the only time that the key {created['id']} ({created['role']}) is shown.")


@keys.command()
@click.argument("key_id", metavar="ID")
@common
async def revoke(session: Session, key_id: str) -> None:
    """Revoke a key; it stops working within seconds."""
    async with session.client() as client:
        await client.keys.revoke(key_id)
    session.out.data({"id": key_id, "revoked": True})
    session.out.line(f"revoked {key_id}")
