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


class Version(VersionSummary):
    """One version of an artifact. `pins` are the digests that its references had when it was made."""

    content: dict[str, Any]
    pins: dict[str, str]


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


class RunStarted(TypedDict):
    id: str
    status: str
    cells: dict[str, int]
    estimated_cost_usd: float | None


class Metric(TypedDict):
    n: int
    missing: int
    mean: float | None
    low: float | None
    high: float | None


class Variant(TypedDict):
    """One candidate on one endpoint."""

    id: str
    candidate: str
    prompt: str
    rag_config: str | None
    tool_config: str | None
    endpoint: str
    cost_usd: float
    metrics: dict[str, Metric]


class Run(TypedDict):
    id: str
    status: Literal["queued", "running", "done", "budget", "cancelled", "failed"]
    suite: str
    cells: dict[str, int]
    cost_usd: float
    candidates: list[dict[str, Any]]
    variants: list[Variant]


class Answer(TypedDict):
    text: str | None
    parsed: Any
    tool_calls: list[dict[str, Any]] | None
    finish_reason: str | None
    usage: dict[str, Any] | None
    cost_usd: float | None
    latency_ms: float | None
    cached: bool


class Score(TypedDict):
    value: float | None
    passed: bool | None
    label: str | None
    status: str
    explanation: str


class Result(TypedDict):
    """One cell: the answer of a variant to a case, and its scores by metric."""

    variant: str
    case: str
    repeat: int
    status: str
    answer: Answer | None
    error: str | None
    scores: dict[str, Score]


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


Flip = TypedDict("Flip", {"case": str, "metric": str, "from": float, "to": float})


class Comparison(TypedDict):
    """Paired by case: positive differences favour the candidate."""

    candidate: str
    baseline: str
    metrics: list[PairedMetric]
    flips: list[Flip]


class Verdict(TypedDict):
    """A gate's verdict and what it rests on."""

    verdict: Literal["pass", "fail", "inconclusive"]
    rules: list[dict[str, Any]]
    pins: NotRequired[dict[str, Any]]
    looks: NotRequired[Any]
    tries: NotRequired[Any]


class KeyCreated(TypedDict):
    """The only time that a key is shown."""

    id: str
    key: str
    role: str


class Event(TypedDict):
    """A server-sent event: its name and its decoded data."""

    event: str
    data: Any
