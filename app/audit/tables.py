from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Integer, String, Text
from sqlmodel import Field

from app.kit.db import Table, UTCDateTime, json_type


class AuditRow(Table, table=True):
    """One change. `hash` is over everything else in the row and the `previous` row's hash, so that none can be altered,
    left out or put in without all that follow."""

    __tablename__ = "audit_entry"

    project_id: str = Field(sa_type=String(40), primary_key=True)
    no: int = Field(
        sa_type=BigInteger().with_variant(Integer(), "sqlite"),
        primary_key=True,
        sa_column_kwargs={"autoincrement": False},
    )
    at: datetime = Field(sa_type=UTCDateTime)
    actor: str = Field(sa_type=String(200))
    action: str = Field(sa_type=String(60))
    subject: str = Field(sa_type=String(300))
    before: str | None = Field(default=None, sa_type=String(200))
    after: str | None = Field(default=None, sa_type=String(200))
    reason: str = Field(sa_type=Text)
    details: dict[str, Any] = Field(sa_type=json_type)
    previous: str = Field(sa_type=String(71))
    hash: str = Field(sa_type=String(71))


class AuditHeadRow(Table, table=True):
    """The end of a project's chain: the row that writers lock, and what tells a shortened chain."""

    __tablename__ = "audit_head"

    project_id: str = Field(sa_type=String(40), primary_key=True)
    no: int = Field(sa_type=BigInteger().with_variant(Integer(), "sqlite"))
    hash: str = Field(sa_type=String(71))
