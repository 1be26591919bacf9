from datetime import timedelta
from typing import Any

import msgspec
import pytest
import yaml

from app.kit.errors import InvalidContentError
from app.registry.kinds.gate_policy import KIND, GatePolicy, PolicyError, check_policy, duration

EVERYTHING = """
version: 1
baseline: deployed
confidence: {pass: 0.95, block: 0.98}
data: {repeats: 3, cluster: null, max_missing: 0.02, max_age: 14d, fresh_baseline: true}
run: {looks: [0.25, 0.5, 0.75, 1], max_calls: 4000}
extend: {max_repeats: 5}
on_inconclusive: hold
rules:
  - metric: correctness
    no_regression: {margin: 0.05}
  - metric: correctness
    floor: 0.80
  - metric: correctness
    improvement: {at_least: 0.02}
  - metric: helpfulness
    no_regression: {margin: 0.05}
    calibration: {labels: human_helpfulness, method: ppi, min_labels: 100}
  - metric: correctness
    slices: {by: [language, topic], min_cases: 20}
    no_regression: {margin: 0.10}
  - must_pass: {tag: critical, confirm: 4, allow_failures: 2}
  - errors: {max_rate: 0.02}
  - cost: {max_ratio: 1.10}
  - latency: {p95_max_ms: 4000, max_ratio: 1.15}
  - approvals: {role: approver, count: 1}
rollout_rules:
  - feedback: {signal: thumbs, no_worse_by: 0.05, floor: 0.75}
  - errors: {max_rate: 0.02}
decide_at: 0.5
undecided_after: 14d
ci:
  data: {repeats: 1}
  on_inconclusive: allow
"""


def parsed(**fields: Any) -> GatePolicy:
    content: GatePolicy = KIND.parse({"rules": [{"metric": "m", "floor": 0.5}], **fields})
    return content


def test_every_documented_rule_parses() -> None:
    policy = KIND.parse(yaml.safe_load(EVERYTHING))
    check_policy(policy)
    assert [rule.kind for rule in policy.rules] == [
        "no_regression",
        "floor",
        "improvement",
        "no_regression",
        "no_regression",
        "must_pass",
        "errors",
        "cost",
        "latency",
        "approvals",
    ]
    again = msgspec.convert(msgspec.to_builtins(policy), GatePolicy)
    assert again == policy


@pytest.mark.parametrize(
    ("rule", "pointer", "words"),
    [
        ({"metric": "m"}, "/rules/1", "exactly one of"),
        ({"metric": "m", "floor": 0.5, "errors": {"max_rate": 0.1}}, "/rules/1", "floor and errors"),
        ({"no_regression": {"margin": 0.1}}, "/rules/1/metric", "needs the metric"),
        ({"metric": "m", "cost": {"max_ratio": 1.1}}, "/rules/1/metric", "not about a metric"),
        ({"feedback": {"signal": "thumbs", "floor": 0.5}}, "/rules/1/feedback", "rollout_rules"),
        ({"errors": {"max_rate": 0.1}, "slices": {"by": ["topic"]}}, "/rules/1/slices", "does not apply"),
        ({"approvals": {}, "strength": "guard"}, "/rules/1/strength", "precondition"),
        ({"latency": {}}, "/rules/1/latency", "p95_max_ms"),
        ({"must_pass": {"tag": "x", "confirm": 1, "allow_failures": 2}}, "/rules/1/must_pass/allow_failures", "exceed"),
        ({"metric": "m", "no_regression": {"margin": float("inf")}}, "/rules/1/no_regression/margin", "inf"),
        ({"metric": "m", "floor": float("nan")}, "/rules/1/floor", "nan"),
        ({"metric": "m", "no_regression": {"margin": 0}}, "/rules/1/no_regression/margin", "> 0"),
        ({"metric": "m", "no_regresion": {"margin": 0.1}}, "/rules/1", "no_regresion"),
        ({"metric": "m", "floor": "high"}, "/rules/1/floor", "float"),
    ],
)
def test_a_bad_rule_is_refused_with_the_place(rule: dict[str, Any], pointer: str, words: str) -> None:
    with pytest.raises(InvalidContentError) as refused:
        parsed(rules=[{"metric": "m", "floor": 0.5}, rule])
    assert refused.value.errors[0].pointer.startswith(pointer)
    assert words in refused.value.errors[0].detail


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"rules": []}, "/rules"),
        ({"rules": [{"approvals": {}}]}, "/rules"),
        ({"rules": [{"metric": "m", "floor": 0.5, "strength": "report"}]}, "/rules"),
        ({"run": {"looks": [0.5, 0.25, 1]}}, "/run/looks"),
        ({"run": {"looks": [0.5]}}, "/run/looks"),
        ({"ci": {"run": {"looks": [1, 1]}}}, "/ci/run/looks"),
        ({"ci": {"rules": [{"metric": "m"}]}}, "/ci/rules/0"),
        ({"rollout_rules": [{"must_pass": {"tag": "x"}}]}, "/rollout_rules/0/must_pass"),
        ({"rollout_rules": [{"feedback": {"signal": "thumbs"}}]}, "/rollout_rules/0/feedback"),
        ({"confidence": {"pass": 1.0}}, "/confidence/pass"),
        ({"data": {"max_age": "two weeks"}}, "/data/max_age"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused_with_the_place(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidContentError) as refused:
        parsed(**fields)
    assert refused.value.errors[0].pointer == pointer


def test_check_policy_raises_the_first_problem_with_its_pointer() -> None:
    with pytest.raises(PolicyError) as refused:
        check_policy(msgspec.convert({"rules": []}, GatePolicy))
    assert refused.value.pointer == "/rules"


def test_the_stage_decides_what_an_undecided_gate_does_unless_the_policy_says() -> None:
    assert parsed().at("promote").on_inconclusive == "hold"
    assert parsed().at("ci").on_inconclusive == "lean"
    assert parsed(on_inconclusive="allow").at("promote").on_inconclusive == "allow"
    both = parsed(on_inconclusive="hold", ci={"on_inconclusive": "lean"})
    assert (both.at("promote").on_inconclusive, both.at("ci").on_inconclusive) == ("hold", "lean")


def test_ci_overrides_apply_in_ci_alone() -> None:
    policy = parsed(data={"repeats": 3}, ci={"data": {"repeats": 1}, "rules": [{"metric": "m", "floor": 0.4}]})
    assert (policy.at("ci").data.repeats, policy.at("promote").data.repeats) == (1, 3)
    assert (policy.at("ci").rules[0].floor, policy.at("promote").rules[0].floor) == (0.4, 0.5)


@pytest.mark.parametrize(
    ("rule", "promote", "ci"),
    [
        ({"metric": "m", "no_regression": {"margin": 0.1}}, "prove", "prove"),
        ({"metric": "m", "floor": 0.5}, "prove", "prove"),
        ({"metric": "m", "improvement": {"at_least": 0.1}}, "prove", "guard"),
        ({"metric": "m", "floor": 0.5, "slices": {"by": ["topic"]}}, "guard", "guard"),
        ({"must_pass": {"tag": "critical"}}, "prove", "prove"),
        ({"errors": {"max_rate": 0.1}}, "guard", "guard"),
        ({"cost": {"max_ratio": 1.1}}, "guard", "guard"),
        ({"cost": {"max_ratio": 1.1}, "strength": "prove"}, "prove", "prove"),
    ],
)
def test_every_rule_has_the_documented_default_strength(rule: dict[str, Any], promote: str, ci: str) -> None:
    policy = parsed(rules=[{"metric": "m", "floor": 0.5}, rule])
    assert (policy.rules[1].strength_at("promote"), policy.rules[1].strength_at("ci")) == (promote, ci)


def test_durations() -> None:
    assert duration("14d") == timedelta(days=14)
    assert duration("90m") == timedelta(hours=1, minutes=30)
    with pytest.raises(ValueError, match="no duration"):
        duration("soon")
