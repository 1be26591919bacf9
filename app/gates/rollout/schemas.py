"""What the rollout rules say at a step of a rollout."""

from typing import Literal

import msgspec

from app.gates.schemas import RuleOutcome
from app.registry.kinds.gate_policy import Strength

RolloutAction = Literal["advance", "hold", "pause", "roll_back"]


class FlipCost(msgspec.Struct, frozen=True):
    """The fewest raters whose removal, or whose reversal, would change a verdict; null where no number would. The votes that
    must be there before anything is decided are no part of it."""

    removal: int | None = None
    reversal: int | None = None


class RolloutRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rollout rule. `estimate`, `low`, `high` are differences candidate minus baseline (below zero is worse) for
    `no_worse_by`, and plain amounts for floors, errors and latency; the bounds hold at every look. `n` is
    candidate and baseline votes (or answers). `needed` is how many votes the smaller arm still lacks before anything is
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
    needed: int = 0
    flip_cost: FlipCost | None = None
    reason: str = ""


class RolloutVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules together say should happen now, and the fewest raters who could change it."""

    action: RolloutAction
    rules: tuple[RolloutRule, ...]
    flip_cost: int | None
    reason: str
