"""Runs: their cells, and the answers and scores that outlive them."""

import sqlalchemy as sa
from alembic import op

from app.kit.db import UTCDateTime, big_int, json_type

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "run",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("ends_as", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("suite", sa.String(120), nullable=True),
        sa.Column("spec", json_type, nullable=False),
        sa.Column("budget_nano", big_int, nullable=True),
        sa.Column("estimated_nano", big_int, nullable=True),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("started_at", UTCDateTime, nullable=True),
        sa.Column("finished_at", UTCDateTime, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "id", name="pk_run"),
    )
    op.create_index("ix_run_project_id_suite_id", "run", ["project_id", "suite", "id"])
    op.create_index("ix_run_project_id_status_id", "run", ["project_id", "status", "id"])
    op.create_table(
        "run_cases",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("cases", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "run_id", name="pk_run_cases"),
    )
    op.create_table(
        "run_variant",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("variant_no", sa.SmallInteger, nullable=False),
        sa.Column("planned", sa.Integer, nullable=False),
        sa.Column("cached", sa.Integer, nullable=False),
        sa.Column("answered", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("errored", sa.Integer, nullable=False),
        sa.Column("cancelled", sa.Integer, nullable=False),
        sa.Column("cost_nano", big_int, nullable=False),
        sa.Column("judge_cost_nano", big_int, nullable=False),
        sa.Column("metrics", json_type, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "run_id", "variant_no", name="pk_run_variant"),
    )
    op.create_table(
        "run_error",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("variant_no", sa.SmallInteger, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("cells", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "run_id", "variant_no", "kind", name="pk_run_error"),
    )
    op.create_table(
        "run_cell",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("variant_no", sa.SmallInteger, nullable=False),
        sa.Column("case_no", sa.Integer, nullable=False),
        sa.Column("repeat", sa.SmallInteger, nullable=False),
        sa.Column("cell_key", sa.String(64), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("error_kind", sa.String(40), nullable=True),
        sa.Column("error", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "run_id", "variant_no", "case_no", "repeat", name="pk_run_cell"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_score",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("variant_no", sa.SmallInteger, nullable=False),
        sa.Column("metric_no", sa.SmallInteger, nullable=False),
        sa.Column("case_no", sa.Integer, nullable=False),
        sa.Column("repeat", sa.SmallInteger, nullable=False),
        sa.Column("value", sa.Float(53), nullable=True),
        sa.Column("passed", sa.Boolean, nullable=True),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("score_key", sa.String(64), nullable=True),
        sa.Column("error", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint(
            "project_id", "run_id", "variant_no", "metric_no", "case_no", "repeat", name="pk_run_score"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "answer",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("cell_key", sa.String(64), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("text", sa.Text, nullable=True),
        sa.Column("parsed", json_type, nullable=True),
        sa.Column("tool_calls", json_type, nullable=True),
        sa.Column("finish_reason", sa.String(40), nullable=True),
        sa.Column("prompt_tokens", sa.Integer, nullable=True),
        sa.Column("completion_tokens", sa.Integer, nullable=True),
        sa.Column("cached_tokens", sa.Integer, nullable=True),
        sa.Column("cost_nano", big_int, nullable=True),
        sa.Column("latency_ms", sa.Float(53), nullable=True),
        sa.Column("context", sa.Text, nullable=True),
        sa.Column("error", sa.Text, nullable=True),
        sa.Column("model", sa.String(200), nullable=True),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "cell_key", name="pk_answer"),
    )
    op.create_table(
        "score",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("cell_key", sa.String(64), nullable=False),
        sa.Column("scorer", sa.String(80), nullable=False),
        sa.Column("value", sa.Float(53), nullable=True),
        sa.Column("passed", sa.Boolean, nullable=True),
        sa.Column("label", sa.String(200), nullable=True),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("explanation", sa.Text, nullable=False),
        sa.Column("evidence", json_type, nullable=True),
        sa.Column("cost_nano", big_int, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "key", name="pk_score"),
    )


def downgrade() -> None:
    for table in (
        "score",
        "answer",
        "run_score",
        "run_cell",
        "run_error",
        "run_variant",
        "run_cases",
        "run",
    ):
        op.drop_table(table)
