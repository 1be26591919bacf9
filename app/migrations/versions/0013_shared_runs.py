"""Runs that several processes work on: attempts, priorities, what each may spend and asks for, and who they are."""

import sqlalchemy as sa
from alembic import op

from app.kit.db import UTCDateTime, big_int

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("run", sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("run", sa.Column("priority", sa.SmallInteger(), nullable=False, server_default="1"))
    op.add_column("run", sa.Column("rests_as", sa.String(10), nullable=False, server_default="done"))
    op.create_index("ix_run_status", "run", ["status"])
    op.create_table(
        "run_purse",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("process", sa.String(40), nullable=False),
        sa.Column("granted_nano", big_int, nullable=False),
        sa.Column("spent_nano", big_int, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "run_id", "process", name="pk_run_purse"),
    )
    op.create_table(
        "answer_claim",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("cell_key", sa.String(64), nullable=False),
        sa.Column("process", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "cell_key", name="pk_answer_claim"),
    )
    op.create_table(
        "process",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("version", sa.String(40), nullable=False),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", UTCDateTime, nullable=False),
        sa.Column("seen_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_process"),
    )


def downgrade() -> None:
    op.drop_table("process")
    op.drop_table("answer_claim")
    op.drop_table("run_purse")
    op.drop_index("ix_run_status", table_name="run")
    op.drop_column("run", "rests_as")
    op.drop_column("run", "priority")
    op.drop_column("run", "attempt")
