"""What the wire and the other rooms know of artifacts."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from app.kit.errors import FieldError


class Artifact(msgspec.Struct, frozen=True):
    """One immutable content, found by a reference. A draft has no number, and no name when it was found by its digest.

    `content` is the kind's Struct; `pins` maps the JSON pointer of each reference in it to the digest it stands for.
    """

    kind: str
    name: str | None
    number: int | None
    digest: str
    content: Any
    pins: dict[str, str]
    deciding_pins: dict[str, str]

    @property
    def ref(self) -> str:
        """How messages and records name it."""
        if self.name is None:
            return self.digest
        return f"{self.name}@{self.number}" if self.number is not None else f"{self.name}@{self.digest[:19]}"


class Version(msgspec.Struct, frozen=True):
    """One version as the API shows it: `kind` is as in paths (`rag-configs`), `content` the JSON that is stored.

    Anyone can recompute `digest`: it is the SHA-256 of the canonical JSON (RFC 8785) of `{kind, content, pins}`.
    `erased` is how many items of a dataset are gone for good; `warnings` is what was found while it was made.
    """

    kind: str
    name: str
    version: int
    digest: str
    labels: list[str]
    content: msgspec.Raw
    pins: dict[str, str]
    message: str
    author: str
    created_at: datetime
    source: dict[str, Any]
    erased: int | UnsetType = UNSET
    warnings: list[FieldError] | UnsetType = UNSET


class VersionSummary(msgspec.Struct, frozen=True):
    """One version in a list: everything but its content."""

    kind: str
    name: str
    version: int
    digest: str
    labels: list[str]
    message: str
    author: str
    created_at: datetime
    source: dict[str, Any]
    erased: int | UnsetType = UNSET


class ArtifactRead(msgspec.Struct, frozen=True):
    """A name: its latest version's number, digest, description and tags, and where its labels point."""

    kind: str
    name: str
    version: int
    digest: str
    description: str
    tags: list[str]
    owner: str | None
    labels: dict[str, int]
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


class ArtifactDetail(ArtifactRead, frozen=True):
    """The same with what its latest version holds."""

    content: msgspec.Raw
    pins: dict[str, str]
    message: str
    author: str
    source: dict[str, Any]


class VersionCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`labels` are put on the version that results, whether it is new or not."""

    content: dict[str, Any]
    message: Annotated[str, msgspec.Meta(max_length=10_000)] = ""
    labels: list[str] = []


class LabelRead(msgspec.Struct, frozen=True):
    """Where a label points. A protected one is an environment's and moves by a release alone."""

    label: str
    version: int
    digest: str
    protected: bool
    moved_at: datetime
    moved_by: str


class LabelMove(msgspec.Struct, frozen=True):
    """One move: `from` is null when the label was set first, `to` when it was removed."""

    label: str
    from_: int | None = msgspec.field(name="from")
    to: int | None
    who: str
    when: datetime
    reason: str


class LabelPut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`version` is a number, or a label or digest of the same artifact."""

    version: int | str
    reason: Annotated[str, msgspec.Meta(max_length=10_000)] = ""


class LabelDelete(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: Annotated[str, msgspec.Meta(max_length=10_000)] = ""


class Change(msgspec.Struct, frozen=True):
    """One operation of a JSON Patch (RFC 6902) with what stood there before; applied in order they give the target."""

    path: str
    op: str
    before: Any
    after: Any


class PinChange(msgspec.Struct, frozen=True):
    """A reference at `path` that stands for another content now; null where there was or is none."""

    path: str
    before: str | None
    after: str | None


class TextDiff(msgspec.Struct, frozen=True):
    """One text that differs, such as a message, line by line."""

    path: str
    unified: str


class Diff(msgspec.Struct, frozen=True):
    """`from` and `to` are version numbers (or a draft's digest). `unified` is for reading, `texts` too: each text that differs, alone."""

    from_: int | str = msgspec.field(name="from")
    to: int | str
    changes: list[Change]
    pins: list[PinChange]
    unified: str
    texts: list[TextDiff]


class Dependency(msgspec.Struct, frozen=True):
    """A content that a version refers to at `path`. `versions` are the names that it has, newest first; `depth` 1 is direct."""

    kind: str
    path: str
    digest: str
    versions: list[str]
    depth: int


class Dependencies(msgspec.Struct, frozen=True):
    digest: str
    items: list[Dependency]


class Dependent(msgspec.Struct, frozen=True):
    """A version that refers to the content at `path`."""

    kind: str
    name: str
    version: int
    digest: str
    path: str
    created_at: datetime


class Use(msgspec.Struct, frozen=True):
    """How many there are, and the newest of them."""

    count: int
    newest: list[str]


class Users(msgspec.Struct, frozen=True):
    """Who uses a content besides other versions: labels (`name@label`), environments by name, runs and releases by id."""

    labels: list[str]
    environments: list[str]
    runs: Use
    releases: Use


class Dependents(msgspec.Struct, frozen=True):
    """`items` are versions, page by page; `used_by` is the same on every page."""

    digest: str
    items: list[Dependent]
    next_cursor: str | None
    used_by: Users


class Finding(msgspec.Struct, frozen=True):
    """What looks like personal data or a secret: where, which kind and group (`personal`, `secret`), and its masked form."""

    path: str
    kind: str
    group: str
    shown: str


class ScanReport(msgspec.Struct, frozen=True):
    digest: str
    findings: list[Finding]
