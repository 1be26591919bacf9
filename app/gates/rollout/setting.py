"""What every rollout rule is judged with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import msgspec

from app.gates.rollout.counts import Counts
from app.gates.rollout.schemas import RolloutRule
from app.registry.kinds.gate_policy import GatePolicy
from app.stats.sequential import Phase, p_uneven

UNEVEN = 0.0005
"""Below this p-value the assignment, or who votes, is not what chance makes."""
FEWEST = 100
"""Votes or answers before a rule about one arm decides anything."""


@dataclass(frozen=True)
class Setting:
    policy: GatePolicy
    counts: Counts
    shares: Mapping[int, float]
    flips: bool = True
    """Without them a verdict says what to do, and not how many raters could change it."""

    @property
    def alpha(self) -> float:
        return round(1 - self.policy.confidence.pass_, 12)

    @property
    def beta(self) -> float:
        return round(1 - self.policy.confidence.block, 12)

    @property
    def assignment_broken(self) -> bool:
        return p_uneven(self.counts.units(self.shares)) < UNEVEN


def difference(phases: Sequence[Phase]) -> float | None:
    """Candidate minus baseline, phases weighted as the bounds weight them."""
    usable = [(c, b, c.n * b.n / (c.n + b.n)) for c, b in phases if c.n and b.n]
    weights = sum(weight for _, _, weight in usable)
    if not usable:
        return None
    return sum(weight / weights * (c.total / c.n - b.total / b.n) for c, b, weight in usable)


def finite(value: float) -> float | None:
    return None if value in (inf, -inf) else value


def least(counts: Sequence[int | None]) -> int | None:
    return min((count for count in counts if count is not None), default=None)


def changed(rule: RolloutRule, **changes: object) -> RolloutRule:
    return msgspec.structs.replace(rule, **changes)
