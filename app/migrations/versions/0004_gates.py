"""Verdicts."""

import sqlalchemy as sa
from alembic import op

from app.kit.db import UTCDateTime, json_type

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "gate_verdict",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(71), nullable=False),
        sa.Column("baseline", sa.String(71), nullable=True),
        sa.Column("policy", sa.String(71), nullable=False),
        sa.Column("dataset", sa.String(71), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("stage", sa.String(10), nullable=False),
        sa.Column("verdict", sa.String(20), nullable=False),
        sa.Column("look", sa.SmallInteger, nullable=False),
        sa.Column("record", json_type, nullable=False),
        sa.Column("headline", sa.Text, nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_gate_verdict"),
    )
    op.create_index(
        "ix_gate_verdict_project_id_subject_policy_dataset",
        "gate_verdict",
        ["project_id", "subject", "policy", "dataset"],
    )
    op.create_index("ix_gate_verdict_project_id_name_dataset", "gate_verdict", ["project_id", "name", "dataset"])


def downgrade() -> None:
    op.drop_table("gate_verdict")
