"""What scorers read of an answer beside its text, and whether a run's score was known before."""

import sqlalchemy as sa
from alembic import op

from app.kit.db import nullable_json

revision = "0010"
down_revision = "0009"

LARGE = ("chunks", "trajectory", "logprobs")


def upgrade() -> None:
    op.add_column("answer", sa.Column("ttft_ms", sa.Float(53), nullable=True))
    for column in LARGE:
        op.add_column("answer", sa.Column(column, nullable_json, nullable=True))
    op.add_column("run_score", sa.Column("cached", sa.Boolean, nullable=True))


def downgrade() -> None:
    op.drop_column("run_score", "cached")
    for column in (*LARGE, "ttft_ms"):
        op.drop_column("answer", column)
