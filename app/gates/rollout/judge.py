"""The rollout rules together: go on, wait, pause, or go back."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from app.feedback.schemas import Tally
from app.gates.rollout.counts import Counts
from app.gates.rollout.rules import judged
from app.gates.rollout.schemas import RolloutRule, RolloutVerdict
from app.gates.rollout.setting import Setting
from app.registry.kinds.gate_policy import GatePolicy, duration


def judge_rollout(
    policy: GatePolicy,
    tallies: Sequence[Tally],
    shares: Mapping[int, float],
    *,
    share: float,
    started_at: datetime,
    now: datetime,
    flips: bool = True,
) -> RolloutVerdict:
    """What should happen at this step of a rollout.

    `shares` are the candidate's shares of units by phase, `share` that of the step now. A rule that is shown broken pauses;
    a second, independent one (of another kind, or on another signal) rolls back. Below `decide_at` a step ends when nothing
    is broken and every rule has its data; from there on, when every rule of strength `prove` passes. Missing data holds.
    `flips` left out, the verdict is the same and does not say how many raters could change it.
    """
    setting = Setting(policy, Counts(tallies), shares, flips)
    rules = tuple(found for i, rule in enumerate(policy.rollout_rules) for found in judged(setting, i, rule))
    counting = [rule for rule in rules if rule.strength != "report"]
    broken = [rule for rule in counting if rule.verdict == "fail"]
    if broken:
        independent = {(rule.rule, rule.signal) for rule in broken}
        reason = "; ".join(f"{rule.signal or rule.rule}: {rule.reason}" for rule in broken)
        if len(independent) > 1:
            return _verdict("roll_back", rules, broken, reason)
        return _verdict("pause", rules, broken, f"{reason}; a second signal, or a person, rolls it back")
    if not counting:
        return _verdict("hold", rules, (), "no rollout rules: a person promotes it")
    lacking = [rule for rule in counting if rule.needed]
    unproven = [rule for rule in counting if rule.strength == "prove" and rule.verdict != "pass"]
    if not lacking and (share < policy.decide_at or not unproven):
        shown = "nothing is shown worse" if share < policy.decide_at else "shown to be good enough"
        return _verdict("advance", rules, [rule for rule in counting if rule.verdict == "pass"], shown)
    if now - started_at > duration(policy.undecided_after):
        return _verdict("hold", rules, unproven, f"undecided after {policy.undecided_after}: a person decides")
    waiting = lacking or unproven
    reason = "; ".join(f"{rule.signal or rule.rule}: {rule.reason}" for rule in waiting)
    return _verdict("hold", rules, waiting, reason)


def _verdict(
    action: str, rules: tuple[RolloutRule, ...], deciding: Sequence[RolloutRule], reason: str
) -> RolloutVerdict:
    costs = [
        cost
        for rule in deciding
        if rule.flip_cost is not None
        for cost in (rule.flip_cost.removal, rule.flip_cost.reversal)
        if cost is not None
    ]
    return RolloutVerdict(action=action, rules=rules, flip_cost=min(costs, default=None), reason=reason)  # type: ignore[arg-type]
