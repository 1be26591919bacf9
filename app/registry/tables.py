"""Storage of artifacts. Contents are immutable and shared by digest; everything else points at them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, String, Text, UniqueConstraint
from sqlmodel import Field

from app.kit.db import Table, UTCDateTime, big_int, json_type

PROJECT = String(40)
KIND = String(20)
# The C collation: lists are in one order on every database, and a prefix is a range of an index.
DIGEST = String(71).with_variant(String(71, collation="C"), "postgresql")
NAME = String(120).with_variant(String(120, collation="C"), "postgresql")
LABEL = String(40)
ACTOR = String(200)


class ContentRow(Table, table=True):
    """The canonical bytes of one content. A row that no version points at is a draft.

    `pins` maps each reference's pointer to the digest that it was resolved to; `deciding_pins` to the digest of what
    decides answers in that content, so that a changed description further down costs no call.
    """

    __tablename__ = "content"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    kind: str = Field(sa_type=KIND, primary_key=True)
    digest: str = Field(sa_type=DIGEST, primary_key=True)
    body: bytes = Field(sa_type=LargeBinary)
    pins: dict[str, str] = Field(sa_type=json_type)
    deciding_pins: dict[str, str] = Field(sa_type=json_type)
    created_at: datetime = Field(sa_type=UTCDateTime)


class ArtifactRow(Table, table=True):
    """A name. `latest` is its newest version's number; the texts are the latest version's, for lists and search."""

    __tablename__ = "artifact"
    __table_args__ = (
        UniqueConstraint("project_id", "kind", "folded"),
        Index(None, "project_id", "kind", "created_at", "name"),
        Index(None, "project_id", "kind", "updated_at", "name"),
    )

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    kind: str = Field(sa_type=KIND, primary_key=True)
    name: str = Field(sa_type=NAME, primary_key=True)
    folded: str = Field(sa_type=NAME)
    latest: int
    digest: str = Field(sa_type=DIGEST)
    description: str = Field(sa_type=Text)
    tags: list[str] = Field(sa_type=json_type)
    owner: str | None = Field(default=None, sa_type=String(120))
    search: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UTCDateTime)
    updated_at: datetime = Field(sa_type=UTCDateTime)
    archived_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class ArtifactTagRow(Table, table=True):
    """The tags of the latest version, for filters."""

    __tablename__ = "artifact_tag"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "kind", "name"],
            ["artifact.project_id", "artifact.kind", "artifact.name"],
            ondelete="CASCADE",
        ),
    )

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    kind: str = Field(sa_type=KIND, primary_key=True)
    tag: str = Field(sa_type=String(60), primary_key=True)
    name: str = Field(sa_type=NAME, primary_key=True)


class AliasRow(Table, table=True):
    """A further name that an artifact is found by, such as the id that it had elsewhere; the latest version declares them."""

    __tablename__ = "artifact_alias"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    kind: str = Field(sa_type=KIND, primary_key=True)
    alias: str = Field(sa_type=NAME, primary_key=True)
    name: str = Field(sa_type=NAME)


class VersionRow(Table, table=True):
    """One number of a name. Numbers start at 1 and have no gaps."""

    __tablename__ = "version"
    __table_args__ = (
        ForeignKeyConstraint(["project_id", "kind", "name"], ["artifact.project_id", "artifact.kind", "artifact.name"]),
        ForeignKeyConstraint(
            ["project_id", "kind", "digest"], ["content.project_id", "content.kind", "content.digest"]
        ),
        Index(None, "project_id", "kind", "digest"),
    )

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    kind: str = Field(sa_type=KIND, primary_key=True)
    name: str = Field(sa_type=NAME, primary_key=True)
    number: int = Field(primary_key=True)
    digest: str = Field(sa_type=DIGEST)
    message: str = Field(sa_type=Text)
    author: str = Field(sa_type=ACTOR)
    created_at: datetime = Field(sa_type=UTCDateTime)
    source: dict[str, Any] = Field(sa_type=json_type)


class LabelRow(Table, table=True):
    """Where a label of a name points now."""

    __tablename__ = "label"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "kind", "name", "number"],
            ["version.project_id", "version.kind", "version.name", "version.number"],
        ),
        Index(None, "project_id", "kind", "label"),
    )

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    kind: str = Field(sa_type=KIND, primary_key=True)
    name: str = Field(sa_type=NAME, primary_key=True)
    label: str = Field(sa_type=LABEL, primary_key=True)
    number: int
    moved_at: datetime = Field(sa_type=UTCDateTime)
    moved_by: str = Field(sa_type=ACTOR)


class LabelMoveRow(Table, table=True):
    """One move of a label: from null when it was set first, to null when it was removed."""

    __tablename__ = "label_move"
    __table_args__ = (Index(None, "project_id", "kind", "name", "label", "id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=big_int)
    project_id: str = Field(sa_type=PROJECT)
    kind: str = Field(sa_type=KIND)
    name: str = Field(sa_type=NAME)
    label: str = Field(sa_type=LABEL)
    from_number: int | None
    to_number: int | None
    moved_at: datetime = Field(sa_type=UTCDateTime)
    moved_by: str = Field(sa_type=ACTOR)
    reason: str = Field(sa_type=Text)


class ProtectedLabelRow(Table, table=True):
    """A label that is an environment's: on every artifact of the kind it moves by a release alone.

    `production` is protected on prompts without a row (see `labels.ALWAYS_PROTECTED`).
    """

    __tablename__ = "protected_label"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    kind: str = Field(sa_type=KIND, primary_key=True)
    label: str = Field(sa_type=LABEL, primary_key=True)
    created_at: datetime = Field(sa_type=UTCDateTime)


class ReferenceRow(Table, table=True):
    """ "Used by": the content `digest` refers to the content `to_digest` at `pointer`."""

    __tablename__ = "reference"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "kind", "digest"], ["content.project_id", "content.kind", "content.digest"]
        ),
        Index(None, "project_id", "to_kind", "to_digest"),
    )

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    kind: str = Field(sa_type=KIND, primary_key=True)
    digest: str = Field(sa_type=DIGEST, primary_key=True)
    pointer: str = Field(sa_type=String(300), primary_key=True)
    to_kind: str = Field(sa_type=KIND)
    to_digest: str = Field(sa_type=DIGEST)


class ContentUseRow(Table, table=True):
    """A run or a release (`by`) that used a content, itself or through what refers to it. Such a content is never deleted."""

    __tablename__ = "content_use"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "kind", "digest"], ["content.project_id", "content.kind", "content.digest"]
        ),
    )

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    kind: str = Field(sa_type=KIND, primary_key=True)
    digest: str = Field(sa_type=DIGEST, primary_key=True)
    by: str = Field(sa_type=String(20), primary_key=True)
    by_id: str = Field(sa_type=String(40), primary_key=True)
    at: datetime = Field(sa_type=UTCDateTime)


class ErasureRow(Table, table=True):
    """How many items of a dataset's manifest were erased; their digests stay."""

    __tablename__ = "dataset_erasure"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    manifest: str = Field(sa_type=DIGEST, primary_key=True)
    erased: int


class EnvironmentRow(Table, table=True):
    """The rules of an environment as they are now; every change of them is in the audit."""

    __tablename__ = "environment"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    name: str = Field(sa_type=LABEL, primary_key=True)
    rules: dict[str, Any] = Field(sa_type=json_type)
    digest: str = Field(sa_type=String(71))
    updated_at: datetime = Field(sa_type=UTCDateTime)
    updated_by: str = Field(sa_type=ACTOR)
