"""What judges answered: the same question is asked once."""

import sqlalchemy as sa
from alembic import op

from app.kit.db import UTCDateTime, big_int, nullable_json

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "judge_reply",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("text", sa.Text, nullable=True),
        sa.Column("finish_reason", sa.String(40), nullable=True),
        sa.Column("logprobs", nullable_json, nullable=True),
        sa.Column("cost_nano", big_int, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "key", name="pk_judge_reply"),
    )


def downgrade() -> None:
    op.drop_table("judge_reply")
