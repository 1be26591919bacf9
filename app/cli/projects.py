"""`promptward projects`: made, listed, archived and restored by an admin of `default`."""

import click

from app.cli.command import Session, common


@click.group()
def projects() -> None:
    """List, make, archive and restore projects."""


@projects.command("list")
@common
async def list_projects(session: Session) -> None:
    """List the projects, archived ones too."""
    async with session.client() as client:
        found = [project async for project in client.projects.each()]
    session.out.data(found)
    columns = ["id", "name", "created_at", "created_by", "archived_at"]
    session.out.table(columns, [[dict(project)[c] for c in columns] for project in found])


@projects.command()
@click.argument("name")
@click.option("--id", "project_id", metavar="ID", help="By default made of the name.")
@common
async def create(session: Session, name: str, project_id: str | None) -> None:
    """Make a project. Its first admin key is printed now and never shown again."""
    async with session.client() as client:
        created = await client.projects.create(name, id=project_id)
    session.out.data(created)
    session.out.line(created["key"]["key"])
    session.out.note(f"This is the only time that the first admin key of the project {created['id']} is shown.")


@projects.command()
@click.argument("project_id", metavar="ID")
@common
async def archive(session: Session, project_id: str) -> None:
    """Archive a project: its keys stop working within seconds, its data stays."""
    async with session.client() as client:
        await client.projects.archive(project_id)
    session.out.data({"id": project_id, "archived": True})
    session.out.line(f"archived {project_id}")


@projects.command()
@click.argument("project_id", metavar="ID")
@common
async def restore(session: Session, project_id: str) -> None:
    """Restore an archived project: its keys work again."""
    async with session.client() as client:
        await client.projects.update(project_id, archived=False)
    session.out.data({"id": project_id, "archived": False})
    session.out.line(f"restored {project_id}")
