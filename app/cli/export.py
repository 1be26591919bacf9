"""`promptward export`: the registry as files of a project, as another tool's files, or a run's cells as one file."""

import re
from pathlib import Path, PurePosixPath
from typing import Any, cast

import click
from promptward import AsyncClient, PromptwardError
from promptward.runs import ExportFormat

from app.cli.command import Session, common
from app.cli.exits import UserError
from app.cli.files import replacing
from app.cli.import_ import show_losses
from app.cli.project import find_root, project_files
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
        state = await _compared(client, folder)
        written, kept, refused = [], [], []
        for file in result["files"]:
            path = file["path"]
            action = _action(folder / path, file, state)
            if action == "keep":
                kept.append(path)
            elif action == "refuse" and not force:
                refused.append(path)
            else:
                written.append(file)
        if refused:
            raise UserError(
                f"{', '.join(refused[:5])} {'was' if len(refused) == 1 else 'were'} changed here and never synced; sync, or "
                "overwrite with --force"
            )
        if not plan:
            for file in written:
                await _write_native(client, folder, file)
    session.out.data({**result, "folder": str(folder), "written": [f["path"] for f in written], "kept": kept})
    for file in written:
        session.out.line(f"{'would write' if plan else 'wrote'} {file['path']}")
    for note in result["notes"]:
        session.out.note(note)
    session.out.line(f"{len(written)} {'to write' if plan else 'written'}, {len(kept)} as they were")


def _project_folder() -> Path:
    try:
        return find_root()
    except UserError:
        return Path.cwd()


async def _compared(client: AsyncClient, folder: Path) -> dict[str, str]:
    """What a sync of the folder's files would do, by artifact; `known` marks content that the registry has had."""
    if not (folder / PROJECT_FILE).is_file():
        return {}
    plan = await client.sync([file.payload() for file in project_files(folder)], "plan", force=True)
    found: dict[str, str] = {}
    for item in plan["items"]:
        action: str = item["action"]
        if action == "update":
            try:
                await client.artifacts(item["kind"]).get(item["name"], item["digest"])
                action = "known"
            except PromptwardError as error:
                if error.status != 404:
                    raise
        found[f"{item['kind']} {item['name']}"] = action
    return found


def _action(path: Path, file: dict[str, Any], state: dict[str, str]) -> str:
    """`keep` what says the same already, `refuse` what was changed here alone, else `write`."""
    if not path.exists():
        return "write"
    if file["text"] is not None and path.read_bytes() == str(file["text"]).encode():
        return "keep"
    actions = {state.get(of.rpartition("@")[0], "missing") for of in file["of"]}
    if actions == {"unchanged"}:
        return "keep"
    return "refuse" if "update" in actions else "write"


async def _write_native(client: AsyncClient, folder: Path, file: dict[str, Any]) -> None:
    if file["items"] is None:
        _write(folder, file["path"], _merged(folder / file["path"], str(file["text"])).encode())
        return
    name, _, version = file["of"][0].partition(" ")[2].rpartition("@")
    path = _inside(folder, file["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as out:
        async for piece in client.datasets.export(name, version):
            out.write(piece)


def _merged(path: Path, text: str) -> str:
    """A project file keeps the sections that the registry does not hold, as they are written."""
    if path.name != PROJECT_FILE or not path.exists():
        return text
    try:
        mine, theirs = sections(path.read_text(encoding="utf-8-sig")), sections(text)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    return "".join([*(block for name, block in mine.items() if name not in theirs), *theirs.values()])


def sections(text: str) -> dict[str, str]:
    """A YAML mapping's entries by name, each with its lines and the comments above it."""
    found: dict[str, str] = {}
    name, block, above = "", "", ""
    for line in text.splitlines(keepends=True):
        if start := re.match(r"[A-Za-z_]+(?=:)", line):
            if name:
                found[name] = block
            name, block, above = start[0], above + line, ""
        elif line.startswith("#") or not line.strip():
            above += line
        else:
            block, above = block + above + line, ""
    if name:
        found[name] = block + above
    return found


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
