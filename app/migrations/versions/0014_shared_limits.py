"""Limits of endpoints that all processes share."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "endpoint_limit",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("concurrency", sa.Float(53), nullable=False),
        sa.Column("decreased_at", sa.Float(53), nullable=False),
        sa.Column("paused_until", sa.Float(53), nullable=False),
        sa.Column("requests_arrival", sa.Float(53), nullable=False),
        sa.Column("tokens_arrival", sa.Float(53), nullable=False),
        sa.Column("synced_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", name="pk_endpoint_limit"),
    )
    op.create_table(
        "endpoint_share",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("process", sa.String(80), nullable=False),
        sa.Column("granted", sa.Integer(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "process", name="pk_endpoint_share"),
    )


def downgrade() -> None:
    op.drop_table("endpoint_share")
    op.drop_table("endpoint_limit")
