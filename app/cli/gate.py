"""`promptward gate`: check policies before they judge anything."""

from pathlib import Path

import click
from promptward import FieldProblem, PromptwardError

from app.cli.command import Session, common
from app.cli.exits import UserError
from app.cli.project import File, packed
from app.settings import PROJECT_FILE

SENT_AS = "prompts/policy.policy.yaml"


@click.group()
def gate() -> None:
    """Work on gate policies."""


@gate.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@common
async def lint(session: Session, file: Path) -> None:
    """Check a policy file, or every policy in a promptward.yaml. Nothing is kept."""
    path = PROJECT_FILE if file.name == PROJECT_FILE else SENT_AS
    sent = _read(file, path)
    async with session.client() as client:
        try:
            found = await client.sync([sent.payload()], "plan")
        except PromptwardError as error:
            if error.slug != "invalid-content":
                raise
            places = [FieldProblem(e.pointer.replace(path, str(file)), e.detail) for e in error.errors]
            raise UserError(error.detail.replace(path, str(file)), places) from error
    policies = [item for item in found["items"] if item["kind"] == "gate-policies"]
    if not policies:
        raise UserError(f"{file} declares no gate policies")
    named = [(item["name"] if path == PROJECT_FILE else str(file), item["content"]) for item in policies]
    session.out.data([{"name": name, "content": content} for name, content in named])
    for name, content in named:
        count = len(content.get("rules", []))
        session.out.line(f"{name}: valid, {count} rule{'s' * (count != 1)}")


def _read(file: Path, path: str) -> File:
    return packed(path, file.read_bytes())
