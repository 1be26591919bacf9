"""Batches of runs, which endpoints answer within a day."""

import sqlalchemy as sa
from alembic import op

from app.kit.db import UTCDateTime, big_int

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "run_batch",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("endpoint_digest", sa.String(80), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("reserved_nano", big_int, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("remote_id", sa.String(200), nullable=True),
        sa.Column("file_id", sa.String(200), nullable=True),
        sa.Column("said", sa.String(40), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("submitted_at", UTCDateTime, nullable=True),
        sa.Column("checked_at", UTCDateTime, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "run_id", "id", name="pk_run_batch"),
    )
    op.create_index("ix_run_batch_status", "run_batch", ["status"])


def downgrade() -> None:
    op.drop_table("run_batch")
