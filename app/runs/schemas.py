"""Runs on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.generation.schemas import CandidateSpec, Draft
from app.runs.asked import MAX_CANDIDATES, Matrix, Only, RunPlan
from evaluators.contract import Chunk

RunStatus = Literal["queued", "running", "done", "budget", "cancelled", "failed"]
CellStatus = Literal["pending", "cached", "answered", "failed", "errored", "cancelled"]
ScoreStatus = Literal["ok", "error", "unscored", "skipped"]
ExportFormat = Literal["jsonl", "csv", "parquet"]

RESTING = ("done", "budget", "cancelled", "failed")
NANO = 1_000_000_000


def usd(nano: int) -> float:
    """Nano-dollars as dollars."""
    return nano / NANO


class RunCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`suite` is a reference, or `{content}`. A candidate without an endpoint is run on all of the suite's.

    `repeats` replaces the suite's; `max_cases` takes that many cases of the dataset, for a `seed` always the same ones, with
    `stratify` in the shares of their first tags; `only` filters before. `fresh` asks again for answers that are known, though
    not again for what judges have said of an equal answer. The combinations of `matrix` come after the `candidates`. Where
    runs wait for the same endpoint, those of a higher `priority` come first. `batch` replaces the suite's word on whether the
    run may wait for endpoints that answer within a day for less.
    """

    suite: str | Draft
    candidates: Annotated[list[CandidateSpec], msgspec.Meta(max_length=MAX_CANDIDATES)] = []
    baseline: CandidateSpec | None = None
    repeats: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    budget_usd: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    max_cases: Annotated[int, msgspec.Meta(ge=1)] | None = None
    fresh: bool = False
    priority: Literal["high", "normal", "low"] = "normal"
    batch: bool | None = None
    matrix: Matrix | None = None
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    stratify: bool = False
    only: Only | None = None


class RunResume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`budget_usd` replaces the run's budget; what was spent before counts. `only` errors: what was cancelled stays so."""

    budget_usd: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    only: Literal["errors"] | None = None


class RunRescore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`suite` is whose scorers to use: by default the latest version of the run's own suite."""

    suite: str | Draft | None = None


class Cells(msgspec.Struct, frozen=True):
    """Cells by how they ended. Of a run at rest, `planned` is the sum of the others."""

    planned: int = 0
    cached: int = 0
    answered: int = 0
    failed: int = 0
    errored: int = 0
    cancelled: int = 0

    @property
    def ended(self) -> int:
        return self.cached + self.answered + self.failed + self.errored + self.cancelled

    def __add__(self, other: "Cells") -> "Cells":
        return Cells(
            *(a + b for a, b in zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True))
        )


class RunStarted(msgspec.Struct, frozen=True):
    """A run that was made. `cells.cached` are those whose answers are known; `estimated_cost_usd` is what it may cost at most,
    null without prices; `plan` says what is expected, by endpoint."""

    id: str
    status: RunStatus
    cells: Cells
    estimated_cost_usd: float | None
    warnings: list[str]
    plan: RunPlan | None = None


class MetricSummary(msgspec.Struct, frozen=True):
    """A metric of a variant. `n` cases have a value, `missing` ones should have one and lack it.

    `mean` is over cases (their repeats are made one number first, by the metric's `reduce`), `low` and `high` are one-sided
    plus-one bounds at confidence 0.95, or Student's t bounds for measures without a range. `pass_rate` is over the answers
    that say whether they passed; `median`, `p90` and `p95` are over the answers, for measures without a range. `agreement` is
    that of those who judged: `krippendorff_alpha` of a jury, `positional_agreement` of pairs in both orders.
    """

    n: int
    missing: int
    mean: float | None
    low: float | None
    high: float | None
    direction: Literal["maximize", "minimize"]
    unit: str | None
    pass_rate: float | None = None
    median: float | None = None
    p90: float | None = None
    p95: float | None = None
    agreement: dict[str, float] = {}


class VariantRead(msgspec.Struct, frozen=True):
    """One candidate on one endpoint. `pins` are the digests of its parts."""

    id: str
    candidate: str
    prompt: str
    rag_config: str | None
    tool_config: str | None
    endpoint: str
    bundle: str
    pins: dict[str, str]
    cells: Cells
    cost_usd: float
    judge_cost_usd: float
    metrics: dict[str, MetricSummary]


class CandidateRead(msgspec.Struct, frozen=True):
    """`bundle` is the digest of what the candidate is: of its one variant, or over those of all its endpoints."""

    id: str
    bundle: str
    variants: list[str]


class RunRead(msgspec.Struct, frozen=True):
    """A run. `cost_usd` is what its answers cost, `judge_cost_usd` what judging them did; known answers cost nothing."""

    id: str
    status: RunStatus
    suite: str
    cells: Cells
    cost_usd: float
    candidates: list[CandidateRead]
    variants: list[VariantRead]
    judge_cost_usd: float
    dataset: str
    cases: int
    repeats: int
    budget_usd: float | None
    estimated_cost_usd: float | None
    errors: dict[str, int]
    warnings: list[str]
    reason: str | None
    pins: dict[str, str]
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class RunSummary(msgspec.Struct, frozen=True):
    """A run in a list."""

    id: str
    status: RunStatus
    suite: str
    cells: Cells
    cost_usd: float
    candidates: list[str]
    created_by: str
    created_at: datetime
    finished_at: datetime | None


class VariantProgress(msgspec.Struct, frozen=True):
    id: str
    done: int
    total: int


class Progress(msgspec.Struct, frozen=True):
    """Where a run stands. `eta_s` is null until there is a rate; `errors` count errored cells by kind."""

    status: RunStatus
    done: int
    total: int
    variants: list[VariantProgress]
    calls_per_s: float
    errors: dict[str, int]
    cost_usd: float
    eta_s: float | None


class AnswerRead(msgspec.Struct, frozen=True):
    """`cached`: this run did not pay for it. The last four may be large, and are there when `evidence` was asked for; the
    `prompt` is null where it cannot be known, as of an erased case."""

    text: str | None
    parsed: Any
    tool_calls: list[dict[str, Any]] | None
    finish_reason: str | None
    usage: dict[str, int] | None
    cost_usd: float | None
    latency_ms: float | None
    cached: bool
    context: str | None = None
    model: str | None = None
    ttft_ms: float | None = None
    chunks: list[Chunk] | UnsetType | None = UNSET
    prompt: list[dict[str, Any]] | UnsetType | None = UNSET
    trajectory: list[dict[str, Any]] | UnsetType | None = UNSET
    logprobs: list[float] | UnsetType | None = UNSET


class ScoreRead(msgspec.Struct, frozen=True):
    """`version` and `direction` are the scorer's; `cost_usd` and `tokens` are what its judge took in this run, 0 where the
    score or all that its judge said was known (`cached`)."""

    value: float | None
    passed: bool | None
    label: str | None
    status: ScoreStatus
    explanation: str
    evidence: Any = None
    version: int = 0
    direction: Literal["maximize", "minimize"] = "maximize"
    cost_usd: float = 0.0
    tokens: int = 0
    cached: bool = False


class Result(msgspec.Struct, frozen=True):
    """One cell with its answer and scores; `inputs`, `reference` and `tags` are its case's."""

    variant: str
    case: str
    repeat: int
    status: CellStatus
    answer: AnswerRead | None
    error: str | None
    scores: dict[str, ScoreRead]
    inputs: dict[str, Any]
    reference: Any
    tags: list[str]
    error_kind: str | None = None


class PairedMetric(msgspec.Struct, frozen=True):
    """One metric of two sides, paired by case: over all cases (`slice` null) or those with a tag.

    `difference` is candidate minus baseline; `low` and `high` bound it one-sidedly at `confidence`. `p_worse` is the
    sign-flip p-value that the candidate is worse (lower, or higher where less is better), of more than 20,000 cases by 1,999 flips. `p_mcnemar` is exact and two-sided.
    """

    metric: str
    slice: str | None
    n: int
    candidate: float | None
    baseline: float | None
    difference: float | None
    low: float | None
    high: float | None
    confidence: float
    p_worse: float | None
    p_mcnemar: float | None


class Flip(msgspec.Struct, frozen=True):
    """A case that passed on one side and not on the other; `from` is the baseline's value, `to` the candidate's;
    `candidate` and `baseline` are the two variants."""

    case: str
    metric: str
    from_: float = msgspec.field(name="from")
    to: float
    candidate: str
    baseline: str


class Comparison(msgspec.Struct, frozen=True):
    """`paired` are the pairs of variants that were compared, candidate first."""

    candidate: str
    baseline: str
    metrics: list[PairedMetric]
    flips: list[Flip]
    paired: list[tuple[str, str]]


class CaseCell(msgspec.Struct, frozen=True):
    """What one variant made of a case."""

    variant: str
    repeat: int
    status: CellStatus
    answer: AnswerRead | None
    error: str | None
    scores: dict[str, ScoreRead]
    error_kind: str | None = None


class CaseRead(msgspec.Struct, frozen=True):
    """One case of a run with the cells of all variants beside each other. `differs` says what is not alike in all of them:
    `answer`, `status`, or a metric by its name, when its value or `passed` differs."""

    case: str
    inputs: dict[str, Any]
    reference: Any
    tags: list[str]
    cells: list[CaseCell]
    differs: list[str]


class SliceRead(msgspec.Struct, frozen=True):
    """A metric of a variant over the cases of one slice, null for all. `n`, `missing`, `mean` and the bounds are as in a run's
    metrics. `small`: fewer than 30 cases have a value, so that the bounds say more than the mean."""

    variant: str
    metric: str
    slice: str | None
    n: int
    missing: int
    mean: float | None
    low: float | None
    high: float | None
    direction: Literal["maximize", "minimize"]
    unit: str | None
    pass_rate: float | None
    small: bool


class RunSlices(msgspec.Struct, frozen=True):
    """`by` is `tag` or `metadata.<field>`; `cases` are how many each slice has. A case may have several tags, or no slice."""

    by: str | None
    cases: dict[str, int]
    slices: list[SliceRead]
