"""Rules on scores: no_regression, improvement, floor; slices, endpoints, clusters, repeats, directions, judges."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.gates.evidence import Metric
from tests.app.gates.build import (
    NO_REGRESSION,
    cases,
    evidence,
    judged,
    look,
    pass_fail,
    scored,
    side,
    verdict,
)
from tests.app.stats import reference


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


def test_no_change_on_enough_cases_passes_and_on_too_few_does_not() -> None:
    same = pass_fail(53, 0.8)
    assert judged(NO_REGRESSION, evidence(same, same)).verdict == "pass"
    short = judged(NO_REGRESSION, evidence(same[:52], same[:52]))
    assert (short.verdict, short.cause) == ("inconclusive", "undecided")
    assert short.needed is not None
    assert short.needed.cases == 1
    assert short.needed.provable_margin == pytest.approx(-(short.low or 0))


def test_the_record_holds_the_numbers_of_the_definitions(rng: np.random.Generator) -> None:
    b = rng.integers(0, 4, (120, 3)) / 3
    c = np.clip(b - rng.integers(0, 2, (120, 3)) / 6, 0, 1)
    rule = judged(NO_REGRESSION, evidence(c, b))
    d = c.mean(axis=1) - b.mean(axis=1)
    assert rule.estimate == pytest.approx(d.mean())
    assert rule.low == pytest.approx(reference.lower(d, -1, 0.05))
    assert rule.high == pytest.approx(reference.upper(d, 1, 0.05))
    assert (rule.n, rule.n_clusters, rule.repeats, rule.confidence) == (120, 120, 3, 0.95)
    assert (rule.verdict, rule.method) == ("fail", "sign-flip")
    assert rule.seed is not None


def test_a_clear_drop_fails_and_an_improvement_passes() -> None:
    better, worse = pass_fail(100, 0.9), pass_fail(100, 0.6)
    assert judged(NO_REGRESSION, evidence(worse, better)).verdict == "fail"
    assert judged(NO_REGRESSION, evidence(better, worse)).verdict == "pass"


def test_a_real_drop_that_is_provably_smaller_than_the_margin_passes_and_says_so() -> None:
    b = np.full(400, 0.8) + np.tile([0.01, -0.01], 200)
    c = b - 0.01 + np.tile([0.002, -0.002, -0.002, 0.002], 100)
    rule = judged(NO_REGRESSION, evidence(c, b))
    assert rule.verdict == "pass"
    assert (rule.p_worse or 1) < 0.001
    assert "real drop" in rule.reason


def test_published_answers_of_two_models_are_judged_both_ways(shared_data: Path) -> None:
    rows = [json.loads(line) for line in (shared_data / "gsm8k_solutions.jsonl").read_text().splitlines()]
    small, large = (
        np.array([float(row["outputs"][model]["is_correct"]) for row in rows])
        for model in ("6b_finetuning", "175b_finetuning")
    )
    assert judged(NO_REGRESSION, evidence(small, large)).verdict == "fail"
    assert judged(NO_REGRESSION, evidence(large, small)).verdict == "pass"


def test_when_the_estimate_is_beyond_the_margin_no_number_of_cases_is_promised(rng: np.random.Generator) -> None:
    c, b = pass_fail(40, 0.70), pass_fail(40, 0.80)
    rule = judged(NO_REGRESSION, evidence(c, rng.permutation(b)))
    assert rule.verdict == "inconclusive"
    assert rule.beyond
    assert rule.needed is not None
    assert (rule.needed.cases, rule.needed.repeats) == (None, None)
    assert "unlikely" in rule.reason


def test_noise_between_runs_is_answered_with_more_repeats(rng: np.random.Generator) -> None:
    b, c = ((rng.random((100, 2)) < 0.5).astype(float) for _ in range(2))
    rule = judged({"metric": "correct", "no_regression": {"margin": 0.10}}, evidence(c, b), data={"repeats": 2})
    assert rule.verdict == "inconclusive"
    assert rule.needed is not None
    assert rule.needed.repeats is not None
    assert 3 <= rule.needed.repeats <= 10


def test_repeats_of_a_case_are_not_more_cases(rng: np.random.Generator) -> None:
    once = rng.integers(0, 2, 60).astype(float)
    again = np.repeat(once[:, None], 5, axis=1)
    same = np.repeat(rng.permutation(once)[:, None], 5, axis=1)
    five, one = judged(NO_REGRESSION, evidence(again, same)), judged(NO_REGRESSION, evidence(once, same[:, 0]))
    assert (five.low, five.high, five.p_worse) == (one.low, one.high, one.p_worse)


def test_cases_of_one_cluster_count_as_one_unit() -> None:
    b = np.ones(100)
    c = np.ones(100)
    c[:10] = 0  # one document of ten questions broke
    document = [f"doc-{i // 10}" for i in range(100)]
    alone = judged(NO_REGRESSION, evidence(c, b))
    own = judged(NO_REGRESSION, evidence(c, b, items=cases(100, cluster=document)))
    by_field = judged(NO_REGRESSION, evidence(c, b, items=cases(100, document=document)), data={"cluster": "document"})
    assert (alone.verdict, own.verdict) == ("fail", "inconclusive")
    assert (own.n, own.n_clusters) == (100, 10)
    assert (by_field.low, by_field.p_worse) == (own.low, own.p_worse)
    assert own.low == pytest.approx(reference.lower(c - b, -1, 0.05, document))


def test_clustering_by_a_field_that_no_case_has_cannot_be_judged() -> None:
    rule = judged(NO_REGRESSION, evidence(np.ones(60), np.ones(60)), data={"cluster": "document"})
    assert (rule.verdict, rule.cause) == ("inconclusive", "unmet")
    assert "document" in rule.reason


def test_metrics_to_minimise_are_worse_when_they_rise(rng: np.random.Generator) -> None:
    toxicity = Metric("correct", direction="minimize")
    b = rng.beta(1, 9, 150)
    up = judged(NO_REGRESSION, evidence(np.clip(b + 0.15, 0, 1), b, metrics=(toxicity,)))
    down = judged(NO_REGRESSION, evidence(b / 2, b, metrics=(toxicity,)))
    assert (up.verdict, down.verdict) == ("fail", "pass")
    assert up.estimate is not None
    assert up.estimate < 0


def test_a_floor_of_a_metric_to_minimise_is_its_highest_acceptable_value(rng: np.random.Generator) -> None:
    toxicity = Metric("correct", direction="minimize")
    values = rng.beta(1, 9, 200)
    ok = judged({"metric": "correct", "floor": 0.2}, evidence(values, metrics=(toxicity,)))
    bad = judged({"metric": "correct", "floor": 0.05}, evidence(values, metrics=(toxicity,)))
    assert (ok.verdict, bad.verdict) == ("pass", "fail")
    assert ok.low is not None
    assert ok.high is not None
    assert ok.estimate == pytest.approx(values.mean())
    assert ok.low < values.mean() < ok.high < 0.2


@pytest.mark.parametrize(("share", "outcome"), [(0.95, "pass"), (0.82, "inconclusive"), (0.6, "fail")])
def test_a_floor_is_passed_failed_or_left_open(share: float, outcome: str) -> None:
    rule = judged({"metric": "correct", "floor": 0.80}, evidence(pass_fail(100, share)))
    assert rule.verdict == outcome
    assert (rule.needed is not None) == (outcome == "inconclusive")


def test_an_improvement_must_be_shown_in_full() -> None:
    rule = {"metric": "correct", "improvement": {"at_least": 0.10}}
    b = pass_fail(200, 0.5)
    assert judged(rule, evidence(pass_fail(200, 0.8), b)).verdict == "pass"
    assert judged(rule, evidence(pass_fail(200, 0.62), b)).verdict == "inconclusive"
    assert judged(rule, evidence(pass_fail(200, 0.5), b)).verdict == "fail"


def test_scales_other_than_the_unit_interval_are_judged_alike(rng: np.random.Generator) -> None:
    b = rng.beta(4, 1, 90)
    c = np.clip(b + rng.normal(-0.02, 0.1, 90), 0, 1)
    unit = judged(NO_REGRESSION, evidence(c, b))
    stars = judged(
        {"metric": "correct", "no_regression": {"margin": 0.2}},
        evidence(1 + 4 * c, 1 + 4 * b, metrics=(Metric("correct", low=1, high=5),)),
    )
    assert (stars.verdict, stars.p_worse) == (unit.verdict, unit.p_worse)
    assert stars.low == pytest.approx(4 * (unit.low or 0))
    assert stars.assurance == pytest.approx(unit.assurance)


@pytest.mark.parametrize("strength", ["prove", "guard"])
def test_a_scale_without_ends_proves_nothing_but_may_block(strength: str, rng: np.random.Generator) -> None:
    length = Metric("correct", high=None)
    rule = {"metric": "correct", "no_regression": {"margin": 10}, "strength": strength}
    b = rng.normal(300, 20, 100)
    same, worse = (evidence(c, b, metrics=(length,)) for c in (b, b - 50 + rng.normal(0, 5, 100)))
    assert judged(rule, same).verdict == "inconclusive"
    assert judged(rule, worse).verdict == ("fail" if strength == "guard" else "inconclusive")
    assert verdict(same, rule).verdict == "inconclusive"


def test_scores_outside_the_declared_range_are_not_judged() -> None:
    c = np.ones(60)
    c[3] = 1.5
    rule = judged(NO_REGRESSION, evidence(c, np.ones(60)))
    assert (rule.verdict, rule.cause) == ("inconclusive", "unmet")
    assert "outside the range" in rule.reason


@pytest.mark.parametrize(
    "rule",
    [
        {"metric": "correct", "no_regression": {"margin": 1.0}},
        {"metric": "correct", "floor": 0.0},
        {"metric": "correct", "floor": 1.2},
        {"metric": "correct", "improvement": {"at_least": 1.0}},
    ],
)
def test_a_limit_at_the_end_of_the_scale_is_a_mistake_and_never_a_pass(rule: dict[str, object]) -> None:
    found = judged(rule, evidence(np.ones(100), np.zeros(100)))
    assert (found.verdict, found.cause) == ("inconclusive", "unmet")


def test_a_judge_without_calibration_may_block_but_prove_nothing() -> None:
    judge = (Metric("correct", judge=True),)
    good, bad = pass_fail(200, 0.95), pass_fail(200, 0.5)
    shown = judged(NO_REGRESSION, evidence(good, good, metrics=judge))
    assert (shown.verdict, shown.cause) == ("inconclusive", "undecided")
    assert "calibration" in shown.reason
    assert judged(NO_REGRESSION, evidence(bad, good, metrics=judge)).verdict == "fail"
    accepted = judged(NO_REGRESSION | {"accept_uncalibrated": True}, evidence(good, good, metrics=judge))
    assert accepted.verdict == "pass"
    assert "accepted by the policy" in accepted.reason
    labels = NO_REGRESSION | {"calibration": {"labels": "human"}}
    assert judged(labels, evidence(good, good, metrics=judge)).verdict == "inconclusive"


# --- endpoints, slices, families ------------------------------------------------------------------------------------


def two_endpoints(first: np.ndarray, second: np.ndarray, base: np.ndarray) -> object:
    c = side("c", {("correct", "a"): scored(first), ("correct", "b"): scored(second)})
    b = side("b", {("correct", "a"): scored(base), ("correct", "b"): scored(base)})
    return evidence(c, b)


def test_endpoints_are_averaged_or_judged_one_by_one() -> None:
    base, broken = pass_fail(100, 0.9), pass_fail(100, 0.5)
    given = two_endpoints(base, broken, base)
    pooled = verdict(given, NO_REGRESSION)
    each = verdict(given, NO_REGRESSION | {"endpoints": "each"})
    assert [rule.estimate for rule in pooled.rules] == pytest.approx([-0.2])
    assert [(rule.endpoint, rule.verdict) for rule in each.rules] == [("a", "pass"), ("b", "fail")]
    assert len({rule.id for rule in each.rules}) == 2


def test_a_slice_that_breaks_fails_though_the_whole_holds() -> None:
    language = ["de"] * 40 + ["en"] * 360
    b = np.ones(400)
    c = np.concatenate([np.zeros(12), np.ones(388)])
    sliced = {"metric": "correct", "no_regression": {"margin": 0.1}, "slices": {"by": ["language"]}}
    found = verdict(evidence(c, b, items=cases(400, language=language)), NO_REGRESSION, sliced)
    by_slice = {rule.slice: rule for rule in found.rules}
    assert by_slice[None].verdict == "pass"
    assert (by_slice["language=de"].verdict, by_slice["language=en"].verdict) == ("fail", "pass")
    assert by_slice["language=de"].strength == "guard"
    assert found.verdict == "fail"


def test_a_small_slice_is_left_out_and_said_so() -> None:
    language = ["de"] * 10 + ["en"] * 90
    sliced = {"metric": "correct", "no_regression": {"margin": 0.1}, "slices": {"by": ["language"], "min_cases": 20}}
    found = verdict(evidence(np.ones(100), np.ones(100), items=cases(100, language=language)), NO_REGRESSION, sliced)
    small = next(rule for rule in found.rules if rule.slice == "language=de")
    assert (small.verdict, found.verdict) == ("not_applicable", "pass")
    assert "10 cases" in small.reason
    demanded = verdict(
        evidence(np.ones(100), np.ones(100), items=cases(100, language=language)), sliced | {"strength": "prove"}
    )
    assert demanded.verdict == "inconclusive"


def test_tags_and_lists_make_slices_too_and_an_unknown_field_holds_the_gate() -> None:
    tags = [("a",) if i % 2 else ("a", "b") for i in range(100)]
    by_tag = {"metric": "correct", "no_regression": {"margin": 0.1}, "slices": {"by": ["tags"]}}
    items = cases(100, tags=tags, topics=[["x", "y"]] * 100)
    found = verdict(evidence(np.ones(100), np.ones(100), items=items), by_tag)
    assert [(rule.slice, rule.n) for rule in found.rules] == [("tags=a", 100), ("tags=b", 50)]
    by_list = by_tag | {"slices": {"by": ["topics"]}}
    lists = verdict(evidence(np.ones(100), np.ones(100), items=items), by_list)
    assert [rule.n for rule in lists.rules] == [100, 100]
    typo = verdict(
        evidence(np.ones(100), np.ones(100), items=items), NO_REGRESSION, by_tag | {"slices": {"by": ["lang"]}}
    )
    assert typo.verdict == "inconclusive"


def test_p_values_of_all_rules_are_adjusted_for_one_another(rng: np.random.Generator) -> None:
    metrics = tuple(Metric(f"m{i}") for i in range(6))
    base = rng.beta(4, 1, (6, 80))
    shifted = np.clip(base + rng.normal(-0.02, 0.12, (6, 80)), 0, 1)
    c = side("c", {(m.name, "gpt"): scored(shifted[i]) for i, m in enumerate(metrics)})
    b = side("b", {(m.name, "gpt"): scored(base[i]) for i, m in enumerate(metrics)})
    rules = [{"metric": m.name, "no_regression": {"margin": 0.02}} for m in metrics]
    found = verdict(evidence(c, b, metrics=metrics), *rules, rules[0] | {"strength": "report"})
    raw = [rule.p_worse for rule in found.rules[:6]]
    assert [rule.p_worse_holm for rule in found.rules[:6]] == pytest.approx(list(reference.holm(raw)))
    report = found.rules[6]
    assert (report.p_worse, report.p_worse_holm) == (raw[0], None)


def test_a_report_never_changes_the_verdict() -> None:
    bad, good = pass_fail(100, 0.3), pass_fail(100, 0.95)
    metrics = (Metric("correct"), Metric("style"))
    c = side("c", {("correct", "gpt"): scored(good), ("style", "gpt"): scored(bad)})
    b = side("b", {("correct", "gpt"): scored(good), ("style", "gpt"): scored(good)})
    style = {"metric": "style", "no_regression": {"margin": 0.05}, "strength": "report"}
    found = verdict(evidence(c, b, metrics=metrics), NO_REGRESSION, style)
    assert (found.rules[1].verdict, found.verdict) == ("fail", "pass")
    missing = verdict(evidence(c, b, metrics=metrics), NO_REGRESSION, style | {"metric": "unknown"})
    assert (missing.rules[1].verdict, missing.verdict) == ("inconclusive", "pass")


def test_an_open_guard_does_not_hold_the_gate() -> None:
    sliced = {"metric": "correct", "no_regression": {"margin": 0.01}, "slices": {"by": ["language"]}}
    items = cases(100, language=["de"] * 50 + ["en"] * 50)
    found = verdict(evidence(np.ones(100), np.ones(100), items=items), NO_REGRESSION, sliced)
    assert [rule.verdict for rule in found.rules] == ["pass", "inconclusive", "inconclusive"]
    assert found.verdict == "pass"


# --- looks ----------------------------------------------------------------------------------------------------------


def test_an_early_look_asks_for_more_than_the_last_one() -> None:
    c = pass_fail(60, 0.8)
    last = judged(NO_REGRESSION, evidence(c, c, look=look(3, 0.25, 0.5, 0.75, 1.0)))
    early = judged(NO_REGRESSION, evidence(c, c, look=look(0, 0.25, 0.5, 0.75, 1.0)))
    assert (last.verdict, early.verdict) == ("pass", "inconclusive")
    assert early.confidence == pytest.approx(1 - 0.0000886, abs=1e-6)


def test_what_passed_at_an_earlier_look_stays_passed(rng: np.random.Generator) -> None:
    b, c = pass_fail(60, 0.85), rng.permutation(pass_fail(60, 0.85))
    open_ = evidence(c, b, look=look(1, 0.5, 1.0))
    assert judged(NO_REGRESSION, open_).verdict == "inconclusive"
    kept = evidence(c, b, look=look(1, 0.5, 1.0, passed=frozenset({"/rules/0"})))
    assert judged(NO_REGRESSION, kept).verdict == "pass"


def test_an_early_look_fails_only_what_is_beyond_the_margin() -> None:
    b = np.full(300, 0.7) + np.tile([0.1, -0.1], 150)
    noise = np.tile([0.1, 0.1, -0.1, -0.1], 75)
    slightly, clearly = (b - drop + noise for drop in (0.025, 0.12))
    tight = {"metric": "correct", "no_regression": {"margin": 0.03}}
    assert judged(tight, evidence(slightly, b, look=look(1, 0.4, 0.7, 1.0))).verdict == "inconclusive"
    assert judged(tight, evidence(slightly, b, look=look(2, 0.4, 0.7, 1.0))).verdict == "fail"
    assert judged(tight, evidence(clearly, b, look=look(0, 0.4, 0.7, 1.0))).verdict == "fail"
