"""Releases and what is live."""

import sqlalchemy as sa
from alembic import op

from app.kit.db import UTCDateTime, json_type

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "release",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("environment", sa.String(40), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("bundle", sa.String(71), nullable=False),
        sa.Column("spec", json_type, nullable=False),
        sa.Column("refs", json_type, nullable=False),
        sa.Column("pins", json_type, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("evaluation", sa.Integer, nullable=False),
        sa.Column("offered_run", sa.String(40), nullable=True),
        sa.Column("evidence", json_type, nullable=False),
        sa.Column("baseline", sa.String(40), nullable=True),
        sa.Column("predecessor", sa.String(40), nullable=True),
        sa.Column("steps", json_type, nullable=False),
        sa.Column("step", sa.Integer, nullable=True),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("verdicts", json_type, nullable=False),
        sa.Column("verdict", sa.String(20), nullable=True),
        sa.Column("exit_code", sa.Integer, nullable=True),
        sa.Column("approvals_needed", sa.Integer, nullable=False),
        sa.Column("overruled", json_type, nullable=False),
        sa.Column("rollout_verdict", json_type, nullable=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("author_key", sa.String(40), nullable=False),
        sa.Column("content_author", sa.String(200), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("updated_at", UTCDateTime, nullable=False),
        sa.Column("started_at", UTCDateTime, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_release"),
    )
    op.create_index("ix_release_project_id_environment_name", "release", ["project_id", "environment", "name"])
    op.create_table(
        "release_event",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("release_id", sa.String(40), nullable=False),
        sa.Column("no", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", UTCDateTime, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("from_state", sa.String(20), nullable=True),
        sa.Column("to_state", sa.String(20), nullable=False),
        sa.Column("share", sa.Float, nullable=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("details", json_type, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "release_id", "no", name="pk_release_event"),
    )
    op.create_table(
        "release_approval",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("release_id", sa.String(40), nullable=False),
        sa.Column("evaluation", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("key_id", sa.String(40), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("at", UTCDateTime, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("accepted_risk", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "release_id", "evaluation", "key_id", name="pk_release_approval"),
    )
    op.create_table(
        "deployment",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("environment", sa.String(40), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("live", sa.String(40), nullable=True),
        sa.Column("active", sa.String(40), nullable=True),
        sa.Column("updated_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "environment", "name", name="pk_deployment"),
    )


def downgrade() -> None:
    for table in ("deployment", "release_approval", "release_event", "release"):
        op.drop_table(table)
