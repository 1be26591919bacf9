"""The project on disk: where it is, and which of its files are sent to the service. The service parses them."""

import base64
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from app.cli.exits import UserError
from app.settings import PROJECT_FILE

FOLDERS = {"prompts": "prompts", "datasets": "datasets"}


class File(NamedTuple):
    """One file as it is sent: its path below the project (with `/`), and its content as text or base64."""

    path: str
    text: str | None = None
    base64: str | None = None

    def payload(self) -> dict[str, str]:
        return (
            {"path": self.path, "text": self.text}
            if self.text is not None
            else {"path": self.path, "base64": self.base64 or ""}
        )


def find_root(start: Path | None = None) -> Path:
    """The folder of the nearest promptward.yaml upward; a `UserError` with the fix when there is none."""
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise UserError(f"there is no {PROJECT_FILE} in {start} or above it; `promptward init` writes one")


def project_files(root: Path) -> list[File]:
    """Every file of the project that the service should see, sorted by path.

    Symbolic links that lead out of the project are refused: what is sent is what lies in the folder.
    """
    project_file = root / PROJECT_FILE
    folders = folders_of(project_file.read_bytes(), str(project_file))
    found = [packed(PROJECT_FILE, project_file.read_bytes())]
    for folder in sorted(set(folders.values())):
        for path in sorted((root / folder).rglob("*")):
            relative = path.relative_to(root).as_posix()
            if not path.is_file() or not wanted(relative, folders):
                continue
            if not path.resolve().is_relative_to(root.resolve()):
                raise UserError(f"{relative} links to a file outside the project; copy it into the project")
            found.append(packed(relative, path.read_bytes()))
    return found


def folders_of(data: bytes, title: str) -> dict[str, str]:
    """The `folders` of a project file, with defaults; a `UserError` naming `title` when the file cannot be read."""
    import yaml

    try:
        content: Any = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{title} is not YAML: {' '.join(str(error).split())}") from error
    given = content.get("folders", {}) if isinstance(content, dict) else {}
    if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
        raise UserError(f"{title}: `folders` maps `prompts` and `datasets` to folders")
    folders = {**FOLDERS, **given}
    for name, folder in folders.items():
        path = PurePosixPath(folder)
        if path.is_absolute() or ".." in path.parts:
            raise UserError(f"{title}: folder {name} is {folder!r}; it must lie inside the project")
    return folders


def wanted(path: str, folders: dict[str, str]) -> bool:
    """Whether a file is the project file or lies in one of its folders; hidden files are left out."""
    parts = PurePosixPath(path).parts
    if any(part.startswith(".") for part in parts):
        return False
    return path == PROJECT_FILE or any(PurePosixPath(path).is_relative_to(folder) for folder in folders.values())


def packed(path: str, data: bytes) -> File:
    """A file ready to be sent: UTF-8 as text, everything else as base64; the service says what it cannot read."""
    try:
        return File(path, text=data.decode("utf-8"))
    except UnicodeDecodeError:
        return File(path, base64=base64.b64encode(data).decode())
