"""What one rule found at one place, and what all rules of a decision share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Self

from app.gates.evidence import Evidence
from app.gates.samples import Sample, Samples, uneven_loss
from app.gates.schemas import Cause, Needed, RuleOutcome
from app.registry.kinds.gate_policy import GatePolicy, Stage


@dataclass(frozen=True, slots=True)
class Setting:
    """What all rules of one decision share. `alpha` is the pass side's level at this look."""

    policy: GatePolicy
    evidence: Evidence
    samples: Samples
    stage: Stage
    alpha: float
    seed: int


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison of a value with its limit. `p` gives the p-value of "worse than the limit" for the level at which
    it will be judged, and the name of the method."""

    passes: bool
    p: Callable[[float], tuple[float, str]]


@dataclass(slots=True)
class Finding:
    """What one rule found at one place.

    `outcome` is set where no p-value decides; `may_pass` is False for what may block but prove nothing; `filled`
    repeats `test` with every lost case at its worst. The other fields are those of `RuleVerdict`.
    """

    id: str
    rule: str
    strength: Literal["prove", "guard", "report"]
    metric: str | None = None
    endpoint: str | None = None
    slice: str | None = None
    target: float | None = None
    width: float | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    assurance: float | None = None
    n: int = 0
    n_clusters: int = 0
    repeats: int = 0
    missing: int = 0
    skipped: int = 0
    beyond: bool = False
    needed: Needed | None = None
    method: str | None = None
    cases: tuple[str, ...] = ()
    outcome: RuleOutcome | None = None
    cause: Cause | None = None
    notes: list[str] = field(default_factory=list)
    may_pass: bool = True
    test: Test | None = None
    filled: Test | None = None

    def settle(self, outcome: RuleOutcome, note: str, cause: Cause | None = None) -> Self:
        """Decide without a test."""
        self.outcome, self.cause = outcome, cause
        self.notes.append(note)
        return self

    def count(self, sample: Sample) -> None:
        """Take over how many cases the sample has."""
        self.n, self.n_clusters, self.repeats = sample.n, sample.clusters, sample.repeats
        self.missing, self.skipped = sample.lost, sample.skipped


def too_many_lost(setting: Setting, finding: Finding, sample: Sample) -> bool:
    """Settle the finding when the lost cases could hide what the rule is about."""
    lost = max(sample.lost_candidate, sample.lost_baseline)
    allowed = setting.policy.data.max_missing * sample.eligible
    if finding.slice is not None:
        # One lost case is more than two per cent of a small slice; the share is judged on the whole.
        allowed = max(allowed, 1.0)
    if lost > allowed:
        sides = f"candidate {sample.lost_candidate}, baseline {sample.lost_baseline}"
        limit = f"the policy allows {setting.policy.data.max_missing:.1%}"
        finding.settle("inconclusive", f"lost of {sample.eligible} cases: {sides}; {limit}", "incomplete")
        return True
    if uneven_loss(sample):
        finding.settle("inconclusive", "the two sides lost different cases (McNemar p < 0.01)", "incomplete")
        return True
    return False


def too_few(finding: Finding, sample: Sample, fewest: int) -> bool:
    """Settle the finding when there are too few cases to judge; a small slice is then left out unless it must prove."""
    if sample.eligible == 0:
        finding.settle("inconclusive", "no case has this score", "unmet")
    elif sample.n < fewest and finding.slice is not None and finding.strength != "prove":
        finding.settle("not_applicable", f"not judged: {sample.n} cases, fewer than min_cases {fewest}")
    elif sample.n < fewest or sample.clusters < 2:
        groups = "" if sample.groups is None else f" in {sample.clusters} independent groups"
        finding.settle("inconclusive", f"{sample.n} cases{groups} are too few to judge", "unmet")
    return finding.outcome is not None
