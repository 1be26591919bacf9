"""`promptward import`: what another tool left, as versions here."""

import json
from pathlib import Path
from typing import Any

import click

from app.cli import git
from app.cli.command import Session, common
from app.cli.exits import UserError
from app.cli.output import Output
from app.cli.project import packed
from app.cli.sync import MARKS, STYLES

GIT = "git"
MAX_FILES = 2_000
SKIPPED = (".git", "node_modules", "__pycache__", ".venv", ".promptward")
ENDINGS = {
    "promptfoo": (".yaml", ".yml", ".json", ".csv", ".txt", ".md"),
    "openai": (".json",),
    "langfuse": (".json", ".jsonl"),
    "prompt.yml": (".prompt.yml", ".prompt.yaml"),
    "prompty": (".prompty",),
    "text": (".md", ".txt"),
    "git-log": (".jsonl",),
}
FORMATS = (*ENDINGS, GIT)


@click.command("import")
@click.option("--from", "named", type=click.Choice(FORMATS), help="The format; or give it as the first argument.")
@click.argument("arguments", nargs=-1, metavar="[FORMAT] [PATH]...")
@click.option("--plan", is_flag=True, help="Only show what would be made, and what would be lost.")
@click.option("--message", default="", help="Kept with each new version.")
@click.option("--force", is_flag=True, help="Overwrite what was changed here since.")
@common
async def import_(
    session: Session, named: str | None, arguments: tuple[str, ...], plan: bool, message: str, force: bool
) -> None:
    """Take prompts, suites and datasets over from another tool.

    FORMAT is promptfoo, openai, langfuse, prompt.yml, prompty, text, git or git-log. PATH is a file or a folder (by default this
    one). `git` takes every version of the text files below a folder, with dates and authors. `promptward export` then writes
    them as files of a project.
    """
    form, paths = (named, arguments) if named is not None else (arguments[:1] or ("",), arguments[1:])
    form = form if isinstance(form, str) else form[0]
    if form not in FORMATS:
        raise UserError(f"{form!r} is no format; use one of {', '.join(FORMATS)}")
    files, form = collected(form, [Path(path) for path in paths] or [Path.cwd()])
    async with session.client() as client:
        result = await client.import_(form, files, "plan" if plan else "apply", message=message, force=force)
    session.out.data(result)
    _show(session.out, result, plan=plan)


def collected(form: str, paths: list[Path]) -> tuple[list[dict[str, str]], str]:
    """The files to send and the format that they are in. A `UserError` where nothing is to be found."""
    for path in paths:
        if not path.exists():
            raise UserError(f"{path} does not exist")
    if form == GIT:
        lines = [line for path in paths for line in git.history(path)]
        if not lines:
            raise UserError(f"no text file ({', '.join(git.TEXTS)}) below {paths[0]} has a history")
        return [{"path": "history.jsonl", "text": "".join(f"{json.dumps(line)}\n" for line in lines)}], "git-log"
    files: dict[str, dict[str, str]] = {}
    for path in paths:
        for name, file in _found(path, form):
            files[name] = packed(name, file.read_bytes()).payload()
    if not files:
        raise UserError(f"{paths[0]} holds no file that ends in {', '.join(ENDINGS[form])}")
    if len(files) > MAX_FILES:
        raise UserError(f"{len(files):,} files; at most {MAX_FILES:,} are imported at once: name a folder or files")
    return list(files.values()), form


def _found(path: Path, form: str) -> list[tuple[str, Path]]:
    """Files by the name that they are sent under: from the folder that was given, or a named file's own name."""
    if path.is_file():
        beside = path.parent.rglob("*") if form == "promptfoo" else [path]
        return [
            (file.relative_to(path.parent).as_posix(), file)
            for file in sorted(beside)
            if file == path or _wanted(file, path.parent, form, config=False)
        ]
    files = sorted(path.rglob("*"))
    return [(file.relative_to(path).as_posix(), file) for file in files if _wanted(file, path, form, config=True)]


def _wanted(file: Path, root: Path, form: str, *, config: bool) -> bool:
    parts = file.relative_to(root).parts
    if any(part in SKIPPED or part.startswith(".") for part in parts) or not file.is_file() or file.is_symlink():
        return False
    other_config = not config and file.name.startswith("promptfooconfig")
    return file.name.endswith(ENDINGS[form]) and not other_config


def _show(out: Output, result: dict[str, Any], *, plan: bool) -> None:
    items = [item for item in result["items"] if item["action"] != "unchanged"]
    for item in items:
        text = (
            f"{MARKS[item['action']]} {item['kind']:<13} {item['name']:<40} {item['version'] or '':<4} {item['reason']}"
        )
        out.styled(text.rstrip(), STYLES[item["action"]])
    for alias, name in result["aliases"].items():
        out.line(f"  alias         {alias} is {name}")
    show_losses(out, result["losses"])
    done = "to come" if plan else "made"
    unchanged = len(result["items"]) - len(items)
    told = [f"{len(items)} {done}"] if items else []
    told += [f"{result['versions']} earlier versions {'to come' if plan else 'made'}"] if result["versions"] else []
    out.line(", ".join([*told, f"{unchanged} unchanged", f"{len(result['losses'])} not carried over"]))


def show_losses(out: Output, losses: list[dict[str, Any]]) -> None:
    """What could not be carried over, each with its place."""
    for loss in losses:
        place = loss["path"] if loss["line"] is None else f"{loss['path']}:{loss['line']}"
        out.note(f"not carried over: {place}: {loss['what']}")
