"""When a gate looks at evidence that grows by repeats. Loads nothing heavy."""

import msgspec

from app.registry.kinds.gate_policy import GatePolicy

STEP = 2
"""Repeats are extended 1 -> 3 -> 5: an odd number of runs of a flaky case has no tie."""


class Schedule(msgspec.Struct, frozen=True):
    """The looks that a policy plans over growing repeats, and which one this evidence is."""

    number: int
    fractions: tuple[float, ...]
    next_repeats: int | None


def looks(policy: GatePolicy, repeats: int) -> Schedule:
    """Looks at `repeats`, and at every further one up to the policy's `extend.max_repeats` (statistics: Lan-DeMets spending).

    Repeats from 1 by twos up to the largest; what was run outside that schedule counts as the next planned look, so that
    no look is more lenient than it may be.
    """
    most = max(policy.extend.max_repeats, repeats)
    planned = sorted(set(range(policy.data.repeats, most + 1, STEP)) | {most, repeats} - {0})
    planned = [r for r in planned if r >= min(policy.data.repeats, repeats)]
    number = planned.index(repeats)
    following = planned[number + 1] if number + 1 < len(planned) else None
    return Schedule(number, tuple(r / most for r in planned), following)
