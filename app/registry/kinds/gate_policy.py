"""Gate policies: what a candidate must show before it may pass.

A rule is one mapping; the key that names its kind (`no_regression`, `floor`, …) is the one of its fields that says
what is asked. msgspec checks types, ranges and unknown fields; `problems` finds what only several fields together
can get wrong.
"""

import re
from collections.abc import Iterable
from datetime import timedelta
from math import isfinite
from typing import Annotated, Literal

import msgspec

from app.kit.errors import FieldError
from app.registry.kinds.base import Content, Kind

Stage = Literal["promote", "ci"]
Strength = Literal["prove", "guard", "report"]
OnInconclusive = Literal["hold", "lean", "allow"]
RuleKind = Literal[
    "no_regression", "floor", "improvement", "must_pass", "errors", "cost", "latency", "approvals", "feedback"
]

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Level = Annotated[float, msgspec.Meta(gt=0.5, lt=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
Duration = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,4}(m|h|d|w)$")]

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta:
    """`14d`, `36h`, `90m` or `2w` as a time span. Raises ValueError for anything else."""
    if not re.fullmatch(r"[1-9][0-9]{0,4}[mhdw]", text):
        raise ValueError(f"{text!r} is no duration such as 14d, 36h or 90m")
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


class Confidence(Content, frozen=True):
    """`pass`: confidence with which a drop of the margin is kept out. `block`: with which a no-op is let through."""

    pass_: Level = msgspec.field(default=0.95, name="pass")
    block: Level = 0.98


class Data(Content, frozen=True):
    """What the evidence must look like. `cluster` names the case field that groups related cases; by default it is
    the item's own `cluster`. `max_missing` is the share of cases lost to infrastructure or judge errors."""

    repeats: Count = 1
    cluster: Name | None = None
    max_missing: Share = 0.02
    max_age: Duration | None = "14d"
    fresh_baseline: bool = True


class Run(Content, frozen=True):
    """How the evidence may be gathered: `looks` are the shares of it after which to decide early."""

    looks: tuple[Annotated[float, msgspec.Meta(gt=0, le=1)], ...] = (1.0,)
    max_calls: Count | None = None


class Extend(Content, frozen=True):
    """More repeats while inconclusive, up to this many per case and side."""

    max_repeats: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5


class NoRegression(Content, frozen=True):
    """`margin`: the smallest drop that must not get through, in units of the metric."""

    margin: Positive


class Improvement(Content, frozen=True):
    """`at_least`: the gain that must be shown, in units of the metric."""

    at_least: Annotated[float, msgspec.Meta(ge=0)]


class MustPass(Content, frozen=True):
    """Cases with this tag must pass. One that fails is judged on `1 + confirm` runs or more, and is broken when more
    than `allow_failures` of all its runs fail."""

    tag: Name
    confirm: Annotated[int, msgspec.Meta(ge=0, le=99)] = 4
    allow_failures: Annotated[int, msgspec.Meta(ge=0, le=99)] = 2


class Errors(Content, frozen=True):
    """Share of runs that the candidate itself failed: unusable answers, not lost connections."""

    max_rate: Share


class Cost(Content, frozen=True):
    """Total cost, candidate over baseline."""

    max_ratio: Positive


class Latency(Content, frozen=True):
    """A budget for the 95th percentile of each endpoint, a ratio candidate over baseline, or both."""

    p95_max_ms: Positive | None = None
    max_ratio: Positive | None = None


class Approvals(Content, frozen=True):
    """People of `role` who must agree to a release."""

    role: Name = "approver"
    count: Count = 1


class Feedback(Content, frozen=True):
    """Ratings of real users during a rollout. `no_worse_by` and `floor` are shares of the signal's scale: thumbs 0 to 1,
    stars 1 to 5, score 0 to 1; a named number says its own scale as `range`."""

    signal: Name
    no_worse_by: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    floor: Share | None = None
    range: tuple[float, float] | None = None


class Slices(Content, frozen=True):
    """The rule is judged inside every value of each field of `by` (metadata fields, or `tags`). A slice of fewer
    cases than `min_cases` is not judged."""

    by: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
    min_cases: Annotated[int, msgspec.Meta(ge=2)] = 20


class Calibration(Content, frozen=True):
    """Human labels that a judge metric is measured against."""

    labels: Name
    method: Literal["ppi", "transfer", "none"] = "ppi"
    min_labels: Count = 100


class Rule(Content, frozen=True):
    """Exactly one kind of demand, on one metric where the kind compares scores."""

    metric: Name | None = None
    no_regression: NoRegression | None = None
    floor: float | None = None
    improvement: Improvement | None = None
    must_pass: MustPass | None = None
    errors: Errors | None = None
    cost: Cost | None = None
    latency: Latency | None = None
    approvals: Approvals | None = None
    feedback: Feedback | None = None
    slices: Slices | None = None
    calibration: Calibration | None = None
    accept_uncalibrated: bool = False
    strength: Strength | None = None
    endpoints: Literal["pooled", "each"] = "pooled"

    @property
    def kinds(self) -> tuple[RuleKind, ...]:
        """The kinds that are present; one, in a policy that was checked."""
        return tuple(kind for kind in _KINDS if getattr(self, kind) is not None)

    @property
    def kind(self) -> RuleKind:
        return self.kinds[0]

    def strength_at(self, stage: Stage) -> Strength:
        """The strength as written, else the default of this kind of rule at this stage."""
        if self.strength is not None:
            return self.strength
        if self.slices is not None or self.kind in ("errors", "cost", "latency"):
            return "guard"
        return "guard" if self.kind == "improvement" and stage == "ci" else "prove"


class Overrides(Content, frozen=True):
    """What differs in CI. A block given here takes the place of the whole block of the same name."""

    confidence: Confidence | None = None
    data: Data | None = None
    run: Run | None = None
    extend: Extend | None = None
    on_inconclusive: OnInconclusive | None = None
    rules: tuple[Rule, ...] | None = None


class GatePolicy(Content, frozen=True):
    """The content of a gate policy. `rules` are judged before a release gets traffic, `rollout_rules` at each step of
    its rollout. `on_inconclusive` left out means `hold` when promoting and `lean` in CI."""

    rules: tuple[Rule, ...]
    version: Literal[1] = 1
    description: str = ""
    baseline: Name = "deployed"
    confidence: Confidence = Confidence()
    data: Data = Data()
    run: Run = Run()
    extend: Extend = Extend()
    on_inconclusive: OnInconclusive | None = None
    rollout_rules: tuple[Rule, ...] = ()
    decide_at: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    undecided_after: Duration = "14d"
    ci: Overrides | None = None

    def at(self, stage: Stage) -> "GatePolicy":
        """This policy as it applies at a stage: overrides merged, `on_inconclusive` filled in."""
        changes: dict[str, object] = {"on_inconclusive": self.on_inconclusive or _UNDECIDED[stage], "ci": None}
        if stage == "ci" and self.ci is not None:
            given = {name: getattr(self.ci, name) for name in self.ci.__struct_fields__}
            changes |= {name: value for name, value in given.items() if value is not None}
        return msgspec.structs.replace(self, **changes)


_UNDECIDED: dict[Stage, OnInconclusive] = {"promote": "hold", "ci": "lean"}
_KINDS: tuple[RuleKind, ...] = (
    "no_regression",
    "floor",
    "improvement",
    "must_pass",
    "errors",
    "cost",
    "latency",
    "approvals",
    "feedback",
)
COMPARING: tuple[RuleKind, ...] = ("no_regression", "floor", "improvement")
_IN_ROLLOUTS: tuple[RuleKind, ...] = ("feedback", "errors", "latency", "no_regression", "floor")


class PolicyError(ValueError):
    """A policy that contradicts itself, and the JSON pointer of the place."""

    def __init__(self, message: str, pointer: str) -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer


def check_policy(policy: GatePolicy) -> None:
    """Raise PolicyError at the first place where the fields of `policy` do not fit together."""
    for problem in problems(policy):
        raise PolicyError(problem.detail, problem.pointer)


def problems(policy: GatePolicy) -> Iterable[FieldError]:
    """Every place where the fields of `policy` do not fit together."""
    yield from _infinite(msgspec.to_builtins(policy), "")
    yield from _looks(policy.run, "/run/looks")
    yield from _rules(policy.rules, "/rules")
    for index, rule in enumerate(policy.rollout_rules):
        yield from _rule(rule, f"/rollout_rules/{index}", rollout=True)
    if policy.ci is not None:
        if policy.ci.run is not None:
            yield from _looks(policy.ci.run, "/ci/run/looks")
        if policy.ci.rules is not None:
            yield from _rules(policy.ci.rules, "/ci/rules")


def _infinite(value: object, pointer: str) -> Iterable[FieldError]:
    """YAML can write .inf and .nan; a limit of either kind would let everything through."""
    if isinstance(value, float) and not isfinite(value):
        yield FieldError(pointer, f"{value} is no number to compare with")
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _infinite(part, f"{pointer}/{key}")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _infinite(part, f"{pointer}/{index}")


def _looks(run: Run, pointer: str) -> Iterable[FieldError]:
    if not run.looks or run.looks[-1] != 1 or list(run.looks) != sorted(set(run.looks)):
        yield FieldError(pointer, "looks must rise and end with 1, for example [0.25, 0.5, 0.75, 1]")


def _rules(rules: tuple[Rule, ...], pointer: str) -> Iterable[FieldError]:
    for index, rule in enumerate(rules):
        yield from _rule(rule, f"{pointer}/{index}", rollout=False)
    if all(rule.kinds == ("approvals",) or rule.strength == "report" for rule in rules):
        yield FieldError(pointer, "a gate needs at least one rule that can hold a candidate back on evidence")


def _rule(rule: Rule, pointer: str, *, rollout: bool) -> Iterable[FieldError]:
    if len(rule.kinds) != 1:
        found = " and ".join(rule.kinds) or "none"
        yield FieldError(pointer, f"a rule has exactly one of {', '.join(_KINDS)}; this one has {found}")
        return
    kind = rule.kind
    if rollout and kind not in _IN_ROLLOUTS:
        yield FieldError(f"{pointer}/{kind}", f"{kind} is judged before traffic: move it to rules")
    if not rollout and kind == "feedback":
        yield FieldError(f"{pointer}/feedback", "feedback exists only once there is traffic: move it to rollout_rules")
    if kind in COMPARING and rule.metric is None:
        yield FieldError(f"{pointer}/metric", f"{kind} needs the metric it is about")
    if kind not in (*COMPARING, "must_pass") and rule.metric is not None:
        yield FieldError(f"{pointer}/metric", f"{kind} is not about a metric")
    if kind not in COMPARING:
        extras = ("slices", "calibration") if kind == "must_pass" else ("slices", "calibration", "accept_uncalibrated")
        for field in extras:
            if getattr(rule, field):
                yield FieldError(f"{pointer}/{field}", f"{field} does not apply to {kind}")
    if kind == "approvals" and rule.strength is not None:
        yield FieldError(f"{pointer}/strength", "approvals are a precondition and have no strength")
    if rule.must_pass is not None and rule.must_pass.allow_failures > rule.must_pass.confirm:
        message = "allow_failures must not exceed confirm, or a case could fail every run and still count as passing"
        yield FieldError(f"{pointer}/must_pass/allow_failures", message)
    if rule.latency is not None and rule.latency.p95_max_ms is None and rule.latency.max_ratio is None:
        yield FieldError(f"{pointer}/latency", "latency needs p95_max_ms, max_ratio or both")
    if rule.feedback is not None and rule.feedback.no_worse_by is None and rule.feedback.floor is None:
        yield FieldError(f"{pointer}/feedback", "feedback needs no_worse_by, floor or both")
    if rule.feedback is not None and (scale := rule.feedback.range) is not None:
        if rule.feedback.signal in ("thumbs", "stars", "score"):
            yield FieldError(
                f"{pointer}/feedback/range", f"the scale of {rule.feedback.signal} is known; leave range out"
            )
        elif scale[0] >= scale[1]:
            yield FieldError(f"{pointer}/feedback/range", "a range is [lowest, highest]")


KIND = Kind("gate_policy", "gate-policies", ".policy.yaml", GatePolicy, problems=problems)
