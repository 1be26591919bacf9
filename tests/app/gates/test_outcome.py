"""Exit codes and the words of a verdict."""

import numpy as np
import pytest

from app.gates.evidence import Evidence, Metric
from app.gates.outcome import exit_code, headline
from tests.app.gates.build import NO_REGRESSION, cases, evidence, pass_fail, policy, scored, side, verdict

NAN = np.nan
SAME = evidence(pass_fail(100, 0.8), pass_fail(100, 0.8))
WORSE = evidence(pass_fail(100, 0.5), pass_fail(100, 0.8))
OPEN = evidence(pass_fail(30, 0.8), pass_fail(30, 0.8))
LEANING = evidence(pass_fail(30, 0.7), np.roll(pass_fail(30, 0.8), 7))
LOST = evidence(np.where(np.arange(100) < 20, NAN, 1.0), np.ones(100))


@pytest.mark.parametrize(
    ("given", "on_inconclusive", "stage", "code"),
    [
        (SAME, None, "ci", 0),
        (WORSE, None, "ci", 1),
        (WORSE, "allow", "promote", 1),
        (OPEN, None, "promote", 3),
        (OPEN, None, "ci", 0),
        (OPEN, "hold", "ci", 3),
        (OPEN, "allow", "promote", 0),
        (LEANING, None, "promote", 3),
        (LEANING, None, "ci", 1),
        (LEANING, "allow", "ci", 0),
        (LOST, None, "ci", 4),
        (LOST, "allow", "ci", 4),
    ],
)
def test_exit_codes(given: Evidence, on_inconclusive: str | None, stage: str, code: int) -> None:
    chosen = {} if on_inconclusive is None else {"on_inconclusive": on_inconclusive}
    rules = policy(NO_REGRESSION, **chosen)
    found = verdict(given, NO_REGRESSION, stage=stage, **chosen)  # type: ignore[arg-type]
    assert exit_code(found, rules, stage) == code  # type: ignore[arg-type]


def test_only_a_proven_pass_says_no_regression() -> None:
    assert headline(verdict(SAME)).startswith("pass: no regression, ")
    assert "sure that the drop in correct is smaller than 5 points" in headline(verdict(SAME))
    open_ = headline(verdict(OPEN, stage="ci"))
    assert open_.startswith("inconclusive: no regression shown, ")
    assert "needs 23 more cases" in open_
    assert "the largest drop it could have missed: 8.7 points" in open_
    assert "no regression" not in headline(verdict(LEANING))
    floor_only = headline(verdict(SAME, {"metric": "correct", "floor": 0.5}))
    assert floor_only == "pass: every demand is met"


def test_a_fail_says_what_failed_and_by_how_much() -> None:
    assert headline(verdict(WORSE)) == "fail: correct: 30 points worse (adjusted p 0.0001)"
    metric = {"metric": "correct", "floor": 0.9}
    assert headline(verdict(WORSE, metric)).startswith("fail: correct: 0.5 against 0.9")


def test_the_assurance_that_is_printed_is_rounded_down() -> None:
    rule = verdict(evidence(pass_fail(53, 1.0), pass_fail(53, 1.0))).rules[0]
    assert rule.assurance == pytest.approx(0.95245, abs=1e-5)
    assert "95.2% sure" in rule.reason
    near = verdict(evidence(pass_fail(400, 1.0), pass_fail(400, 1.0))).rules[0]
    assert near.assurance is not None
    assert near.assurance > 0.999
    assert "more than 99.9% sure" in near.reason


def test_points_are_hundredths_of_the_scale() -> None:
    stars = evidence(
        1 + 4 * pass_fail(100, 0.5), 1 + 4 * pass_fail(100, 0.8), metrics=(Metric("correct", low=1, high=5),)
    )
    assert "30 points worse" in headline(verdict(stars, {"metric": "correct", "no_regression": {"margin": 0.2}}))


def test_the_place_names_slice_and_endpoint() -> None:
    given = evidence(
        side("c", {("correct", "a"): scored(pass_fail(100, 0.5))}),
        side("b", {("correct", "a"): scored(pass_fail(100, 0.9))}),
        items=cases(100, language=["de"] * 100),
    )
    sliced = NO_REGRESSION | {"endpoints": "each", "slices": {"by": ["language"]}}
    assert headline(verdict(given, sliced)).startswith("fail: correct (language=de, a): 40 points worse")


def test_a_long_list_of_reasons_is_cut() -> None:
    rules = [{"metric": f"m{i}", "floor": 0.5} for i in range(6)]
    assert headline(verdict(SAME, *rules)).endswith("; and 3 more")


def test_what_was_lost_is_said_before_what_is_undecided() -> None:
    lost = {"metric": "other", "floor": 0.5}
    shown = scored(pass_fail(30, 0.8), passed=True)
    half = scored(np.where(np.arange(30) < 15, NAN, 1.0))
    given = evidence(
        side("c", {("correct", "gpt"): shown, ("other", "gpt"): half}),
        side("b", {("correct", "gpt"): shown, ("other", "gpt"): scored(np.ones(30))}),
        metrics=(Metric("correct"), Metric("other")),
    )
    line = headline(verdict(given, NO_REGRESSION, lost), "first error: endpoint 'down' cannot be reached")
    assert line.startswith("inconclusive: ")
    assert line.index("endpoint 'down' cannot be reached") < line.index("other: lost") < line.index("correct: ")
    assert "endpoint" not in headline(verdict(given, NO_REGRESSION, lost))
