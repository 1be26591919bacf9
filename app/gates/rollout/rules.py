"""One rollout rule, judged."""

from collections.abc import Iterator, Sequence

from app.gates.rollout import budgets
from app.gates.rollout.counts import Level
from app.gates.rollout.flips import Outcome, Way, fewest
from app.gates.rollout.schemas import FlipCost, RolloutRule, scale_of
from app.gates.rollout.setting import FEWEST, UNEVEN, Setting, changed, difference, finite, least
from app.gates.schemas import RuleOutcome
from app.registry.kinds.gate_policy import Feedback, Rule
from app.stats.sequential import Phase, Votes, bern_cs, canary, mean_bound, votes_before_a_decision

FLOOR_SCALE = 0.05
MIN_FLIP = 3
"""A pass that fewer raters than this could undo is not one yet: three people can be one person's friends. A share of all
raters would be stricter, but a pass is first seen when its bound has just crossed the margin, and stays near it."""


def judged(setting: Setting, index: int, rule: Rule) -> Iterator[RolloutRule]:
    """The findings of one rule; a feedback rule with a margin and a floor gives one of each."""
    base = RolloutRule(
        id=f"/rollout_rules/{index}",
        rule=rule.kind,
        strength=rule.strength_at("promote"),
        verdict="inconclusive",
        confidence=setting.policy.confidence.pass_,
    )
    if rule.feedback is not None:
        yield from _feedback(setting, base, rule.feedback)
    elif rule.errors is not None:
        yield budgets.errors(setting, base, rule.errors.max_rate)
    elif rule.latency is not None:
        if rule.latency.p95_max_ms is not None:
            yield budgets.slow(setting, base, rule.latency.p95_max_ms)
        if rule.latency.max_ratio is not None:
            yield budgets.slower(setting, base, rule.latency.max_ratio)
    else:
        reason = f"{rule.metric} is not scored on served answers: missing data holds"
        yield changed(base, signal=rule.metric, needed=1, reason=reason)


def _feedback(setting: Setting, base: RolloutRule, asked: Feedback) -> Iterator[RolloutRule]:
    scale = scale_of(asked)
    signal = asked.signal if scale is None else scale.name
    outside = 0 if scale is None else setting.counts.outside(scale)
    base = changed(base, signal=asked.signal, out_of_range=outside)
    for found in _votes(setting, base, asked, signal):
        if scale is None or not outside:
            yield found
        else:
            votes = "1 vote lies" if outside == 1 else f"{outside} votes lie"
            reason = (
                f"{found.reason}; {votes} outside {scale.low:g} to {scale.high:g} and set aside: check who sends them, or "
                "give the rule their range"
            )
            yield changed(found, reason=reason)


def _votes(setting: Setting, base: RolloutRule, asked: Feedback, signal: str) -> Iterator[RolloutRule]:
    levels = setting.counts.levels(signal)
    phases = list(setting.counts.votes(signal).values())
    n_c, n_b = (int(sum(arms[i].n for arms in phases)) for i in (0, 1))
    base = changed(base, n_candidate=n_c, n_baseline=n_b)
    if asked.no_worse_by is not None:
        named = changed(base, id=f"{base.id}/no_worse_by", target=asked.no_worse_by)
        yield _no_worse(setting, named, levels, phases, asked.no_worse_by)
        if not setting.assignment_broken:
            yield from _per_unit(setting, named, signal, asked.no_worse_by)
    if asked.floor is not None:
        named = changed(base, id=f"{base.id}/floor", target=asked.floor)
        yield _floor(setting, named, levels, asked.floor)


def _no_worse(
    setting: Setting, base: RolloutRule, levels: Sequence[Level], phases: Sequence[Phase], margin: float
) -> RolloutRule:
    enough = votes_before_a_decision(margin)

    def smaller(arms: Sequence[Phase]) -> float:
        return min(sum(c.n for c, _ in arms), sum(b.n for _, b in arms))

    def verdict(arms: Sequence[Phase]) -> RuleOutcome:
        if canary(arms, margin, setting.alpha, "low") > -margin:
            return "pass"
        return "fail" if canary(arms, margin, setting.beta, "high") < 0 else "inconclusive"

    low, high = canary(phases, margin, setting.alpha, "low"), canary(phases, margin, setting.beta, "high")
    estimate = difference(phases)
    outcome: RuleOutcome = verdict(phases) if smaller(phases) >= enough else "inconclusive"
    found = changed(
        base,
        verdict=outcome,
        estimate=estimate,
        low=finite(low),
        high=finite(high),
        needed=max(0, int(enough - smaller(phases))),
    )
    if outcome == "inconclusive" and found.needed:
        return changed(found, reason=f"{found.needed} more votes in the smaller arm before anything is decided")
    if setting.assignment_broken:
        reason = "the assignment is broken: the arms do not have the shares of units that they should have"
        return changed(found, verdict="inconclusive", needed=max(1, found.needed), reason=reason)

    def toward(better: bool) -> Outcome:
        # The bound that has to move, so that steepest steps go the shortest way.
        if outcome == "pass":
            return lambda arms: (verdict(arms), -canary(arms, margin, setting.alpha, "low"))
        if outcome == "fail" or not better:
            sign = 1 if outcome == "fail" else -1
            return lambda arms: (verdict(arms), sign * canary(arms, margin, setting.beta, "high"))
        return lambda arms: (verdict(arms), canary(arms, margin, setting.alpha, "low"))

    directions = {"pass": (False,), "fail": (True,)}.get(outcome, (True, False))
    # What the evidence itself would bear: the number of votes before the first look is no part of it.
    if not setting.flips:
        if outcome == "pass" and _fragile(levels, toward(better=False)):
            return changed(found, verdict="inconclusive", reason=f"fewer than {MIN_FLIP} raters could undo the pass")
        return changed(found, reason=_words(outcome, estimate, margin, low, high))
    cost = FlipCost(
        removal=least([fewest(levels, "removal", better, toward(better)) for better in directions]),
        reversal=least([fewest(levels, "reversal", better, toward(better)) for better in directions]),
    )
    found = changed(found, flip_cost=cost)
    if outcome == "pass" and (fragile := least([cost.removal, cost.reversal])) is not None and fragile < MIN_FLIP:
        reason = f"{fragile} rater{'s' if fragile > 1 else ''} could undo the pass; it must take at least {MIN_FLIP}"
        return changed(found, verdict="inconclusive", reason=reason)
    return changed(found, reason=_words(outcome, estimate, margin, low, high))


def _fragile(levels: Sequence[Level], outcome: Outcome) -> bool:
    ways: tuple[Way, ...] = ("removal", "reversal")
    return any(fewest(levels, way, False, outcome, below=MIN_FLIP) is not None for way in ways)


def _words(outcome: RuleOutcome, estimate: float | None, margin: float, low: float, high: float) -> str:
    points = "" if estimate is None else f"{100 * estimate:+.1f} points"
    if outcome == "fail":
        return f"people rate it worse: {points}, and at most {100 * high:+.1f}"
    if outcome == "pass":
        return f"people rate it no worse: {points}, and at least {100 * low:+.1f} with a margin of {100 * margin:g}"
    return f"{points}, somewhere from {100 * low:+.1f} to {100 * high:+.1f}: not enough votes to say"


def _per_unit(setting: Setting, base: RolloutRule, signal: str, margin: float) -> Iterator[RolloutRule]:
    """Where the arms vote at different rates, who votes may differ too: bad votes per unit served have no such selection."""
    votes, units = setting.counts.votes(signal), setting.counts.unit_counts()
    shared = [(votes[phase], units[phase]) for phase in votes if phase in units]
    if not shared or _same_turnout(shared):
        return
    phases = []
    for (c, b), (units_c, units_b) in shared:
        phases.append((_content(c, units_c), _content(b, units_b)))
    low, high = canary(phases, margin, setting.alpha, "low"), canary(phases, margin, setting.beta, "high")
    worse = high < 0 and min(base.n_candidate, base.n_baseline) >= votes_before_a_decision(margin)
    yield changed(
        base,
        id=f"{base.id}/per_unit",
        strength="guard",
        verdict="fail" if worse else "inconclusive" if low <= -margin else "pass",
        estimate=difference(phases),
        low=finite(low),
        high=finite(high),
        needed=0,
        reason="the arms vote at different rates: this counts bad votes per unit that was served, voting or not",
    )


def _same_turnout(shared: Sequence[tuple[Phase, tuple[float, float]]]) -> bool:
    """Pearson's chi-square of votes among units, in two arms."""
    from scipy.special import chdtrc

    votes = [sum(arms[i].n for arms, _ in shared) for i in (0, 1)]
    units = [max(votes[i], sum(counts[i] for _, counts in shared)) for i in (0, 1)]
    rate = sum(votes) / sum(units) if sum(units) else 0.0
    if not 0 < rate < 1 or not all(units):
        return True
    statistic = sum((votes[i] - units[i] * rate) ** 2 / (units[i] * rate * (1 - rate)) for i in (0, 1))
    return bool(chdtrc(1, statistic) >= UNEVEN)


def _content(votes: Votes, units: float) -> Votes:
    """Units that were served: 1 less whatever their vote lacks to a full one; who did not vote is content."""
    n = max(units, votes.n)
    bad, bad_squares = votes.n - votes.total, votes.n - 2 * votes.total + votes.squares
    return Votes(n, n - bad, n - 2 * bad + bad_squares)


def _floor(setting: Setting, base: RolloutRule, levels: Sequence[Level], floor: float) -> RolloutRule:
    mine = [level for level in levels if level.candidate]
    if base.n_candidate == 0:
        return changed(base, needed=FEWEST, reason="no votes yet")
    binary = all(level.value in (0.0, 1.0) for level in mine)

    def bound(arms: Sequence[Phase], alpha: float, side: str) -> float:
        n, total, squares = (sum(c[i] for c, _ in arms) for i in range(3))
        if n < 1:
            return 0.0 if side == "low" else 1.0
        if binary:
            return bern_cs(min(round(total), round(n)), round(n), alpha, side)
        return mean_bound(Votes(n, total, squares), FLOOR_SCALE, alpha, side)

    def verdict(arms: Sequence[Phase]) -> RuleOutcome:
        if bound(arms, setting.alpha, "low") >= floor:
            return "pass"
        return "fail" if bound(arms, setting.beta, "high") < floor else "inconclusive"

    total = [sum(level.n * level.value for level in mine)]
    phases = [(Votes(base.n_candidate, total[0], sum(level.n * level.value**2 for level in mine)), Votes(0, 0, 0))]
    outcome: RuleOutcome = verdict(phases) if base.n_candidate >= FEWEST else "inconclusive"
    found = changed(
        base,
        verdict=outcome,
        estimate=total[0] / base.n_candidate,
        low=bound(phases, setting.alpha, "low"),
        high=bound(phases, setting.beta, "high"),
        n_baseline=0,
        needed=max(0, FEWEST - base.n_candidate),
    )
    if outcome != "inconclusive" and setting.flips:
        better, side, alpha = (
            outcome == "fail",
            "high" if outcome == "fail" else "low",
            (setting.beta if outcome == "fail" else setting.alpha),
        )
        sign = 1 if better else -1
        pooled = [level._replace(phase=0) for level in mine]
        score: Outcome = lambda arms: (verdict(arms), sign * bound(arms, alpha, side))  # noqa: E731
        cost = FlipCost(fewest(pooled, "removal", better, score), fewest(pooled, "reversal", better, score))
        found = changed(found, flip_cost=cost)
    said = f"{100 * (found.estimate or 0):.1f} % against a floor of {100 * floor:g} %"
    return changed(found, reason=said if not found.needed else f"{said}; {found.needed} more votes before it counts")
