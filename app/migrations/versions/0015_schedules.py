"""Schedules, the endpoints that sentinels know, and what became of each time that was due."""

import sqlalchemy as sa
from alembic import op

from app.kit.db import UTCDateTime, json_type, nullable_json

revision = "0015"
down_revision = "0014"

NAME = sa.String(120).with_variant(sa.String(120, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "schedule",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("definition", json_type, nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("via", sa.String(10), nullable=False),
        sa.Column("sentinel", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("next_at", UTCDateTime, nullable=True),
        sa.Column("last_due_at", UTCDateTime, nullable=True),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("updated_at", UTCDateTime, nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", name="pk_schedule"),
    )
    op.create_index("ix_schedule_next_at", "schedule", ["next_at"])
    op.create_table(
        "schedule_seen",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("schedule", NAME, nullable=False),
        sa.Column("endpoint", NAME, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "schedule", "endpoint", name="pk_schedule_seen"),
    )
    op.create_table(
        "schedule_run",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("schedule", NAME, nullable=False),
        sa.Column("trigger", sa.String(10), nullable=False),
        sa.Column("suite", sa.String(200), nullable=False),
        sa.Column("endpoint", sa.String(200), nullable=True),
        sa.Column("due_at", UTCDateTime, nullable=False),
        sa.Column("at", UTCDateTime, nullable=False),
        sa.Column("claimed_at", UTCDateTime, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("run_id", sa.String(40), nullable=True),
        sa.Column("outcome", nullable_json, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_schedule_run"),
    )
    op.create_index("ix_schedule_run_project_id_schedule_id", "schedule_run", ["project_id", "schedule", "id"])
    op.create_index("ix_schedule_run_state_claimed_at", "schedule_run", ["state", "claimed_at"])


def downgrade() -> None:
    for name in ("schedule_run", "schedule_seen", "schedule"):
        op.drop_table(name)
