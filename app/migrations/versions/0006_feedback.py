"""Inferences, ratings, votes."""

import sqlalchemy as sa
from alembic import op

from app.kit.db import UTCDateTime, json_type

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "inference",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("id", sa.String(120), nullable=False),
        sa.Column("environment", sa.String(40), nullable=True),
        sa.Column("prompt", sa.String(120), nullable=False),
        sa.Column("version", sa.Integer, nullable=True),
        sa.Column("prompt_digest", sa.String(71), nullable=True),
        sa.Column("bundle", sa.String(71), nullable=True),
        sa.Column("release", sa.String(40), nullable=True),
        sa.Column("split", sa.String(40), nullable=True),
        sa.Column("phase", sa.SmallInteger, nullable=True),
        sa.Column("arm", sa.String(10), nullable=True),
        sa.Column("unit", sa.String(32), nullable=True),
        sa.Column("key_id", sa.String(40), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("at", UTCDateTime, nullable=False),
        sa.Column("latency_ms", sa.Float, nullable=True),
        sa.Column("cost_nano", sa.BigInteger, nullable=True),
        sa.Column("usage", json_type, nullable=True),
        sa.Column("endpoint", sa.String(200), nullable=True),
        sa.Column("variables", json_type, nullable=True),
        sa.Column("messages", json_type, nullable=True),
        sa.Column("output", sa.Text, nullable=True),
        sa.Column("error", sa.Text, nullable=True),
        sa.Column("tags", json_type, nullable=False),
        sa.Column("used_by", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_inference"),
    )
    op.create_index("ix_inference_project_id_prompt_at", "inference", ["project_id", "prompt", "at"])
    op.create_index("ix_inference_project_id_unit", "inference", ["project_id", "unit"])
    op.create_table(
        "rating",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("inference_id", sa.String(120), nullable=False),
        sa.Column("environment", sa.String(40), nullable=True),
        sa.Column("prompt", sa.String(120), nullable=False),
        sa.Column("version", sa.Integer, nullable=True),
        sa.Column("release", sa.String(40), nullable=True),
        sa.Column("endpoint", sa.String(200), nullable=True),
        sa.Column("signal", sa.String(40), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("rater", sa.String(32), nullable=False),
        sa.Column("comment", sa.Text, nullable=True),
        sa.Column("correction", sa.Text, nullable=True),
        sa.Column("tags", json_type, nullable=False),
        sa.Column("key_id", sa.String(40), nullable=False),
        sa.Column("counted", sa.Boolean, nullable=False),
        sa.Column("in_rollout", sa.Boolean, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("supersedes", sa.String(40), nullable=True),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_rating"),
    )
    op.create_index("ix_rating_project_id_inference_id", "rating", ["project_id", "inference_id"])
    op.create_index("ix_rating_project_id_prompt_created_at", "rating", ["project_id", "prompt", "created_at"])
    op.create_index("ix_rating_project_id_rater", "rating", ["project_id", "rater"])
    op.create_table(
        "vote",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("split", sa.String(40), nullable=False),
        sa.Column("signal", sa.String(40), nullable=False),
        sa.Column("unit", sa.String(32), nullable=False),
        sa.Column("phase", sa.SmallInteger, nullable=False),
        sa.Column("arm", sa.String(10), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("rater", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "split", "signal", "unit", name="pk_vote"),
    )
    op.create_table(
        "tally",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("split", sa.String(40), nullable=False),
        sa.Column("phase", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("arm", sa.String(10), nullable=False),
        sa.Column("signal", sa.String(40), nullable=False),
        sa.Column("bucket", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("total", sa.Float, nullable=False),
        sa.Column("squares", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "split", "phase", "arm", "signal", "bucket", name="pk_tally"),
    )
    op.create_table(
        "exposure",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("split", sa.String(40), nullable=False),
        sa.Column("phase", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("unit", sa.String(32), nullable=False),
        sa.Column("arm", sa.String(10), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "split", "phase", "unit", name="pk_exposure"),
    )
    op.create_table(
        "rating_quota",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("who", sa.String(100), nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "day", "who", name="pk_rating_quota"),
    )


def downgrade() -> None:
    for table in ("rating_quota", "exposure", "tally", "vote", "rating", "inference"):
        op.drop_table(table)
