"""The answers of the service, as types. They are plain JSON data: what the service adds later is simply there too."""

from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

T = TypeVar("T")


class Page(TypedDict, Generic[T]):
    """One page of a list; `next_cursor` is null on the last one."""

    items: list[T]
    next_cursor: str | None


class Artifact(TypedDict):
    """A name in a list: its latest version's number and digest, and where its labels point."""

    kind: str
    name: str
    version: int
    digest: str
    description: str
    tags: list[str]
    labels: dict[str, int]


class VersionSummary(TypedDict):
    """One version, without its content."""

    kind: str
    name: str
    version: int
    digest: str
    labels: list[str]
    message: str
    author: str
    created_at: str
    source: dict[str, Any]
    erased: NotRequired[int]


class Version(VersionSummary):
    """One version of an artifact. `pins` are the digests that its references had when it was made."""

    content: dict[str, Any]
    pins: dict[str, str]
    warnings: NotRequired[list[dict[str, str]]]


class LabelMove(TypedDict):
    """One move of a label; see also its key `from`."""

    label: str
    to: int | None
    who: str
    when: str
    reason: str


class Change(TypedDict):
    """One difference between two contents, at a JSON pointer."""

    path: str
    op: str
    before: Any
    after: Any


class Diff(TypedDict):
    """`from` and `to` name the two versions."""

    changes: list[Change]
    unified: str


class Rendered(TypedDict):
    """The messages of a prompt. `tokens_exact` is false where the count is an estimate."""

    messages: list[dict[str, Any]]
    tokens: int
    tokens_exact: bool


class Cells(TypedDict):
    """Cells by how they ended. Of a run at rest, `planned` is the sum of the others."""

    planned: int
    cached: int
    answered: int
    failed: int
    errored: int
    cancelled: int


class EndpointPlan(TypedDict):
    """What a run will do with one endpoint, as it answers or as it judges; `based_on` is recorded or estimate."""

    endpoint: str
    role: str
    cells: int
    cached: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    seconds: float
    based_on: str


class RunPlan(TypedDict):
    """What a run will do. `expected_cost_usd` is likely, `estimated_cost_usd` the most; null without prices."""

    cells: int
    cached: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    expected_cost_usd: float | None
    estimated_cost_usd: float | None
    estimated_s: float
    endpoints: list[EndpointPlan]
    warnings: list[str]


class RunStarted(TypedDict):
    id: str
    status: str
    cells: Cells
    estimated_cost_usd: float | None
    warnings: list[str]
    plan: RunPlan | None


class Metric(TypedDict):
    """A metric of a variant: mean over cases, one-sided bounds, and how many cases lack a value that they should have.

    `pass_rate` is over answers that say whether they passed; `median`, `p90`, `p95` are of measures without a range.
    """

    n: int
    missing: int
    mean: float | None
    low: float | None
    high: float | None
    direction: Literal["maximize", "minimize"]
    unit: str | None
    pass_rate: float | None
    median: float | None
    p90: float | None
    p95: float | None


class Variant(TypedDict):
    """One candidate on one endpoint."""

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
    metrics: dict[str, Metric]


class Candidate(TypedDict):
    id: str
    bundle: str
    variants: list[str]


RunStatus = Literal["queued", "running", "done", "budget", "cancelled", "failed"]
RESTING = ("done", "budget", "cancelled", "failed")


class Run(TypedDict):
    """A run. Known answers cost nothing; `errors` counts errored cells by kind."""

    id: str
    status: RunStatus
    suite: str
    cells: Cells
    cost_usd: float
    candidates: list[Candidate]
    variants: list[Variant]
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
    created_at: str
    started_at: str | None
    finished_at: str | None


class RunSummary(TypedDict):
    """A run in a list."""

    id: str
    status: RunStatus
    suite: str
    cells: Cells
    cost_usd: float
    candidates: list[str]
    created_by: str
    created_at: str
    finished_at: str | None


class Answer(TypedDict):
    text: str | None
    parsed: Any
    tool_calls: list[dict[str, Any]] | None
    finish_reason: str | None
    usage: dict[str, int] | None
    cost_usd: float | None
    latency_ms: float | None
    context: str | None
    model: str | None


class CellAnswer(Answer):
    """`cached`: this run did not pay for it. What may be missing comes with `evidence`."""

    cached: bool
    ttft_ms: float | None
    chunks: NotRequired[list[dict[str, Any]] | None]
    prompt: NotRequired[list[dict[str, Any]] | None]
    trajectory: NotRequired[list[dict[str, Any]] | None]
    logprobs: NotRequired[list[float] | None]


class Generated(Answer):
    """A single answer. `failed` is the model's own fault and says why in `error`."""

    status: Literal["answered", "failed"]
    error: str | None


class Score(TypedDict):
    value: float | None
    passed: bool | None
    label: str | None
    status: Literal["ok", "error", "unscored", "skipped"]
    explanation: str
    evidence: Any
    version: int
    direction: Literal["maximize", "minimize"]
    cost_usd: float
    tokens: int
    cached: bool


class Result(TypedDict):
    """One cell: the answer of a variant to a case, and its scores by metric."""

    variant: str
    case: str
    repeat: int
    status: str
    answer: CellAnswer | None
    error: str | None
    error_kind: str | None
    scores: dict[str, Score]
    inputs: dict[str, Any]
    reference: Any
    tags: list[str]


class CaseCell(TypedDict):
    """What one variant made of a case."""

    variant: str
    repeat: int
    status: str
    answer: CellAnswer | None
    error: str | None
    error_kind: str | None
    scores: dict[str, Score]


class RunCase(TypedDict):
    """A case with the cells of all variants beside each other; `differs` names what is not alike in all of them."""

    case: str
    inputs: dict[str, Any]
    reference: Any
    tags: list[str]
    cells: list[CaseCell]
    differs: list[str]


class SliceMetric(TypedDict):
    """A metric of a variant over the cases of one slice, None for all; `small`: fewer than 30 cases have a value."""

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


class RunSlices(TypedDict):
    """`by` is `tag` or `metadata.<field>`; `cases` are how many each slice has."""

    by: str | None
    cases: dict[str, int]
    slices: list[SliceMetric]


class PairedMetric(TypedDict):
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


Flip = TypedDict("Flip", {"case": str, "metric": str, "from": float, "to": float, "candidate": str, "baseline": str})


class Comparison(TypedDict):
    """Paired by case: `difference` is candidate minus baseline. `paired` are the pairs of variants, candidate first."""

    candidate: str
    baseline: str
    metrics: list[PairedMetric]
    flips: list[Flip]
    paired: list[tuple[str, str]]


class Extension(TypedDict):
    """The next look of a gate: that many repeats per case and side."""

    repeats: int


class Verdict(TypedDict):
    """A gate's verdict and what it rests on; `extend` while more repeats could decide."""

    id: str
    verdict: Literal["pass", "fail", "inconclusive"]
    stage: str
    rules: list[dict[str, Any]]
    pins: dict[str, str]
    looks: int
    tries: int
    policy: str
    candidate: str
    baseline: str | None
    name: str
    exit_code: int
    headline: str
    extend: Extension | None
    created_at: str


class SyncItem(TypedDict):
    """What happens to one artifact. `version` is the number it has afterwards; null for a draft."""

    kind: str
    name: str
    path: str | None
    action: Literal["create", "update", "unchanged", "archive", "conflict"]
    reason: str
    from_version: int | None
    version: int | None
    digest: str
    content: dict[str, Any]
    warnings: NotRequired[list[dict[str, str]]]


class SyncResult(TypedDict):
    """Items in the order of their dependencies; `environments` and `project` are the project file's."""

    mode: Literal["plan", "apply", "draft"]
    items: list[SyncItem]
    environments: dict[str, Any]
    project: str | None
    ignored: list[dict[str, str]]
    environment_changes: list[dict[str, str]]
    schedule_changes: list[dict[str, str]]


class ValueRange(TypedDict):
    """`high` is null for unbounded measures, `unit` for scores from 0 to 1."""

    direction: Literal["maximize", "minimize"]
    low: float
    high: float | None
    unit: str | None


class Scorer(TypedDict):
    """What a scorer is; `schema` is the JSON Schema of its arguments. One that is not `available` lacks packages, which
    `extra` installs; `family` is the folder or package it comes from."""

    name: str
    version: int
    kind: Literal["code", "judge"]
    summary: str
    doc: str
    needs: list[str]
    binary: bool
    value_range: ValueRange
    schema: dict[str, Any]
    example: dict[str, Any]
    origin: str
    extra: str | None
    family: str
    available: bool


class KeyCreated(TypedDict):
    """The only time that a key is shown."""

    id: str
    key: str
    role: str
    clearance: str


class Project(TypedDict):
    """A project. `default` was there from the start: nobody made it."""

    id: str
    name: str
    created_at: str | None
    created_by: str | None
    archived_at: str | None


class ProjectCreated(TypedDict):
    """A new project with its first admin key, which is shown this once."""

    id: str
    name: str
    created_at: str
    key: KeyCreated


class Event(TypedDict):
    """A server-sent event: its name and its decoded data."""

    event: str
    data: Any


class Release(TypedDict):
    """A release; in lists without what stands behind `updated_at`."""

    id: str
    environment: str
    name: str
    prompt: str
    version: int
    rag_config: str | None
    tool_config: str | None
    endpoint: str
    bundle: str
    state: Literal[
        "evaluating",
        "blocked",
        "awaiting_approval",
        "rolling_out",
        "live",
        "paused",
        "rolled_back",
        "rejected",
        "superseded",
    ]
    verdict: Literal["pass", "fail", "inconclusive"] | None
    exit_code: int | None
    share: float
    revision: int
    reason: str
    notes: str
    created_by: str
    created_at: str
    updated_at: str
    pins: dict[str, str]
    params: dict[str, Any]
    baseline: dict[str, str] | None
    predecessor: str | None
    steps: list[float]
    step: int | None
    verdicts: list[dict[str, Any]]
    approvals_needed: int
    approvals: list[dict[str, Any]]
    rollout_verdict: dict[str, Any] | None
    timeline: list[dict[str, Any]]
