"""Calibrations of judges, and answers that wait for people's labels."""

import sqlalchemy as sa
from alembic import op

from app.kit.db import UTCDateTime, json_type

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "calibration",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("rubric", sa.String(120), nullable=False),
        sa.Column("report", json_type, nullable=False),
        sa.Column("pairs", json_type, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_calibration"),
    )
    op.create_index("ix_calibration_project_id_rubric", "calibration", ["project_id", "rubric", "id"])
    op.create_table(
        "label_queue",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("rubric", sa.String(120), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("drawn", json_type, nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_label_queue"),
    )
    op.create_index("ix_label_queue_project_id_rubric", "label_queue", ["project_id", "rubric", "id"])
    op.create_table(
        "label_item",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("queue_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.String(400), nullable=False),
        sa.Column("variant", sa.String(400), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("probability", sa.Float(53), nullable=False),
        sa.Column("judge", sa.String(400), nullable=True),
        sa.Column("human", sa.String(400), nullable=True),
        sa.Column("labelled_by", sa.String(200), nullable=True),
        sa.Column("labelled_at", UTCDateTime, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "queue_id", "number", name="pk_label_item"),
    )


def downgrade() -> None:
    for name in ("label_item", "label_queue", "calibration"):
        op.drop_table(name)
