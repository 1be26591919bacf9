"""What people, errors and latencies say of a rollout."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.feedback import counting
from app.feedback.schemas import ERRORS, LATENCY, RESPONSES, UNITS, Scale, Tally
from app.gates.rollout.counts import Counts, Level
from app.gates.rollout.flips import fewest
from app.gates.rollout.judge import judge_rollout
from app.gates.rollout.schemas import RolloutRule, RolloutVerdict
from app.registry.kinds.gate_policy import GatePolicy, problems
from app.stats.sequential import Phase, canary
from tests.app.gates.build import policy as policy_of

NOW = datetime(2027, 1, 1, tzinfo=UTC)
THUMBS: dict[str, Any] = {"feedback": {"signal": "thumbs", "no_worse_by": 0.05}}


def policy(*rules: dict[str, Any], **more: Any) -> GatePolicy:
    return policy_of({"metric": "right", "floor": 0.5}, rollout_rules=list(rules), **more)


def ups(arm: str, up: int, n: int, *, phase: int = 0, signal: str = "thumbs") -> list[Tally]:
    """Thumbs: `up` of `n`."""
    return [Tally(phase, arm, signal, 100, up, up, up), Tally(phase, arm, signal, 0, n - up, 0, 0)]  # type: ignore[arg-type]


def counted(arm: str, signal: str, n: int, *, phase: int = 0) -> list[Tally]:
    return [Tally(phase, arm, signal, 0, n, n, n)]  # type: ignore[arg-type]


def judge(
    tallies: Sequence[Tally],
    *rules: dict[str, Any],
    share: float = 0.5,
    shares: dict[int, float] | None = None,
    **more: Any,
) -> RolloutVerdict:
    """Once with the flip costs and once without: the verdicts must agree."""
    began = NOW - timedelta(days=more.pop("days", 0))
    judged = policy(*(rules or (THUMBS,)), **more)
    verdict, quick = (
        judge_rollout(judged, tallies, shares or {0: 0.5}, share=share, started_at=began, now=NOW, flips=flips)
        for flips in (True, False)
    )
    assert (quick.action, [r.verdict for r in quick.rules]) == (verdict.action, [r.verdict for r in verdict.rules])
    return verdict


def only(verdict: RolloutVerdict) -> RolloutRule:
    [rule] = verdict.rules
    return rule


def test_before_a_hundred_votes_in_the_smaller_arm_nothing_is_decided() -> None:
    verdict = judge([*ups("candidate", 0, 99), *ups("baseline", 900, 900)])
    assert (verdict.action, only(verdict).verdict, only(verdict).needed) == ("hold", "inconclusive", 1)
    assert judge([*ups("candidate", 0, 100), *ups("baseline", 900, 900)]).action == "pause"


def test_a_smaller_margin_waits_for_more_votes() -> None:
    small = {"feedback": {"signal": "thumbs", "no_worse_by": 0.01}}
    assert only(judge([*ups("candidate", 0, 200), *ups("baseline", 900, 900)], small)).needed == 100


def test_shown_worse_pauses_and_says_how_sure_it_is() -> None:
    verdict = judge([*ups("candidate", 250, 500), *ups("baseline", 400, 500)])
    rule = only(verdict)
    assert (verdict.action, rule.verdict, rule.estimate) == ("pause", "fail", pytest.approx(-0.3))
    assert "thumbs: people rate it worse: -30.0 points" in verdict.reason
    assert rule.low is not None
    assert rule.high is not None
    assert rule.low < -0.3 < rule.high < 0
    assert rule.flip_cost is not None
    assert verdict.flip_cost == min(rule.flip_cost.removal or 0, rule.flip_cost.reversal or 0) > 10


def test_a_second_signal_that_agrees_rolls_back() -> None:
    stars = {"feedback": {"signal": "stars", "no_worse_by": 0.05}}
    worse = [*ups("candidate", 250, 500), *ups("baseline", 400, 500)]
    also = [*ups("candidate", 250, 500, signal="stars"), *ups("baseline", 400, 500, signal="stars")]
    assert judge([*worse, *also], THUMBS, stars).action == "roll_back"
    assert judge(worse, THUMBS, stars).action == "pause"


def test_a_floor_on_the_same_signal_is_no_second_signal() -> None:
    both = {"feedback": {"signal": "thumbs", "no_worse_by": 0.05, "floor": 0.75}}
    verdict = judge([*ups("candidate", 250, 500), *ups("baseline", 400, 500)], both)
    assert [rule.verdict for rule in verdict.rules] == ["fail", "fail"]
    assert verdict.action == "pause"


def test_errors_are_a_second_signal() -> None:
    errors = {"errors": {"max_rate": 0.02}}
    worse = [*ups("candidate", 250, 500), *ups("baseline", 400, 500)]
    failing = [*counted("candidate", RESPONSES, 500), *counted("candidate", ERRORS, 50)]
    assert judge([*worse, *failing], THUMBS, errors).action == "roll_back"
    assert judge([*worse, *counted("candidate", RESPONSES, 500)], THUMBS, errors).action == "pause"


def test_an_early_step_ends_when_nothing_is_worse_and_the_data_is_there() -> None:
    alike = [*ups("candidate", 80, 100), *ups("baseline", 320, 400)]
    assert judge(alike, share=0.2).action == "advance"
    assert judge(alike, share=0.5).action == "hold"
    assert judge(alike[:2], share=0.2).action == "hold"


def test_from_decide_at_on_proof_is_asked() -> None:
    alike = [*ups("candidate", 4_000, 5_000), *ups("baseline", 4_000, 5_000)]
    verdict = judge(alike)
    assert (verdict.action, only(verdict).verdict) == ("advance", "pass")
    assert verdict.flip_cost is not None
    assert verdict.flip_cost >= 3


def test_missing_data_of_any_rule_holds() -> None:
    verdict = judge(
        [*ups("candidate", 80, 100), *ups("baseline", 80, 100)], THUMBS, {"errors": {"max_rate": 0.02}}, share=0.1
    )
    assert verdict.action == "hold"
    online = {"metric": "right", "floor": 0.9}
    assert judge([*ups("candidate", 80, 100), *ups("baseline", 80, 100)], THUMBS, online, share=0.1).action == "hold"
    assert judge([]).action == "hold"


def test_without_rules_a_person_promotes() -> None:
    verdict = judge_rollout(policy(), [], {0: 0.5}, share=0.5, started_at=NOW, now=NOW)
    assert (verdict.action, verdict.rules) == ("hold", ())
    assert "a person" in verdict.reason


def test_undecided_for_too_long_a_person_decides() -> None:
    undecided = [*ups("candidate", 80, 100), *ups("baseline", 80, 100)]
    assert "a person decides" in judge(undecided, days=15).reason
    assert "a person decides" not in judge(undecided, days=13).reason


def test_phases_are_compared_within_themselves() -> None:
    # Everybody grew less content while the share grew: pooled, the candidate looks far worse (Simpson's paradox).
    tallies = [
        *ups("candidate", 450, 500, phase=0), *ups("baseline", 8_550, 9_500, phase=0),
        *ups("candidate", 3_000, 5_000, phase=1), *ups("baseline", 3_000, 5_000, phase=1),
    ]  # fmt: skip
    rule = only(judge(tallies, shares={0: 0.05, 1: 0.5}))
    assert rule.estimate == pytest.approx(0)
    assert rule.verdict != "fail"


def test_a_broken_assignment_decides_nothing() -> None:
    units = [*counted("candidate", UNITS, 700), *counted("baseline", UNITS, 300)]
    worse = [*ups("candidate", 250, 500), *ups("baseline", 400, 500)]
    verdict = judge([*worse, *units])
    assert verdict.action == "hold"
    assert "assignment is broken" in only(verdict).reason


def test_where_one_arm_votes_less_bad_votes_per_unit_are_counted_too() -> None:
    units = [*counted("candidate", UNITS, 2_000), *counted("baseline", UNITS, 2_000)]
    votes = [*ups("candidate", 500, 1_000), *ups("baseline", 150, 300)]  # alike among those who vote
    rules = {rule.id: rule for rule in judge([*votes, *units]).rules}
    assert rules["/rollout_rules/0/no_worse_by"].verdict == "inconclusive"
    per_unit = rules["/rollout_rules/0/no_worse_by/per_unit"]
    assert (per_unit.verdict, per_unit.estimate) == ("fail", pytest.approx(-(500 - 150) / 2_000))


def test_a_floor_is_proven_or_broken_at_any_time() -> None:
    floor = {"feedback": {"signal": "thumbs", "floor": 0.75}}
    assert only(judge(ups("candidate", 900, 1_000), floor)).verdict == "pass"
    assert only(judge(ups("candidate", 600, 1_000), floor)).verdict == "fail"
    assert only(judge(ups("candidate", 76, 100), floor)).verdict == "inconclusive"
    assert only(judge([], floor)).needed == 100
    stars = {"feedback": {"signal": "stars", "floor": 0.5}}
    rated = [
        Tally(0, "candidate", "stars", 75, 900, 675.0, 506.25),
        Tally(0, "candidate", "stars", 25, 100, 25.0, 6.25),
    ]
    assert only(judge(rated, stars)).verdict == "pass"


def test_slow_answers_break_their_limit_and_what_the_histogram_cannot_tell_proves_nothing() -> None:
    def served(ms: float, n: int, arm: str = "candidate") -> Tally:
        one = next(t for t in counting.answer(_served(ms, arm)) if t.signal == LATENCY)
        return Tally(0, arm, LATENCY, one.bucket, n, one.total * n, one.squares * n)  # type: ignore[arg-type]

    limit = {"latency": {"p95_max_ms": 1_000}}
    assert only(judge([served(500, 1_000)], limit)).verdict == "pass"
    assert only(judge([served(500, 800), served(2_000, 200)], limit)).verdict == "fail"
    # Both 995 and 1,005 ms lie in the bucket that the limit divides.
    assert only(judge([served(999, 1_000)], limit)).verdict == "inconclusive"
    ratio = {"latency": {"max_ratio": 1.2}}
    same = [served(500, 300), served(520, 300), served(500, 300, "baseline"), served(520, 300, "baseline")]
    assert only(judge(same, ratio)).verdict == "pass"
    slow = [served(900, 300), served(1_000, 300), served(500, 300, "baseline"), served(520, 300, "baseline")]
    rule = only(judge(slow, ratio))
    assert (rule.verdict, rule.estimate) == ("fail", pytest.approx((900 * 1_000 / 500 / 520) ** 0.5, rel=0.01))


def _served(ms: float, arm: str) -> Any:
    from app.feedback.schemas import Served, Split

    return Served(
        id="i", project_id="p", environment="e", prompt="ask", version=1, prompt_digest=None, bundle=None, release="r",
        split=Split("r", 0, arm, "u"), unit="u", key_id="k", status="answered", at=NOW, latency_ms=ms,
    )  # fmt: skip


def test_a_named_number_is_judged_on_its_own_scale() -> None:
    faithful = {"feedback": {"signal": "faithfulness", "no_worse_by": 0.05, "range": [1, 4]}}
    scale = Scale("faithfulness", 1.0, 4.0)
    tallies = [
        Tally(0, "candidate", scale.name, 33, 300, 100.0, 100 / 3),
        Tally(0, "baseline", scale.name, 100, 300, 300.0, 300.0),
    ]
    assert only(judge(tallies, faithful)).estimate == pytest.approx(-2 / 3)
    unranged = {"feedback": {"signal": "faithfulness", "no_worse_by": 0.05}}
    aside = [Tally(0, "candidate", Scale("faithfulness", 0.0, 1.0).outside, 0, 300, 0.0, 0.0)]
    rule = only(judge(aside, unranged))
    assert (rule.verdict, rule.out_of_range, "range" in rule.reason) == ("inconclusive", 300, True)


def test_votes_out_of_range_are_told_and_the_rule_decides_on_the_others() -> None:
    faithful = {"feedback": {"signal": "faithfulness", "no_worse_by": 0.05, "range": [1, 4]}}
    scale = Scale("faithfulness", 1.0, 4.0)
    tallies = [
        Tally(0, "candidate", scale.name, 33, 300, 100.0, 100 / 3),
        Tally(0, "baseline", scale.name, 100, 300, 300.0, 300.0),
    ]
    without = only(judge(tallies, faithful))
    rule = only(judge([*tallies, Tally(0, "candidate", scale.outside, 0, 2, 0.0, 0.0)], faithful))
    assert (without.verdict, without.out_of_range) == ("fail", 0)
    assert (rule.verdict, rule.estimate, rule.low, rule.high) == ("fail", without.estimate, without.low, without.high)
    assert (rule.out_of_range, "2 votes lie outside 1 to 4" in rule.reason) == (2, True)


@pytest.mark.parametrize(
    ("rule", "pointer"),
    [
        ({"feedback": {"signal": "thumbs", "no_worse_by": 0.05, "range": [0, 1]}}, "/rollout_rules/0/feedback/range"),
        ({"feedback": {"signal": "minutes", "floor": 0.5, "range": [4, 1]}}, "/rollout_rules/0/feedback/range"),
        ({"feedback": {"signal": "thumbs"}}, "/rollout_rules/0/feedback"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(rule: dict[str, Any], pointer: str) -> None:
    assert [problem.pointer for problem in problems(policy(rule))] == [pointer]


@settings(max_examples=40, deadline=None)
@given(up_c=st.integers(0, 40), down_c=st.integers(0, 40), up_b=st.integers(0, 40), down_b=st.integers(0, 40))
@pytest.mark.parametrize("way", ["removal", "reversal"])
def test_the_flip_cost_is_the_fewest_of_all_ways(way: Any, up_c: int, down_c: int, up_b: int, down_b: int) -> None:
    """Against all ways of taking away, or of turning round, on a verdict whose bound alone decides."""

    def outcome(arms: Sequence[Phase]) -> tuple[object, float]:
        high = canary(arms, 0.1, 0.2, "high")
        return high < 0, high

    levels = [
        Level(0, True, 1.0, up_c),
        Level(0, True, 0.0, down_c),
        Level(0, False, 1.0, up_b),
        Level(0, False, 0.0, down_b),
    ]
    start = Counts([*ups("candidate", up_c, up_c + down_c), *ups("baseline", up_b, up_b + down_b)])
    phases = list(start.votes("thumbs").values())
    if not phases or not outcome(phases)[0]:
        return
    found = fewest([level for level in levels if level.n], way, True, outcome)
    fewer = None
    for total in range(1, down_c + up_b + 1):
        for i in range(max(0, total - up_b), min(down_c, total) + 1):
            j = total - i
            if way == "removal":
                moved = [*ups("candidate", up_c, up_c + down_c - i), *ups("baseline", up_b - j, up_b + down_b - j)]
            else:
                moved = [*ups("candidate", up_c + i, up_c + down_c), *ups("baseline", up_b - j, up_b + down_b)]
            arms = list(Counts(moved).votes("thumbs").values())
            if not arms or not outcome(arms)[0]:
                fewer = total
                break
        if fewer is not None:
            break
    assert found == fewer


def test_fewer_friends_than_the_flip_cost_change_nothing_and_that_many_do() -> None:
    tallies = [*ups("candidate", 250, 500), *ups("baseline", 400, 500)]
    cost = only(judge(tallies)).flip_cost
    assert cost is not None
    assert cost.reversal is not None

    def turned(k: int) -> str:
        splits = range(0, k + 1, max(1, k // 20))
        found = {judge([*ups("candidate", 250 + i, 500), *ups("baseline", 400 - (k - i), 500)]).action for i in splits}
        return "pause" if found == {"pause"} else "other"

    assert turned(cost.reversal - 1) == "pause"
    assert turned(cost.reversal) == "other" or turned(cost.reversal + 1) == "other"


def stream(rng: np.random.Generator, drop: float, votes: int, every: int = 50) -> list[str]:
    """The actions at each look of a rollout at 20 %, base rate 0.80."""
    arms = rng.random(votes) < 0.2
    good = rng.random(votes) < np.where(arms, 0.80 - drop, 0.80)
    actions = []
    for seen in range(every, votes + 1, every):
        a, g = arms[:seen], good[:seen]
        tallies = [
            *ups("candidate", int(g[a].sum()), int(a.sum())),
            *ups("baseline", int(g[~a].sum()), int((~a).sum())),
        ]
        actions.append(judge([t for t in tallies if t.n]).action)
        if actions[-1] != "hold":
            break
    return actions


@pytest.mark.parametrize(("drop", "wrong"), [(0.0, "pause"), (0.10, "advance")])
def test_streams_of_votes_are_judged_rightly(drop: float, wrong: str) -> None:
    rng = np.random.default_rng(20)
    ends = [stream(rng, drop, 10_000)[-1] for _ in range(12)]
    assert wrong not in ends
    assert ends.count("pause" if drop else "advance") >= 11
