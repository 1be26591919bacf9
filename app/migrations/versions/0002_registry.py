"""Artifacts: contents, versions, labels, references; the items of datasets."""

import sqlalchemy as sa
from alembic import op

from app.kit.db import UTCDateTime, big_int, json_type

revision = "0002"
down_revision = "0001"

DIGEST = sa.String(71).with_variant(sa.String(71, collation="C"), "postgresql")
NAME = sa.String(120).with_variant(sa.String(120, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "content",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("pins", json_type, nullable=False),
        sa.Column("deciding_pins", json_type, nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "kind", "digest", name="pk_content"),
    )
    op.create_table(
        "artifact",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("folded", NAME, nullable=False),
        sa.Column("latest", sa.Integer, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", json_type, nullable=False),
        sa.Column("search", sa.Text, nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("updated_at", UTCDateTime, nullable=False),
        sa.Column("archived_at", UTCDateTime, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "kind", "name", name="pk_artifact"),
        sa.UniqueConstraint("project_id", "kind", "folded", name="uq_artifact_project_id_kind_folded"),
    )
    op.create_table(
        "artifact_tag",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("tag", sa.String(60), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "kind", "tag", "name", name="pk_artifact_tag"),
        sa.ForeignKeyConstraint(
            ["project_id", "kind", "name"],
            ["artifact.project_id", "artifact.kind", "artifact.name"],
            name="fk_artifact_tag_project_id_kind_name_artifact",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "version",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("source", json_type, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "kind", "name", "number", name="pk_version"),
        sa.ForeignKeyConstraint(
            ["project_id", "kind", "name"],
            ["artifact.project_id", "artifact.kind", "artifact.name"],
            name="fk_version_project_id_kind_name_artifact",
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "kind", "digest"],
            ["content.project_id", "content.kind", "content.digest"],
            name="fk_version_project_id_kind_digest_content",
        ),
    )
    op.create_index("ix_version_project_id_kind_digest", "version", ["project_id", "kind", "digest"])
    op.create_table(
        "label",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("label", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("moved_at", UTCDateTime, nullable=False),
        sa.Column("moved_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "kind", "name", "label", name="pk_label"),
        sa.ForeignKeyConstraint(
            ["project_id", "kind", "name", "number"],
            ["version.project_id", "version.kind", "version.name", "version.number"],
            name="fk_label_project_id_kind_name_number_version",
        ),
    )
    op.create_index("ix_label_project_id_kind_label", "label", ["project_id", "kind", "label"])
    op.create_table(
        "label_move",
        sa.Column("id", big_int, autoincrement=True, nullable=False),
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("label", sa.String(40), nullable=False),
        sa.Column("from_number", sa.Integer, nullable=True),
        sa.Column("to_number", sa.Integer, nullable=True),
        sa.Column("moved_at", UTCDateTime, nullable=False),
        sa.Column("moved_by", sa.String(200), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_label_move"),
    )
    op.create_index(
        "ix_label_move_project_id_kind_name_label_id", "label_move", ["project_id", "kind", "name", "label", "id"]
    )
    op.create_table(
        "protected_label",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("label", sa.String(40), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "kind", "label", name="pk_protected_label"),
    )
    op.create_table(
        "reference",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("pointer", sa.String(300), nullable=False),
        sa.Column("to_kind", sa.String(20), nullable=False),
        sa.Column("to_digest", DIGEST, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "kind", "digest", "pointer", name="pk_reference"),
        sa.ForeignKeyConstraint(
            ["project_id", "kind", "digest"],
            ["content.project_id", "content.kind", "content.digest"],
            name="fk_reference_project_id_kind_digest_content",
        ),
    )
    op.create_index("ix_reference_project_id_to_kind_to_digest", "reference", ["project_id", "to_kind", "to_digest"])
    op.create_table(
        "dataset_item",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "digest", name="pk_dataset_item"),
    )
    op.create_table(
        "dataset_manifest_part",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("entries", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "digest", "start", name="pk_dataset_manifest_part"),
    )


def downgrade() -> None:
    for table in (
        "dataset_manifest_part",
        "dataset_item",
        "reference",
        "protected_label",
        "label_move",
        "label",
        "version",
        "artifact_tag",
        "artifact",
        "content",
    ):
        op.drop_table(table)
