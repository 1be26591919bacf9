"""The chain of changes."""

import sqlalchemy as sa
from alembic import op

from app.kit.db import UTCDateTime, json_type

revision = "0005"
down_revision = "0004"

number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("no", number, nullable=False, autoincrement=False),
        sa.Column("at", UTCDateTime, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(60), nullable=False),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("before", sa.String(200), nullable=True),
        sa.Column("after", sa.String(200), nullable=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("details", json_type, nullable=False),
        sa.Column("previous", sa.String(71), nullable=False),
        sa.Column("hash", sa.String(71), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "no", name="pk_audit_entry"),
    )
    op.create_table(
        "audit_head",
        sa.Column("project_id", sa.String(40), nullable=False),
        sa.Column("no", number, nullable=False),
        sa.Column("hash", sa.String(71), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name="pk_audit_head"),
    )


def downgrade() -> None:
    op.drop_table("audit_head")
    op.drop_table("audit_entry")
