"""What the rollout rules say at a step of a rollout."""

from typing import Literal

import msgspec

from app.feedback.schemas import SCALED, Scale
from app.gates.schemas import RuleOutcome
from app.registry.kinds.gate_policy import Feedback, GatePolicy, Strength

RolloutAction = Literal["advance", "hold", "pause", "roll_back"]


def scale_of(asked: Feedback) -> Scale | None:
    """The range that a rule gives a named number (0 to 1 when it says none); None for a signal whose scale is known."""
    if asked.signal in SCALED:
        return None
    low, high = asked.range or (0.0, 1.0)
    return Scale(asked.signal, low + 0.0, high + 0.0)  # a database may not keep the sign of -0.0


def scales(policy: GatePolicy) -> list[Scale]:
    """The ranges in which a policy's rollout rules want named numbers counted."""
    asked = [rule.feedback for rule in policy.rollout_rules if rule.feedback is not None]
    return list(dict.fromkeys(scale for one in asked if (scale := scale_of(one)) is not None))


class FlipCost(msgspec.Struct, frozen=True):
    """The fewest raters whose removal, or whose reversal, would change a verdict; null where no number would. The votes that
    must be there before anything is decided are no part of it."""

    removal: int | None = None
    reversal: int | None = None


class RolloutRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rollout rule. `estimate`, `low`, `high` are differences candidate minus baseline (below zero is worse) for
    `no_worse_by`, and plain amounts for floors, errors and latency; the bounds hold at every look. `n` is
    candidate and baseline votes (or answers); `out_of_range` votes of a named number lie outside the rule's range, and are set
    aside. `needed` is how many votes the smaller arm still lacks before anything is
    decided."""

    id: str
    rule: str
    signal: str | None = None
    strength: Strength
    verdict: RuleOutcome
    target: float | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    n_candidate: int = 0
    n_baseline: int = 0
    out_of_range: int = 0
    needed: int = 0
    flip_cost: FlipCost | None = None
    reason: str = ""


class RolloutVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules together say should happen now, and the fewest raters who could change it."""

    action: RolloutAction
    rules: tuple[RolloutRule, ...]
    flip_cost: int | None
    reason: str
