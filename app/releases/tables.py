from datetime import date, datetime
from typing import Any

from sqlalchemy import Boolean, Date, Float, Index, Integer, String, Text
from sqlmodel import Field

from app.kit.db import Table, UTCDateTime, json_type

NAME = String(120).with_variant(String(120, collation="C"), "postgresql")


class ReleaseRow(Table, table=True):
    """A release. `revision` rises by one with every event; a transition names the revision that it starts from."""

    __tablename__ = "release"
    __table_args__ = (Index("ix_release_project_id_environment_name", "project_id", "environment", "name"),)

    project_id: str = Field(sa_type=String(40), primary_key=True)
    id: str = Field(sa_type=String(40), primary_key=True)
    environment: str = Field(sa_type=String(40))
    name: str = Field(sa_type=String(120))
    version: int = Field(sa_type=Integer)
    bundle: str = Field(sa_type=String(71))
    spec: dict[str, Any] = Field(sa_type=json_type)
    refs: dict[str, Any] = Field(sa_type=json_type)
    pins: dict[str, Any] = Field(sa_type=json_type)
    state: str = Field(sa_type=String(20))
    revision: int = Field(sa_type=Integer)
    evaluation: int = Field(sa_type=Integer)
    offered_run: str | None = Field(default=None, sa_type=String(40))
    evidence: dict[str, Any] = Field(sa_type=json_type)
    baseline: str | None = Field(default=None, sa_type=String(40))
    predecessor: str | None = Field(default=None, sa_type=String(40))
    steps: list[float] = Field(sa_type=json_type)
    step: int | None = Field(default=None, sa_type=Integer)
    share: float = Field(sa_type=Float)
    verdicts: list[Any] = Field(sa_type=json_type)
    verdict: str | None = Field(default=None, sa_type=String(20))
    exit_code: int | None = Field(default=None, sa_type=Integer)
    approvals_needed: int = Field(sa_type=Integer)
    overruled: list[str] = Field(sa_type=json_type)
    rollout_verdict: dict[str, Any] | None = Field(default=None, sa_type=json_type)
    reason: str = Field(sa_type=Text)
    notes: str = Field(sa_type=Text)
    author: str = Field(sa_type=String(200))
    author_key: str = Field(sa_type=String(40))
    content_author: str = Field(sa_type=String(200))
    created_at: datetime = Field(sa_type=UTCDateTime)
    updated_at: datetime = Field(sa_type=UTCDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class ReleaseEventRow(Table, table=True):
    """What happened to a release. `no` is the revision that it led to, so that a history cannot fork."""

    __tablename__ = "release_event"

    project_id: str = Field(sa_type=String(40), primary_key=True)
    release_id: str = Field(sa_type=String(40), primary_key=True)
    no: int = Field(sa_type=Integer, primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = Field(sa_type=UTCDateTime)
    by: str = Field(sa_type=String(200))
    action: str = Field(sa_type=String(20))
    from_state: str | None = Field(default=None, sa_type=String(20))
    to_state: str = Field(sa_type=String(20))
    share: float | None = Field(default=None, sa_type=Float)
    reason: str = Field(sa_type=Text)
    details: dict[str, Any] = Field(sa_type=json_type)


class ApprovalRow(Table, table=True):
    """One person's approval of one evaluation; evaluated again, a release needs its approvals again."""

    __tablename__ = "release_approval"

    project_id: str = Field(sa_type=String(40), primary_key=True)
    release_id: str = Field(sa_type=String(40), primary_key=True)
    evaluation: int = Field(sa_type=Integer, primary_key=True, sa_column_kwargs={"autoincrement": False})
    key_id: str = Field(sa_type=String(40), primary_key=True)
    by: str = Field(sa_type=String(200))
    role: str = Field(sa_type=String(20))
    at: datetime = Field(sa_type=UTCDateTime)
    reason: str = Field(sa_type=Text)
    accepted_risk: bool = Field(sa_type=Boolean)


class DeploymentRow(Table, table=True):
    """What serves one prompt in one environment, and which release is on its way there. The row that transitions lock."""

    __tablename__ = "deployment"

    project_id: str = Field(sa_type=String(40), primary_key=True)
    environment: str = Field(sa_type=String(40), primary_key=True)
    name: str = Field(sa_type=String(120), primary_key=True)
    revision: int = Field(sa_type=Integer)
    live: str | None = Field(default=None, sa_type=String(40))
    active: str | None = Field(default=None, sa_type=String(40))
    updated_at: datetime = Field(sa_type=UTCDateTime)


class LifeCycleRow(Table, table=True):
    """What people said of a prompt as a whole, whatever its version: whose it is, what for, until when, what comes after it."""

    __tablename__ = "life_cycle"

    project_id: str = Field(sa_type=String(40), primary_key=True)
    name: str = Field(sa_type=NAME, primary_key=True)
    owner: str | None = Field(default=None, sa_type=String(120))
    purpose: str = Field(sa_type=Text)
    sunset_on: date | None = Field(default=None, sa_type=Date)
    successor: str | None = Field(default=None, sa_type=NAME)
    retired_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    updated_at: datetime = Field(sa_type=UTCDateTime)
    updated_by: str = Field(sa_type=String(200))
