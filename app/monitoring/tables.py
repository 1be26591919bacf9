from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, Text
from sqlmodel import Field

from app.kit.db import Table, UTCDateTime, json_type, nullable_json

PROJECT = String(40)
NAME = String(120).with_variant(String(120, collation="C"), "postgresql")


class ScheduleRow(Table, table=True):
    """A schedule. `next_at` is when it is due: null for one that is off, or that waits for endpoints.

    `next_at` moves only forward, and whoever moves it owns the time that it stood at: so a time is run once, whatever clocks
    and processes do. `last_due_at` is the last time that was owned.
    """

    __tablename__ = "schedule"
    __table_args__ = (Index(None, "next_at"),)

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    name: str = Field(sa_type=NAME, primary_key=True)
    definition: dict[str, Any] = Field(sa_type=json_type)
    digest: str = Field(sa_type=String(71))
    via: str = Field(sa_type=String(10))
    sentinel: bool = False
    enabled: bool = True
    next_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    last_due_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    created_at: datetime = Field(sa_type=UTCDateTime)
    updated_at: datetime = Field(sa_type=UTCDateTime)
    updated_by: str = Field(sa_type=String(200))


class ScheduleSeenRow(Table, table=True):
    """An endpoint that a sentinel knows: it was there before, or it has been evaluated."""

    __tablename__ = "schedule_seen"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    schedule: str = Field(sa_type=NAME, primary_key=True)
    endpoint: str = Field(sa_type=NAME, primary_key=True)


class ScheduleRunRow(Table, table=True):
    """One suite of one time at which a schedule was due. `claimed_at` is when a process took it up that has not yet made
    its run."""

    __tablename__ = "schedule_run"
    __table_args__ = (Index(None, "project_id", "schedule", "id"), Index(None, "state", "claimed_at"))

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    id: str = Field(sa_type=String(40), primary_key=True)
    schedule: str = Field(sa_type=NAME)
    trigger: str = Field(sa_type=String(10))
    suite: str = Field(sa_type=String(200))
    endpoint: str | None = Field(default=None, sa_type=String(200))
    due_at: datetime = Field(sa_type=UTCDateTime)
    at: datetime = Field(sa_type=UTCDateTime)
    claimed_at: datetime = Field(sa_type=UTCDateTime)
    state: str = Field(sa_type=String(10))
    reason: str | None = Field(default=None, sa_type=Text)
    run_id: str | None = Field(default=None, sa_type=String(40))
    outcome: dict[str, Any] | None = Field(default=None, sa_type=nullable_json)
