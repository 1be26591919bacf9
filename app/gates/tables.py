from datetime import datetime
from typing import Any

from sqlalchemy import Index, SmallInteger, String, Text
from sqlmodel import Field

from app.kit.db import Table, UTCDateTime, json_type

DIGEST = String(71)


class VerdictRow(Table, table=True):
    """A verdict as it was given. `subject` and `baseline` are bundle digests; `name` is what the candidate's prompt is called.

    `look` counts the looks at one candidate's growing evidence; `record` is the whole verdict record.
    """

    __tablename__ = "gate_verdict"
    __table_args__ = (
        Index(None, "project_id", "subject", "policy", "dataset"),
        Index(None, "project_id", "name", "dataset"),
    )

    project_id: str = Field(sa_type=String(40), primary_key=True)
    id: str = Field(sa_type=String(40), primary_key=True)
    subject: str = Field(sa_type=DIGEST)
    baseline: str | None = Field(default=None, sa_type=DIGEST)
    policy: str = Field(sa_type=DIGEST)
    dataset: str = Field(sa_type=DIGEST)
    name: str = Field(sa_type=String(200))
    stage: str = Field(sa_type=String(10))
    verdict: str = Field(sa_type=String(20))
    look: int = Field(sa_type=SmallInteger)
    record: dict[str, Any] = Field(sa_type=json_type)
    headline: str = Field(sa_type=Text)
    author: str = Field(sa_type=String(200))
    created_at: datetime = Field(sa_type=UTCDateTime)
