"""What `POST /api/v1/sync` takes and answers."""

from typing import Annotated, Any, Literal

import msgspec

from app.kit.errors import FieldError

Mode = Literal["plan", "apply", "draft"]
Action = Literal["create", "update", "unchanged", "archive", "conflict"]


class SyncFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the project: its path from the folder of `promptward.yaml`, and its content in one of two forms."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    text: str | None = None
    base64: str | None = None


class SyncRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`plan` changes nothing; `apply` makes versions; `draft` keeps contents by digest, without versions.

    `prune` archives names that an earlier sync made and whose files are gone. `force` overwrites what was changed outside of
    the files since. `commit` is kept with each version.
    """

    mode: Mode
    files: list[SyncFile]
    prune: bool = False
    force: bool = False
    message: Annotated[str, msgspec.Meta(max_length=10_000)] = ""
    commit: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class SyncItem(msgspec.Struct, frozen=True):
    """What happens to one artifact. `version` is the number it has afterwards; null for a draft. `kind` is as in paths."""

    kind: str
    name: str
    path: str | None
    action: Action
    reason: str
    from_version: int | None
    version: int | None
    digest: str
    content: msgspec.Raw
    warnings: list[FieldError] = []


class EnvironmentChange(msgspec.Struct, frozen=True):
    """What happens to one environment of `promptward.yaml`."""

    name: str
    action: Literal["create", "update", "unchanged"]


class SectionChange(msgspec.Struct, frozen=True):
    """What happens to one entry of a section of `promptward.yaml` that a room above applies, such as a schedule."""

    name: str
    action: Literal["create", "update", "unchanged", "delete"]


class Ignored(msgspec.Struct, frozen=True):
    """A file that is no artifact, and why it is left alone."""

    path: str
    reason: str


class SyncResult(msgspec.Struct, frozen=True):
    """`items` come in the order of their dependencies; `environments` and `project` are `promptward.yaml`'s;
    `environment_changes` say what becomes of the environments, `schedule_changes` of the schedules (nothing in `draft`)."""

    mode: Mode
    items: list[SyncItem]
    environments: dict[str, Any]
    project: str | None
    ignored: list[Ignored]
    environment_changes: list[EnvironmentChange] = []
    schedule_changes: list[SectionChange] = []
