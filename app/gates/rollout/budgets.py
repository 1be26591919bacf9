"""Rollout rules about answers rather than votes: how many fail, and how long they take."""

from math import exp, log

from app.gates.rollout.schemas import RolloutRule
from app.gates.rollout.setting import FEWEST, Setting, changed, difference
from app.gates.schemas import RuleOutcome
from app.stats.sequential import bern_cs, mixture_bound


def errors(setting: Setting, base: RolloutRule, most: float) -> RolloutRule:
    n, failed = setting.counts.answers(candidate=True)
    n_baseline, _ = setting.counts.answers(candidate=False)
    return _rate(
        setting,
        changed(base, n_candidate=n, n_baseline=n_baseline, target=most),
        failed,
        failed,
        n,
        most,
        "answers failed",
    )


def slow(setting: Setting, base: RolloutRule, limit_ms: float) -> RolloutRule:
    surely, possibly, n = setting.counts.slower(limit_ms)
    named = changed(base, id=f"{base.id}/p95_max_ms", n_candidate=n, target=limit_ms)
    return _rate(setting, named, surely, possibly, n, 0.05, f"answers took longer than {limit_ms:g} ms")


def _rate(
    setting: Setting, base: RolloutRule, surely: int, possibly: int, n: int, most: float, what: str
) -> RolloutRule:
    """A rate of answers that must not exceed `most`; what the histogram cannot tell counts against whoever would gain."""
    if n == 0:
        return changed(base, needed=FEWEST, reason="no answers yet")
    low, high = bern_cs(surely, n, setting.beta, "low"), bern_cs(possibly, n, setting.alpha, "high")
    enough = n >= FEWEST
    outcome: RuleOutcome = "fail" if enough and low > most else "pass" if enough and high <= most else "inconclusive"
    return changed(
        base,
        verdict=outcome,
        estimate=possibly / n,
        low=low,
        high=high,
        needed=max(0, FEWEST - n),
        reason=f"{100 * possibly / n:.1f} % of {n} {what}, at most {100 * most:g} % may",
    )


def slower(setting: Setting, base: RolloutRule, most: float) -> RolloutRule:
    phases = list(setting.counts.log_latencies().values())
    n_c, n_b = (int(sum(arms[i].n for arms in phases)) for i in (0, 1))
    named = changed(base, id=f"{base.id}/max_ratio", n_candidate=n_c, n_baseline=n_b, target=most)
    needed = max(0, FEWEST - min(n_c, n_b))
    if needed:
        return changed(
            named, needed=needed, reason=f"{needed} more answers in the smaller arm before anything is decided"
        )
    scale = max(0.05, abs(log(most)))
    low = exp(mixture_bound(phases, scale, setting.beta, "low"))
    high = exp(mixture_bound(phases, scale, setting.alpha, "high"))
    outcome: RuleOutcome = "fail" if low > most else "pass" if high <= most else "inconclusive"
    estimate = exp(difference(phases) or 0.0)
    return changed(
        named,
        verdict=outcome,
        estimate=estimate,
        low=low,
        high=high,
        reason=f"answers take {estimate:.2f} times as long (geometric mean), at most {most:g} times may",
    )
