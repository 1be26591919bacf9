"""Where the registry's files belong in a folder, and what is to be done with each."""

import json
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from promptward import AsyncClient, PromptwardError

from app.cli.exits import UserError
from app.cli.merging import Entry, merged
from app.cli.project import FOLDERS, folders_of, packed, project_files, wanted
from app.settings import PROJECT_FILE

JSON_LINES = ".jsonl"
CARD = ".md"
SECTIONS = {"endpoints": "endpoints", "gate-policies": "gate_policies"}
"""The kinds that a project file declares, and their sections in it."""


class Here(NamedTuple):
    """A folder beside the registry.

    `actions` is what a sync would do, by `<kind> <name>`; `known` is an update to content that the registry has had.
    `paths` is the file that declares each. `environments` are those whose rules differ.
    """

    actions: dict[str, str]
    paths: dict[str, str]
    folders: dict[str, str]
    environments: list[str]

    def left(self, files: list[dict[str, Any]]) -> list[str]:
        """Artifacts whose files lie here while the registry has them archived: it had their content, and exports none."""
        exported = {key(of) for file in files for of in file["of"]}
        return [of for of, what in self.actions.items() if what == "known" and of not in exported]


async def look(client: AsyncClient, folder: Path) -> Here:
    """What a sync of the folder's files would do."""
    project_file = folder / PROJECT_FILE
    if not project_file.is_file():
        return Here({}, {}, dict(FOLDERS), [])
    plan = await client.sync([file.payload() for file in project_files(folder)], "plan", force=True)
    here = Here({}, {}, folders_of(project_file.read_bytes(), str(project_file)), [])
    for item in plan["items"]:
        action: str = item["action"]
        if action == "update":
            artifacts = client.artifacts(item["kind"])
            latest = await artifacts.get(item["name"])
            try:
                await artifacts.get(item["name"], item["digest"])
                action = "known"
            except PromptwardError as error:
                if error.status != 404:
                    raise
            if latest["content"] == item["content"] and action == "update":
                action = "unchanged"  # only what it refers to is newer
        here.actions[f"{item['kind']} {item['name']}"] = action
        here.paths[f"{item['kind']} {item['name']}"] = item["path"] or ""
    here.environments.extend(e["name"] for e in plan["environment_changes"] if e["action"] == "update")
    return here


def placed(file: dict[str, Any], here: Here) -> str:
    """The path of an exported file in this folder: where the artifact is declared already, else in the project's folders."""
    path: str = file["path"]
    declared = here.paths.get(key(file["of"][0])) if file["of"] else None
    if path == PROJECT_FILE:
        return path
    if declared and declared != PROJECT_FILE:
        is_card = path.endswith(CARD) and file["items"] is None
        return str(PurePosixPath(declared).with_suffix(CARD)) if is_card else declared
    first, _, rest = path.partition("/")
    if first in here.folders and not wanted(path, here.folders):
        return (PurePosixPath(here.folders[first]) / rest).as_posix()
    return path


def action(folder: Path, file: dict[str, Any], here: Here) -> str:
    """`keep` what says the same already, `refuse` what was changed here alone, else `write`."""
    path = folder / file["path"]
    if not path.exists():
        return "write"
    if file["text"] is not None and path.read_bytes() == str(file["text"]).encode():
        return "keep"
    actions = {here.actions.get(key(of), "missing") for of in file["of"]}
    if file["path"] != PROJECT_FILE and actions == {"unchanged"}:
        return "keep"
    return "refuse" if "update" in actions else "write"


def project_text(path: Path, file: dict[str, Any], here: Here, *, force: bool) -> str:
    """The project file with what changed in the registry; environments, which have no versions, change by `force` alone."""
    text = str(file["text"])
    if not path.exists():
        return text
    changed = [of for of in file["of"] if here.actions.get(key(of)) != "unchanged"]
    taken: set[Entry] = {(SECTIONS[of.partition(" ")[0]], key(of).partition(" ")[2]) for of in changed}
    if force:
        taken |= {("environments", name) for name in here.environments}
    try:
        mine = path.read_bytes().decode()
        if "\r\n" in mine:
            text = text.replace("\n", "\r\n")
        mark = "\ufeff" if mine.startswith("\ufeff") else ""
        return mark + merged(mine.removeprefix(mark), text, taken)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


async def items(client: AsyncClient, file: dict[str, Any], files: list[dict[str, Any]], here: Here) -> bytes:
    """A dataset's file in the format of its place. Raises `UserError` where a table cannot hold the items as they are."""
    name, _, version = file["of"][0].partition(" ")[2].rpartition("@")
    path = PurePosixPath(file["path"])
    pieces = client.datasets.export(name, version, path.suffix[1:])
    data = b"".join([piece async for piece in pieces])
    if path.suffix == JSON_LINES:
        return data
    cards = [other for other in files if other["of"] == file["of"] and other["text"] is not None]
    settings = packed(PROJECT_FILE, json.dumps({"folders": here.folders}).encode())
    sent = [settings, packed(str(path), data), *(packed(c["path"], str(c["text"]).encode()) for c in cards)]
    plan = await client.sync([each.payload() for each in sent], "plan", force=True)
    if [item["action"] for item in plan["items"]] != ["unchanged"]:
        raise UserError(
            f"{path} cannot hold the items of {name}@{version} as they are; move it away, and export writes "
            f"{path.with_suffix(JSON_LINES)} in its place"
        )
    return data


def key(of: str) -> str:
    """`prompts docs/answer@7` is the artifact `prompts docs/answer`."""
    return of.rpartition("@")[0]
