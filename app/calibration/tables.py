from datetime import datetime
from typing import Any

from sqlalchemy import Float, Index, Integer, String
from sqlmodel import Field

from app.kit.db import Table, UTCDateTime, json_type


class CalibrationRow(Table, table=True):
    """A calibration as it was reported. `pairs` are what people and the judge said by the answers' ids (`pairs.Pair`), so
    that a later one can be compared; no text of an answer is kept."""

    __tablename__ = "calibration"
    __table_args__ = (Index("ix_calibration_project_id_rubric", "project_id", "rubric", "id"),)

    project_id: str = Field(sa_type=String(40), primary_key=True)
    id: str = Field(sa_type=String(40), primary_key=True)
    rubric: str = Field(sa_type=String(120))
    report: dict[str, Any] = Field(sa_type=json_type)
    pairs: list[Any] = Field(sa_type=json_type)
    created_by: str = Field(sa_type=String(200))
    created_at: datetime = Field(sa_type=UTCDateTime)


class LabelQueueRow(Table, table=True):
    """Answers of a run that wait for people's labels, drawn for a rubric."""

    __tablename__ = "label_queue"
    __table_args__ = (Index("ix_label_queue_project_id_rubric", "project_id", "rubric", "id"),)

    project_id: str = Field(sa_type=String(40), primary_key=True)
    id: str = Field(sa_type=String(40), primary_key=True)
    rubric: str = Field(sa_type=String(120))
    run_id: str = Field(sa_type=String(40))
    drawn: dict[str, Any] = Field(sa_type=json_type)
    created_by: str = Field(sa_type=String(200))
    created_at: datetime = Field(sa_type=UTCDateTime)


class LabelItemRow(Table, table=True):
    """One answer of a queue: where it is in its run, the probability with which it was drawn, and what was said of it."""

    __tablename__ = "label_item"

    project_id: str = Field(sa_type=String(40), primary_key=True)
    queue_id: str = Field(sa_type=String(40), primary_key=True)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    case_id: str = Field(sa_type=String(400))
    variant: str = Field(sa_type=String(400))
    repeat: int = Field(sa_type=Integer)
    probability: float = Field(sa_type=Float(53))
    judge: str | None = Field(default=None, sa_type=String(400))
    human: str | None = Field(default=None, sa_type=String(400))
    labelled_by: str | None = Field(default=None, sa_type=String(200))
    labelled_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
