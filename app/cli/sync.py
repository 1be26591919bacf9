"""`promptward sync`: the project's files into the registry, or the plan for it."""

import click
from promptward.shapes import SyncResult

from app.cli import git
from app.cli.command import Session, common
from app.cli.exits import Exit, UserError
from app.cli.output import Output
from app.cli.project import find_root, project_files

MARKS = {"create": "+", "update": "~", "archive": "-", "conflict": "!", "unchanged": " "}
STYLES = {"create": "green", "update": "yellow", "archive": "red", "conflict": "bold red", "unchanged": "dim"}
PLANNED = {"create": "to create", "update": "to update", "archive": "to archive", "conflict": "in conflict"}
DONE = {"create": "created", "update": "updated", "archive": "archived", "conflict": "in conflict"}


@click.command()
@click.option("--plan", is_flag=True, help="Only show what would change.")
@click.option("--exit-code", is_flag=True, help="With --plan: end with 10 when something would change.")
@click.option("--prune", is_flag=True, help="Archive what an earlier sync made and whose file is gone.")
@click.option("--force", is_flag=True, help="Overwrite what was changed outside of the files.")
@click.option("--message", default="", help="Kept with each new version.")
@click.option("--commit", help="The commit that the files come from (by default git's); kept with each new version.")
@common
async def sync(
    session: Session, plan: bool, exit_code: bool, prune: bool, force: bool, message: str, commit: str | None
) -> int:
    """Bring the project's files into the registry, all or nothing."""
    if exit_code and not plan:
        raise UserError("--exit-code goes with --plan")
    root = find_root()
    files = [file.payload() for file in project_files(root)]
    async with session.client() as client:
        result = await client.sync(
            files,
            "plan" if plan else "apply",
            prune=prune,
            force=force,
            message=message,
            commit=commit or git.commit_of(root),
        )
    session.out.data(result)
    _show(session.out, result, PLANNED if plan else DONE)
    sections = [*result["environment_changes"], *result.get("schedule_changes", [])]
    differs = any(item["action"] != "unchanged" for item in [*result["items"], *sections])
    return Exit.DIFFERENT if exit_code and differs else Exit.PASS


def _show(out: Output, result: SyncResult, words: dict[str, str]) -> None:
    changes = [item for item in result["items"] if item["action"] != "unchanged"]
    for item in changes:
        before, after = item["from_version"], item["version"]
        numbers = f"{before} -> {after}" if before is not None and after != before else f"{after or before or ''}"
        text = f"{MARKS[item['action']]} {item['kind']:<13} {item['name']:<32} {numbers:<9} {item['reason']}".rstrip()
        out.styled(text, STYLES[item["action"]])
    for change in result["environment_changes"]:
        if change["action"] != "unchanged":
            text = f"{MARKS[change['action']]} {'environments':<13} {change['name']:<32} {'':<9} its rules"
            out.styled(text, STYLES[change["action"]])
    for change in result.get("schedule_changes", []):
        if change["action"] != "unchanged":
            action = "archive" if change["action"] == "delete" else change["action"]
            out.styled(f"{MARKS[action]} {'schedules':<13} {change['name']:<32}".rstrip(), STYLES[action])
    for item in result["items"]:
        for warning in item.get("warnings", []):
            out.note(f"{warning['pointer']}: {warning['detail']}")
    for ignored in result["ignored"]:
        out.note(f"ignored {ignored['path']}: {ignored['reason']}")
    counts = {action: sum(item["action"] == action for item in changes) for action in words}
    told = [f"{count} {words[action]}" for action, count in counts.items() if count]
    unchanged = len(result["items"]) - len(changes)
    out.line(", ".join([*told, f"{unchanged} unchanged"]))
