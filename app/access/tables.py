from datetime import datetime

from sqlalchemy import LargeBinary, String
from sqlmodel import Field

from app.kit.db import Table, UTCDateTime


class ProjectRow(Table, table=True):
    """A project. `default` is there without a row. The keys of an archived one open nothing."""

    __tablename__ = "project"

    id: str = Field(sa_type=String(40), primary_key=True)
    name: str = Field(sa_type=String(120))
    created_at: datetime = Field(sa_type=UTCDateTime)
    created_by: str = Field(sa_type=String(200))
    archived_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class APIKey(Table, table=True):
    """A key. Its secret is not kept: only an HMAC under a salt of its own."""

    __tablename__ = "api_key"

    project_id: str = Field(sa_type=String(40), primary_key=True)
    id: str = Field(sa_type=String(40), primary_key=True, unique=True)
    name: str = Field(sa_type=String(120))
    role: str = Field(sa_type=String(20))
    clearance: str | None = Field(default=None, sa_type=String(20))
    salt: bytes = Field(sa_type=LargeBinary)
    mac: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=UTCDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
