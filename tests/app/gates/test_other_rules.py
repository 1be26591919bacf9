"""must_pass, errors, cost, latency, approvals, and the rules of a rollout."""

from typing import Any

import numpy as np
import pytest

from app.gates.evidence import Evidence, Metric, Scores
from tests.app.gates.build import NO_REGRESSION, cases, evidence, grid, judged, scored, side, verdict

CRITICAL = {"must_pass": {"tag": "critical"}}
NAN = np.nan


def critical(runs: list[float], *, confirmed: list[float] | None = None, **rest: Any) -> Evidence:
    """Forty cases of which the first is critical and has these runs; all others pass."""
    values = np.ones((40, len(runs)))
    values[0] = runs
    more = None
    if confirmed is not None:
        more = np.full((40, len(confirmed)), NAN)
        more[0] = confirmed
    scores = Scores(values, passed=values.copy(), confirmed=more)
    items = cases(40, tags=[("critical",)] + [()] * 39)
    return evidence(side("c", scores, planned=40, finished=40), items=items, **rest)


@pytest.mark.parametrize(
    ("runs", "confirmed", "outcome"),
    [
        ([1], None, "pass"),
        ([1, 1, 1], None, "pass"),
        ([0], None, "inconclusive"),
        ([0, 1, 1], None, "inconclusive"),
        ([0, 0, 0], None, "fail"),
        ([0, 1, 1, 1, 1], None, "pass"),
        ([0, 0, 1, 1, 1], None, "pass"),
        ([0, 0, 0, 1, 1], None, "fail"),
        ([0], [1, 1, 1, 1], "pass"),
        ([0], [0, 1, 1, 0], "fail"),
        ([0], [1, 1, 0, NAN], "inconclusive"),
        ([NAN], None, "inconclusive"),
        ([NAN, 1, 1], None, "pass"),
        ([0, 1, 1, 1], None, "pass"),  # whatever the fifth run brings, two failures of five are allowed
    ],
)
def test_a_flaky_critical_case_is_told_from_a_broken_one(
    runs: list[float], confirmed: list[float] | None, outcome: str
) -> None:
    rule = judged(CRITICAL, critical(runs, confirmed=confirmed))
    assert rule.verdict == outcome
    if outcome != "pass":
        assert rule.cases == ("case-0",)
    if runs == [0]:
        assert (rule.needed is not None and rule.needed.repeats == 5) == (outcome == "inconclusive")


def test_confirming_runs_stay_out_of_the_means() -> None:
    floor = {"metric": "correct", "floor": 0.5}
    once, confirmed = critical([0]), critical([0], confirmed=[1, 1, 1, 1])
    assert judged(floor, once).estimate == judged(floor, confirmed).estimate == pytest.approx(39 / 40)


def test_without_tolerance_one_failure_breaks_a_case() -> None:
    strict = {"must_pass": {"tag": "critical", "confirm": 0, "allow_failures": 0}}
    assert judged(strict, critical([0])).verdict == "fail"
    assert judged(strict, critical([1, 1, 0])).verdict == "fail"


def test_a_tag_that_no_case_has_and_a_metric_without_a_pass_mark_cannot_pass() -> None:
    tagless = judged({"must_pass": {"tag": "typo"}}, critical([1]))
    markless = evidence(side("c", scored(np.ones(40))), items=cases(40, tags=[("critical",)] * 40))
    assert (tagless.verdict, tagless.cause) == ("inconclusive", "unmet")
    assert (judged(CRITICAL, markless).verdict, judged(CRITICAL, markless).cause) == ("inconclusive", "unmet")
    assert judged(CRITICAL | {"metric": "other"}, critical([1])).verdict == "inconclusive"


def test_a_lost_critical_case_is_incomplete() -> None:
    rule = judged(CRITICAL, critical([NAN]))
    assert (rule.cause, rule.missing) == ("incomplete", 1)


def test_a_critical_case_must_pass_on_every_endpoint_and_by_every_metric_that_applies() -> None:
    good, bad = np.ones((3, 5)), np.ones((3, 5))
    bad[1] = 0
    items = cases(3, tags=[("critical",)] * 3)
    both = side("c", {("correct", "a"): scored(good, passed=True), ("correct", "b"): scored(bad, passed=True)})
    rule = judged(CRITICAL, evidence(both, items=items))
    assert (rule.verdict, rule.cases) == ("fail", ("case-1 at b",))

    skipped = np.zeros((3, 5), dtype=bool)
    skipped[1] = True
    nowhere = Scores(np.where(skipped, NAN, 1.0), passed=np.where(skipped, NAN, 1.0), skipped=skipped)
    metrics = (Metric("correct"), Metric("style"))
    applies = side("c", {("correct", "a"): scored(good, passed=True), ("style", "a"): nowhere})
    assert judged(CRITICAL, evidence(applies, items=items, metrics=metrics)).verdict == "pass"
    alone = judged(CRITICAL | {"metric": "style"}, evidence(applies, items=items, metrics=metrics))
    assert (alone.verdict, alone.cases) == ("inconclusive", ("case-1",))


def test_a_judge_alone_cannot_clear_a_critical_case() -> None:
    judge = (Metric("correct", judge=True),)
    assert judged(CRITICAL, critical([1], metrics=judge)).verdict == "inconclusive"
    assert judged(CRITICAL, critical([0, 0, 0], metrics=judge)).verdict == "fail"
    assert judged(CRITICAL | {"accept_uncalibrated": True}, critical([1], metrics=judge)).verdict == "pass"


def with_failures(candidate: np.ndarray, baseline: np.ndarray | None = None) -> Evidence:
    def one(name: str, failed: np.ndarray) -> Any:
        return side(name, scored(np.ones(failed.shape[0])), failed={"gpt": grid(failed)})

    return evidence(one("c", candidate), None if baseline is None else one("b", baseline))


def test_the_candidates_own_errors_are_a_rate_with_bounds() -> None:
    rule = {"errors": {"max_rate": 0.10}}
    none, few, many = np.zeros(100), np.zeros(100), np.zeros(100)
    few[:8], many[:30] = 1, 1
    assert [judged(rule, with_failures(f)).verdict for f in (none, few, many)] == ["pass", "inconclusive", "fail"]
    found = judged(rule, with_failures(few))
    assert found.estimate == pytest.approx(0.08)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < 0.08 < 0.10 < found.high


def test_how_errors_changed_is_reported_beside_the_rate_and_blocks_nothing() -> None:
    before, after = np.zeros(200), np.zeros(200)
    after[:20] = 1
    found = verdict(with_failures(after, before), NO_REGRESSION, {"errors": {"max_rate": 0.2}})
    rate, change = found.rules[1:3]
    assert (rate.strength, rate.verdict) == ("guard", "pass")
    assert (change.strength, change.rule, change.estimate) == ("report", "no_regression", pytest.approx(-0.1))
    assert found.verdict == "pass"


def test_lost_connections_are_no_errors_of_the_candidate() -> None:
    failed = np.zeros(100)
    failed[0] = NAN
    found = judged({"errors": {"max_rate": 0.10}}, with_failures(failed))
    assert (found.verdict, found.n, found.missing, found.estimate) == ("pass", 99, 1, 0.0)
    failed[:10] = NAN
    assert judged({"errors": {"max_rate": 0.10}}, with_failures(failed)).cause == "incomplete"


def test_what_was_not_recorded_holds_the_gate() -> None:
    same = np.ones(100)
    budgets = ({"errors": {"max_rate": 0.1}}, {"cost": {"max_ratio": 1.1}}, {"latency": {"p95_max_ms": 1}})
    for rule in (*budgets, {"latency": {"max_ratio": 1.1}}):
        found = verdict(evidence(same, same), NO_REGRESSION, rule)
        assert [one.verdict for one in found.rules[:2]] == ["pass", "inconclusive"], rule
        assert found.verdict == "inconclusive", rule


def with_amounts(kind: str, candidate: np.ndarray, baseline: np.ndarray) -> Evidence:
    scores = scored(np.ones(candidate.shape[0]))
    return evidence(
        side("c", scores, **{kind: {"gpt": grid(candidate)}}), side("b", scores, **{kind: {"gpt": grid(baseline)}})
    )


def test_cost_is_the_ratio_of_what_is_paid_in_all() -> None:
    rule = {"cost": {"max_ratio": 1.10}}
    b = np.random.default_rng(1).gamma(3, 0.01, 100)
    outcomes = [judged(rule, with_amounts("cost_usd", b * factor, b)).verdict for factor in (1.0, 1.05, 1.5)]
    assert outcomes == ["pass", "pass", "fail"]
    assert judged(rule, with_amounts("cost_usd", b * 1.5, b)).estimate == pytest.approx(1.5)
    assert judged(rule, with_amounts("cost_usd", b * 0, b * 0)).verdict == "pass"
    free_before = judged(rule, with_amounts("cost_usd", b, b * 0))
    assert (free_before.verdict, free_before.cause) == ("inconclusive", "unmet")


def test_latency_has_a_budget_per_endpoint_and_a_ratio() -> None:
    b = np.random.default_rng(2).lognormal(6, 0.4, 120)
    rule = {"latency": {"p95_max_ms": 2000, "max_ratio": 1.15}}
    found = verdict(with_amounts("latency_ms", b, b), NO_REGRESSION, rule).rules[1:]
    assert [(one.rule, one.verdict) for one in found] == [("latency.p95_max_ms", "pass"), ("latency.max_ratio", "pass")]
    assert len({one.id for one in found}) == 2
    slow = verdict(with_amounts("latency_ms", b * 5, b), NO_REGRESSION, rule).rules[1:]
    assert [one.verdict for one in slow] == ["fail", "fail"]


def test_too_few_calls_cannot_show_a_p95_budget() -> None:
    b = np.full(58, 100.0)
    found = judged({"latency": {"p95_max_ms": 2000}}, with_amounts("latency_ms", b, b))
    assert (found.verdict, found.high) == ("inconclusive", None)


def test_approvals_are_a_condition_of_release_and_not_of_a_check() -> None:
    same = np.ones(100)
    rules = (NO_REGRESSION, {"approvals": {"role": "approver", "count": 2}})
    unknown = verdict(evidence(same, same), *rules)
    one = verdict(evidence(same, same, approvals={"approver": 1}), *rules)
    two = verdict(evidence(same, same, approvals={"approver": 2}), *rules)
    assert [found.verdict for found in (unknown, one, two)] == ["inconclusive", "inconclusive", "pass"]
    assert "1 more approval by approver" in one.rules[0].reason
    assert verdict(evidence(same, same), *rules, stage="ci").verdict == "pass"


def test_rules_of_the_rollout_are_listed_as_not_yet_judged() -> None:
    same = np.ones(100)
    feedback = {"feedback": {"signal": "thumbs", "no_worse_by": 0.05}}
    found = verdict(evidence(same, same), NO_REGRESSION, rollout_rules=[feedback])
    assert (found.rules[-1].rule, found.rules[-1].verdict, found.verdict) == ("feedback", "not_applicable", "pass")
