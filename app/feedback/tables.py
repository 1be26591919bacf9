from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Date, Float, Index, Integer, SmallInteger, String, Text
from sqlmodel import Field

from app.kit.db import Table, UTCDateTime, json_type

PROJECT = String(40)
INFERENCE = String(120)
PERSON = String(32)
"""A keyed hash of a rater or a unit; who it is is not stored."""


class InferenceRow(Table, table=True):
    """An answer that somebody was given. The split columns say where in a rollout it was; `used_by` is who used its receipt."""

    __tablename__ = "inference"
    __table_args__ = (
        Index("ix_inference_project_id_prompt_at", "project_id", "prompt", "at"),
        Index("ix_inference_project_id_unit", "project_id", "unit"),
    )

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    id: str = Field(sa_type=INFERENCE, primary_key=True)
    environment: str | None = Field(default=None, sa_type=String(40))
    prompt: str = Field(sa_type=String(120))
    version: int | None = Field(default=None, sa_type=Integer)
    prompt_digest: str | None = Field(default=None, sa_type=String(71))
    bundle: str | None = Field(default=None, sa_type=String(71))
    release: str | None = Field(default=None, sa_type=String(40))
    split: str | None = Field(default=None, sa_type=String(40))
    phase: int | None = Field(default=None, sa_type=SmallInteger)
    arm: str | None = Field(default=None, sa_type=String(10))
    unit: str | None = Field(default=None, sa_type=PERSON)
    key_id: str = Field(sa_type=String(40))
    status: str = Field(sa_type=String(10))
    at: datetime = Field(sa_type=UTCDateTime)
    latency_ms: float | None = Field(default=None, sa_type=Float)
    cost_nano: int | None = Field(default=None, sa_type=BigInteger)
    usage: dict[str, Any] | None = Field(default=None, sa_type=json_type)
    endpoint: str | None = Field(default=None, sa_type=String(200))
    variables: dict[str, Any] | None = Field(default=None, sa_type=json_type)
    messages: list[Any] | None = Field(default=None, sa_type=json_type)
    output: str | None = Field(default=None, sa_type=Text)
    error: str | None = Field(default=None, sa_type=Text)
    tags: list[str] = Field(sa_type=json_type)
    used_by: str | None = Field(default=None, sa_type=PERSON)


class RatingRow(Table, table=True):
    """One thing that one rater said. A later word of the same rater on the same answer and signal makes it `current` no
    more, and stays beside it. What is not `counted` says why in `reason`."""

    __tablename__ = "rating"
    __table_args__ = (
        Index("ix_rating_project_id_inference_id", "project_id", "inference_id"),
        Index("ix_rating_project_id_prompt_created_at", "project_id", "prompt", "created_at"),
        Index("ix_rating_project_id_rater", "project_id", "rater"),
    )

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    id: str = Field(sa_type=String(40), primary_key=True)
    inference_id: str = Field(sa_type=INFERENCE)
    environment: str | None = Field(default=None, sa_type=String(40))
    prompt: str = Field(sa_type=String(120))
    version: int | None = Field(default=None, sa_type=Integer)
    release: str | None = Field(default=None, sa_type=String(40))
    endpoint: str | None = Field(default=None, sa_type=String(200))
    signal: str = Field(sa_type=String(40))
    value: float = Field(sa_type=Float)
    rater: str = Field(sa_type=PERSON)
    comment: str | None = Field(default=None, sa_type=Text)
    correction: str | None = Field(default=None, sa_type=Text)
    tags: list[str] = Field(sa_type=json_type)
    key_id: str = Field(sa_type=String(40))
    counted: bool = Field(sa_type=Boolean)
    in_rollout: bool = Field(sa_type=Boolean)
    current: bool = Field(sa_type=Boolean)
    reason: str | None = Field(default=None, sa_type=Text)
    supersedes: str | None = Field(default=None, sa_type=String(40))
    created_at: datetime = Field(sa_type=UTCDateTime)


class VoteRow(Table, table=True):
    """The one vote of a unit on a signal in a rollout: the last counts. It says where in the tallies it is counted."""

    __tablename__ = "vote"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    split: str = Field(sa_type=String(40), primary_key=True)
    signal: str = Field(sa_type=String(40), primary_key=True)
    unit: str = Field(sa_type=PERSON, primary_key=True)
    phase: int = Field(sa_type=SmallInteger)
    arm: str = Field(sa_type=String(10))
    value: float = Field(sa_type=Float)
    rater: str = Field(sa_type=PERSON)


class TallyRow(Table, table=True):
    """Counted votes and answers of a rollout, kept in the transaction that stores each of them."""

    __tablename__ = "tally"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    split: str = Field(sa_type=String(40), primary_key=True)
    phase: int = Field(sa_type=SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    arm: str = Field(sa_type=String(10), primary_key=True)
    signal: str = Field(sa_type=String(40), primary_key=True)
    bucket: int = Field(sa_type=SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    n: int = Field(sa_type=Integer)
    total: float = Field(sa_type=Float)
    squares: float = Field(sa_type=Float)


class ExposureRow(Table, table=True):
    """A unit that was given an answer in a phase of a rollout, so that each is counted once."""

    __tablename__ = "exposure"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    split: str = Field(sa_type=String(40), primary_key=True)
    phase: int = Field(sa_type=SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    unit: str = Field(sa_type=PERSON, primary_key=True)
    arm: str = Field(sa_type=String(10))


class QuotaRow(Table, table=True):
    """How many ratings a key, or a rater on a signal, gave on a day."""

    __tablename__ = "rating_quota"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    day: Any = Field(sa_type=Date, primary_key=True)
    who: str = Field(sa_type=String(100), primary_key=True)
    n: int = Field(sa_type=Integer)
