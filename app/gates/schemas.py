"""The verdict record: what a gate decided, rule by rule, and why."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from app.registry.kinds.gate_policy import Stage

Outcome = Literal["pass", "fail", "inconclusive"]
RuleOutcome = Literal["pass", "fail", "inconclusive", "not_applicable"]
Cause = Literal["undecided", "unmet", "incomplete"]


class Needed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What could turn an inconclusive rule into a pass: that many further `cases`, or that many `repeats` in all per
    case and side; null where no number would do. `provable_margin` is the margin that the evidence proves already,
    in other words the largest drop that it could have missed."""

    cases: int | None = None
    repeats: int | None = None
    provable_margin: float | None = None


class RuleVerdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One judged rule.

    `id` is the JSON pointer of the rule in the policy, followed by endpoint and slice where it was judged apart.
    In comparisons `estimate`, `low`, `high` are differences oriented so that below zero is worse, whatever the metric's
    direction; in floors, rates and ratios they are plain amounts. `low` and `high` are one-sided bounds at
    `confidence`; `assurance` is the highest confidence at which the rule would have passed. `target` is the limit the
    policy sets (margins as the positive number written there). `beyond`: the estimate alone is on the wrong side.
    `missing` and `skipped` count cases that are not among the `n`. `cause` says why a rule is inconclusive: not enough
    evidence yet (`undecided`), something that more cases will not mend (`unmet`), lost or unfinished cells
    (`incomplete`).
    """

    id: str
    rule: str
    strength: Literal["prove", "guard", "report", "precondition"]
    verdict: RuleOutcome
    metric: str | None = None
    endpoint: str | None = None
    slice: str | None = None
    target: float | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    assurance: float | None = None
    p_worse: float | None = None
    p_worse_holm: float | None = None
    n: int = 0
    n_clusters: int = 0
    repeats: int = 0
    missing: int = 0
    skipped: int = 0
    width: float | None = None
    beyond: bool = False
    needed: Needed | None = None
    method: str | None = None
    seed: int | None = None
    cases: tuple[str, ...] = ()
    cause: Cause | None = None
    reason: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The decision about one candidate. `pins` are the digests it is about, `looks` the looks at the evidence taken so
    far, `tries` how often this candidate's name was judged on this data."""

    verdict: Outcome
    stage: Stage
    rules: tuple[RuleVerdict, ...]
    pins: dict[str, str]
    looks: int = 1
    tries: int = 1


class GateRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often one kind of gate decided what about one change, over many small suites. `true_change` is the mean
    difference in the cases that the suites were drawn from."""

    gate: str
    change: str
    true_change: float
    suites: int
    size: int
    blocked: int
    passed: int
    inconclusive: int


class PolicyDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy without a version."""

    content: dict[str, Any]


class Evaluate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to judge. `candidate` and `baseline` are `<run>/<id>`, the id of a candidate (all its endpoints) or of a variant.

    Without a baseline nothing is live: comparative rules do not apply, and a floor or a must_pass must be proven.
    """

    policy: str | PolicyDraft
    stage: Stage
    candidate: str
    baseline: str | None = None


class Extension(msgspec.Struct, frozen=True):
    """The next look: that many repeats per case and side."""

    repeats: int


class VerdictRecord(Verdict, frozen=True, kw_only=True):
    """A verdict with what it is about, and what follows from it.

    `exit_code` is that of the command line; `extend` says how many repeats the next look needs while more could decide.
    """

    id: str
    policy: str
    candidate: str
    baseline: str | None
    name: str
    exit_code: int
    headline: str
    extend: Extension | None
    created_at: datetime


class ChangeSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two variants whose paired answers make a change. `neutral` takes the pair in both orders: a change that does nothing."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    candidate: str
    baseline: str
    neutral: bool = False


class BacktestCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From recorded answers: how often would which gate have blocked? `size` cases a suite, drawn with replacement."""

    metric: str
    changes: Annotated[list[ChangeSpec], msgspec.Meta(min_length=1, max_length=20)]
    margin: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.05
    size: Annotated[int, msgspec.Meta(ge=2, le=5_000)] = 50
    suites: Annotated[int, msgspec.Meta(ge=1, le=2_000)] = 200
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0


class Backtest(msgspec.Struct, frozen=True):
    metric: str
    margin: float
    size: int
    suites: int
    rows: list[GateRow]
