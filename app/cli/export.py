"""`promptward export`: the registry as files of a project, as another tool's files, or a run's cells as one file."""

from pathlib import Path, PurePosixPath
from typing import Any, cast

import click
from promptward import AsyncClient
from promptward.runs import ExportFormat

from app.cli.command import Session, common
from app.cli.exits import UserError
from app.cli.files import replacing
from app.cli.import_ import show_losses
from app.cli.placing import Here, action, items, look, placed, project_text
from app.cli.project import find_root
from app.settings import PROJECT_FILE

RUN_FILES = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}
NATIVE = "promptward"


@click.command()
@click.argument("what", required=False)
@click.argument("target", required=False, type=click.Path(path_type=Path))
@click.option("--prompt", "prompts", multiple=True, help="Only this prompt (of another tool's format).")
@click.option("--suite", "suites", multiple=True, help="Only this suite (of another tool's format).")
@click.option("--plan", is_flag=True, help="Only show which files would be written.")
@click.option("--force", is_flag=True, help="Also overwrite files that were changed and never synced.")
@common
async def export(
    session: Session,
    what: str | None,
    target: Path | None,
    prompts: tuple[str, ...],
    suites: tuple[str, ...],
    plan: bool,
    force: bool,
) -> None:
    """Write the registry back as files, or a run's results.

    \b
    promptward export                      the project's files, into its folder (or a new one, here)
    promptward export promptward DIR       the same into another folder
    promptward export promptfoo DIR        as another tool's files: promptfoo, prompt.yml
    promptward export RUN FILE             all cells of a run: .jsonl, .csv or .parquet

    The same versions give the same bytes, and `promptward sync` finds them unchanged. A file that says the same as the registry
    is left as it is, with its comments.
    """
    if what is not None and what.startswith("run_"):
        await _run(session, what, target)
    elif what in (None, NATIVE):
        await _native(session, target, plan=plan, force=force)
    else:
        await _foreign(session, str(what), target, prompts, suites, plan=plan)


async def _run(session: Session, run_id: str, file: Path | None) -> None:
    if file is None:
        raise UserError("say into which file: promptward export RUN FILE")
    kind = RUN_FILES.get(file.suffix.lower())
    if kind is None:
        raise UserError(f"{file}: the ending says the format; use {', '.join(RUN_FILES)}")
    size = 0
    async with session.client() as client:
        with replacing(file) as out:
            async for piece in client.runs.export(run_id, cast("ExportFormat", kind)):
                size += out.write(piece)
    session.out.data({"file": str(file), "format": kind, "bytes": size})
    session.out.line(f"wrote {file} ({size:,} bytes)")


async def _foreign(
    session: Session, form: str, folder: Path | None, prompts: tuple[str, ...], suites: tuple[str, ...], *, plan: bool
) -> None:
    if folder is None:
        raise UserError(f"say into which folder: promptward export {form} DIR")
    async with session.client() as client:
        result = await client.export(form, prompts=prompts, suites=suites)
    files = {file["path"]: str(file["text"]).encode() for file in result["files"]}
    if taken := [path for path in files if (folder / path).exists() and (folder / path).read_bytes() != files[path]]:
        raise UserError(f"{', '.join(taken[:5])} in {folder} would be overwritten; choose an empty folder")
    if not plan:
        for path, data in files.items():
            _write(folder, path, data)
    session.out.data({**result, "folder": str(folder)})
    for path in files:
        session.out.line(f"{'would write' if plan else 'wrote'} {folder / path}")
    show_losses(session.out, result["losses"])


async def _native(session: Session, target: Path | None, *, plan: bool, force: bool) -> None:
    folder = target if target is not None else _project_folder()
    async with session.client() as client:
        result = await client.export()
        here = await look(client, folder)
        files = [{**file, "path": placed(file, here)} for file in result["files"]]
        for file in files:
            if file["path"] == PROJECT_FILE:
                file["text"] = project_text(folder / PROJECT_FILE, file, here, force=force)
        actions = {file["path"]: action(folder, file, here) for file in files}
        refused = [path for path, what in actions.items() if what == "refuse"]
        if refused and not force:
            raise UserError(
                f"{', '.join(refused[:5])} {'was' if len(refused) == 1 else 'were'} changed here and never synced; sync, or "
                "overwrite with --force"
            )
        written = [file for file in files if actions[file["path"]] != "keep"]
        kept = [path for path, what in actions.items() if what == "keep"]
        ready = {file["path"]: await _content(client, file, files, here) for file in written}
    if not plan:
        for path, data in ready.items():
            _write(folder, path, data)
    notes = [*result["notes"], *_differing(here, files, force=force)]
    told = {"folder": str(folder), "written": list(ready), "kept": kept}
    session.out.data({**result, "files": files, "notes": notes, **told})
    for path in ready:
        session.out.line(f"{'would write' if plan else 'wrote'} {path}")
    for note in notes:
        session.out.note(note)
    session.out.line(f"{len(ready)} {'to write' if plan else 'written'}, {len(kept)} as they were")


async def _content(client: AsyncClient, file: dict[str, Any], files: list[dict[str, Any]], here: Here) -> bytes:
    return str(file["text"]).encode() if file["items"] is None else await items(client, file, files, here)


def _differing(here: Here, files: list[dict[str, Any]], *, force: bool) -> list[str]:
    """What stays different between the files and the registry."""
    archived = [
        f"{of} is archived in the registry, but {here.paths[of]} has it: take it out there, or sync brings it back"
        for of in here.left(files)
    ]
    rules = [
        f"the environment {name} has other rules in {PROJECT_FILE} than in the registry; sync brings the file's there, and "
        "`promptward export --force` the registry's here"
        for name in ([] if force else here.environments)
    ]
    return archived + rules


def _project_folder() -> Path:
    try:
        return find_root()
    except UserError:
        return Path.cwd()


def _write(folder: Path, path: str, data: bytes) -> None:
    target = _inside(folder, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as out:
        out.write(data)


def _inside(folder: Path, path: str) -> Path:
    """A file below the folder, whatever the service answered."""
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\\" in path:
        raise UserError(f"{path!r} does not lie inside {folder}; it is not written")
    return folder / path
