"""What import and export take and answer."""

from typing import Literal

import msgspec

from app.kit.texts import Note
from app.registry.sync.schemas import SyncFile, SyncItem


class ImportRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`format` is one of `GET /api/v1/formats`. `files` shows what a project of them would be, and makes nothing; `plan` says
    what would be made; `apply` makes it. `force` overwrites what was changed here since it was imported."""

    format: str
    files: list[SyncFile]
    mode: Literal["files", "plan", "apply"] = "plan"
    message: Note = ""
    force: bool = False


class Loss(msgspec.Struct, frozen=True):
    """Something that could not be carried over: in which file, at which line where it is known, and what."""

    path: str
    line: int | None
    what: str


class ImportResult(msgspec.Struct, frozen=True):
    """`items` is what becomes of each artifact, `versions` how many earlier versions of prompts came along, `files` the project
    that another tool's files are, `aliases` the ids that callers knew to the prompts' names."""

    mode: str
    format: str
    items: list[SyncItem]
    versions: int
    aliases: dict[str, str]
    losses: list[Loss]
    files: list[SyncFile]


class ExportedFile(msgspec.Struct, frozen=True):
    """One file. Items are not in it: of a dataset's file `items` is the path that answers with them. `of` are the artifacts
    that it declares, as `<kind> <name>@<version>`."""

    path: str
    text: str | None
    items: str | None
    of: list[str]


class ExportResult(msgspec.Struct, frozen=True):
    """`notes` say what the files cannot hold; `losses` what another tool's format cannot."""

    format: str
    files: list[ExportedFile]
    notes: list[str]
    losses: list[Loss]


class Formats(msgspec.Struct, frozen=True):
    reads: list[str]
    writes: list[str]
