"""Environments: labels with rules."""

import sqlalchemy as sa
from alembic import op

from app.kit.db import UTCDateTime, json_type

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "environment",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("rules", json_type, nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("updated_at", UTCDateTime, nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", name="pk_environment"),
    )


def downgrade() -> None:
    op.drop_table("environment")
