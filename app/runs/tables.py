"""What runs store. Answers and scores belong to the project and outlive the runs that made them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Float, Index, Integer, LargeBinary, SmallInteger, String, Text
from sqlmodel import Field

from app.kit.db import Table, UTCDateTime, big_int, json_type, nullable_json

PROJECT = String(40)
RUN = String(40)
KEY = String(64)
STATUS = String(10)


class RunRow(Table, table=True):
    """One run. `spec` is what it was resolved to when it was made (`spec.Spec`); `ends_as` is
    `done` until something stops it. `rests_as` is the status of one that nothing stopped: that which it had before it was
    scored again, else `done`. `attempt` counts how often it was begun: what works on an earlier one ends no cell.
    """

    __tablename__ = "run"
    __table_args__ = (
        Index(None, "project_id", "suite", "id"),
        Index(None, "project_id", "status", "id"),
        Index(None, "status"),
    )

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    id: str = Field(sa_type=RUN, primary_key=True)
    status: str = Field(sa_type=STATUS)
    ends_as: str = Field(sa_type=STATUS)
    reason: str | None = Field(default=None, sa_type=Text)
    suite: str | None = Field(default=None, sa_type=String(120))
    spec: dict[str, Any] = Field(sa_type=json_type)
    budget_nano: int | None = Field(default=None, sa_type=big_int)
    estimated_nano: int | None = Field(default=None, sa_type=big_int)
    created_by: str = Field(sa_type=String(200))
    created_at: datetime = Field(sa_type=UTCDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    attempt: int = 0
    rests_as: str = Field(default="done", sa_type=STATUS)
    priority: int = Field(default=1, sa_type=SmallInteger)


class RunCasesRow(Table, table=True):
    """The cases of a run in their order, encoded (`spec.Case`): read whole, written once."""

    __tablename__ = "run_cases"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    run_id: str = Field(sa_type=RUN, primary_key=True)
    cases: bytes = Field(sa_type=LargeBinary)


class RunVariantRow(Table, table=True):
    """The counters of one variant: changed in the transaction that ends a cell, so that nothing is ever counted anew."""

    __tablename__ = "run_variant"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    run_id: str = Field(sa_type=RUN, primary_key=True)
    variant_no: int = Field(sa_type=SmallInteger, primary_key=True)
    planned: int = 0
    cached: int = 0
    answered: int = 0
    failed: int = 0
    errored: int = 0
    cancelled: int = 0
    cost_nano: int = Field(default=0, sa_type=big_int)
    judge_cost_nano: int = Field(default=0, sa_type=big_int)
    metrics: dict[str, Any] | None = Field(default=None, sa_type=json_type)


class RunErrorRow(Table, table=True):
    """How many cells of a variant ended as errored, by the kind of error."""

    __tablename__ = "run_error"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    run_id: str = Field(sa_type=RUN, primary_key=True)
    variant_no: int = Field(sa_type=SmallInteger, primary_key=True)
    kind: str = Field(sa_type=String(40), primary_key=True)
    cells: int = 0


class RunCellRow(Table, table=True):
    """One cell. `pending` until it ends as cached, answered, failed, errored or cancelled."""

    __tablename__ = "run_cell"
    __table_args__ = {"sqlite_with_rowid": False}

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    run_id: str = Field(sa_type=RUN, primary_key=True)
    variant_no: int = Field(sa_type=SmallInteger, primary_key=True)
    case_no: int = Field(sa_type=Integer, primary_key=True)
    repeat: int = Field(sa_type=SmallInteger, primary_key=True)
    cell_key: str = Field(sa_type=KEY)
    status: str = Field(sa_type=STATUS)
    error_kind: str | None = Field(default=None, sa_type=String(40))
    error: str | None = Field(default=None, sa_type=Text)


class RunScoreRow(Table, table=True):
    """What a metric says of a cell of a run, copied from the score so that a comparison reads one range of one table."""

    __tablename__ = "run_score"
    __table_args__ = {"sqlite_with_rowid": False}

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    run_id: str = Field(sa_type=RUN, primary_key=True)
    variant_no: int = Field(sa_type=SmallInteger, primary_key=True)
    metric_no: int = Field(sa_type=SmallInteger, primary_key=True)
    case_no: int = Field(sa_type=Integer, primary_key=True)
    repeat: int = Field(sa_type=SmallInteger, primary_key=True)
    value: float | None = Field(default=None, sa_type=Float(53))
    passed: bool | None = None
    status: str = Field(sa_type=STATUS)
    score_key: str | None = Field(default=None, sa_type=KEY)
    error: str | None = Field(default=None, sa_type=Text)
    cached: bool | None = None


class AnswerRow(Table, table=True):
    """What a model answered, under the digest of all that decided it. Never changed. `run_id` is the run that paid.

    `chunks`, `trajectory` and `logprobs` may be large: they are read where a scorer needs them, or a result is shown whole.
    """

    __tablename__ = "answer"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    cell_key: str = Field(sa_type=KEY, primary_key=True)
    run_id: str = Field(sa_type=RUN)
    status: str = Field(sa_type=STATUS)
    text: str | None = Field(default=None, sa_type=Text)
    parsed: Any = Field(default=None, nullable=True, sa_type=json_type)
    tool_calls: Any = Field(default=None, nullable=True, sa_type=json_type)
    finish_reason: str | None = Field(default=None, sa_type=String(40))
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cost_nano: int | None = Field(default=None, sa_type=big_int)
    latency_ms: float | None = Field(default=None, sa_type=Float(53))
    context: str | None = Field(default=None, sa_type=Text)
    error: str | None = Field(default=None, sa_type=Text)
    model: str | None = Field(default=None, sa_type=String(200))
    created_at: datetime = Field(sa_type=UTCDateTime)
    ttft_ms: float | None = Field(default=None, sa_type=Float(53))
    chunks: Any = Field(default=None, nullable=True, sa_type=nullable_json)
    trajectory: Any = Field(default=None, nullable=True, sa_type=nullable_json)
    logprobs: Any = Field(default=None, nullable=True, sa_type=nullable_json)


class ScoreRow(Table, table=True):
    """What a scorer gave an answer, under the digest of all that decided it. Errors are not kept: they are tried again."""

    __tablename__ = "score"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    key: str = Field(sa_type=KEY, primary_key=True)
    cell_key: str = Field(sa_type=KEY)
    scorer: str = Field(sa_type=String(80))
    value: float | None = Field(default=None, sa_type=Float(53))
    passed: bool | None = None
    label: str | None = Field(default=None, sa_type=String(200))
    status: str = Field(sa_type=STATUS)
    explanation: str = Field(default="", sa_type=Text)
    evidence: Any = Field(default=None, nullable=True, sa_type=json_type)
    cost_nano: int = Field(default=0, sa_type=big_int)
    tokens: int = 0
    created_at: datetime = Field(sa_type=UTCDateTime)


class JudgeReplyRow(Table, table=True):
    """What a judge answered, or an embedder's vectors, under the digest of who was asked what. Failures are not kept."""

    __tablename__ = "judge_reply"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    key: str = Field(sa_type=KEY, primary_key=True)
    text: str | None = Field(default=None, sa_type=Text)
    finish_reason: str | None = Field(default=None, sa_type=String(40))
    logprobs: Any = Field(default=None, nullable=True, sa_type=nullable_json)
    cost_nano: int = Field(default=0, sa_type=big_int)
    tokens: int = 0
    created_at: datetime = Field(sa_type=UTCDateTime)


class RunPurseRow(Table, table=True):
    """What a process may spend for a run, and has spent: of all processes together never more than the run's budget."""

    __tablename__ = "run_purse"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    run_id: str = Field(sa_type=RUN, primary_key=True)
    process: str = Field(sa_type=RUN, primary_key=True)
    granted_nano: int = Field(default=0, sa_type=big_int)
    spent_nano: int = Field(default=0, sa_type=big_int)


class AnswerClaimRow(Table, table=True):
    """A process asks for this answer: others wait for it as long as that process lives."""

    __tablename__ = "answer_claim"

    project_id: str = Field(sa_type=PROJECT, primary_key=True)
    cell_key: str = Field(sa_type=KEY, primary_key=True)
    process: str = Field(sa_type=RUN)


class ProcessRow(Table, table=True):
    """A service or worker of this database: of the installation, and so of no project."""

    __tablename__ = "process"

    id: str = Field(sa_type=RUN, primary_key=True)
    kind: str = Field(sa_type=String(10))
    version: str = Field(sa_type=String(40))
    host: str = Field(sa_type=String(200))
    pid: int
    started_at: datetime = Field(sa_type=UTCDateTime)
    seen_at: datetime = Field(sa_type=UTCDateTime)
