"""Batches of runs: questions that an endpoint's Batch API answers within a day."""

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary, String, Text
from sqlmodel import Field

from app.kit.db import Table, UTCDateTime, big_int
from app.runs.tables import PROJECT, RUN


class RunBatchRow(Table, table=True):
    """Cells of a run that are asked together (`batching.Asked`, encoded).

    `status`: `open` until the budget has room, `submitting` until the endpoint's id of it is stored, `waiting` until it is
    answered, then `ended`, `refused` (the cells are called one by one) or `cancelled`. `id` stands in the batch's metadata at the
    endpoint, so that one which was made before a crash is found again. `said` is the endpoint's last word of it.
    """

    __tablename__ = "run_batch"
    __table_args__ = (Index(None, "status"),)

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    run_id: str = Field(sa_type=RUN, primary_key=True)
    id: str = Field(sa_type=String(40), primary_key=True)
    endpoint_digest: str = Field(sa_type=String(80))
    status: str = Field(sa_type=String(10))
    cells: bytes = Field(sa_type=LargeBinary)
    count: int = Field(sa_type=Integer)
    reserved_nano: int = Field(default=0, sa_type=big_int)
    attempts: int = Field(default=0, sa_type=Integer)
    remote_id: str | None = Field(default=None, sa_type=String(200))
    file_id: str | None = Field(default=None, sa_type=String(200))
    said: str | None = Field(default=None, sa_type=String(40))
    error: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=UTCDateTime)
    submitted_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    checked_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
