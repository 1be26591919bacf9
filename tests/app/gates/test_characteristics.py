"""How often the gate is right: a quick run of the benchmark, and the gates beside it."""

import time

import numpy as np
import pytest

from app.gates.characteristics import FAILED, PASSED, judge, resample_gates
from app.stats.sequential import gs_levels
from tests.app.gates.build import NO_REGRESSION, evidence, judged, look
from tests.benchmarks import gate_characteristics as benchmark

QUICK = 300
NAMES = {PASSED: "pass", FAILED: "fail", 0: "inconclusive"}


def test_many_suites_at_once_are_judged_as_decide_judges_each() -> None:
    rng = np.random.default_rng(1)
    b, c = benchmark.both_sides(rng, "bin", 0.5, (25, 60), 0.08)
    base, candidate = (benchmark.run(rng, "bin", 0.5, means) for means in (b, c))
    fractions = (0.5, 1.0)
    alphas, levels = gs_levels(fractions, 0.05), gs_levels(fractions, 0.02)
    for margin in (0.05, 0.15):
        rule = {"metric": "correct", "no_regression": {"margin": margin}}
        once = judge(candidate - base, margin)
        early = judge(candidate - base, margin, alphas[0], levels[0], interim=True)
        # The seeds of the two differ, so that only verdicts with room to spare must agree; these all have it.
        assert [NAMES[o] for o in once] == [
            judged(rule, evidence(x, y)).verdict for x, y in zip(candidate, base, strict=True)
        ]
        assert [NAMES[o] for o in early] == [
            judged(rule, evidence(x, y, look=look(0, *fractions))).verdict for x, y in zip(candidate, base, strict=True)
        ]


@pytest.mark.parametrize(
    "part",
    [
        lambda: benchmark.exit_codes(QUICK, sizes=(30, 100)),
        lambda: benchmark.hard_limits(QUICK, sizes=(30, 100), repeats=(1,)),
        lambda: benchmark.reference_cells(QUICK, largest=300),
        lambda: benchmark.concentrated(QUICK, sizes=(30, 100, 300)),
        lambda: benchmark.clusters(QUICK),
        lambda: benchmark.pooled_repeats(QUICK),
        lambda: benchmark.many_rules(QUICK),
        lambda: benchmark.canaries(60),
        lambda: benchmark.ramps(60),
    ],
    ids=["exit codes", "hard limits", "cells", "breakage", "clusters", "repeats", "many rules", "canary", "ramp"],
)
def test_the_promised_error_rates_hold(part: object) -> None:
    figures = list(part())  # type: ignore[operator]
    assert figures
    replications = 60 if "canary" in figures[0].name or "ramp" in figures[0].name else QUICK
    assert [figure for figure in figures if not figure.holds(replications)] == []


def test_the_limits_of_the_benchmark_can_be_missed() -> None:
    assert not benchmark.Figure("block rate of any drop", 45.4, most=3.5).holds(QUICK)
    assert not benchmark.Figure("a coin", 50.0, reference=23.8).holds(QUICK)
    assert not benchmark.Figure("power", 20.0, least=96.0).holds(QUICK)


def test_small_suites_show_what_each_gate_would_have_done() -> None:
    rng = np.random.default_rng(2)
    changes = {
        "no-op": rng.choice([-1.0, 0.0, 1.0], 160, p=[0.06, 0.88, 0.06]),
        "regression": rng.choice([-1.0, 0.0, 1.0], 160, p=[0.3, 0.67, 0.03]),
    }
    start = time.perf_counter()
    rows = resample_gates(changes, size=50, margin=0.10, suites=200, seed=5)
    assert time.perf_counter() - start < 2
    assert [(row.change, row.gate) for row in rows] == [
        (change, gate)
        for change in ("no-op", "regression")
        for gate in ("any drop", "drop of more than 5 points", "paired t-test", "promptward")
    ]
    assert all(row.blocked + row.passed + row.inconclusive == row.suites == 200 for row in rows)
    by = {(row.change, row.gate): row for row in rows}
    assert by["no-op", "any drop"].blocked > 40
    assert by["no-op", "promptward"].blocked <= 14
    assert by["regression", "promptward"].passed <= 2
    assert by["regression", "promptward"].blocked > by["regression", "promptward"].passed
    assert by["regression", "any drop"].inconclusive == 0
    assert by["regression", "any drop"].true_change == pytest.approx(changes["regression"].mean())


def test_the_same_seed_draws_the_same_suites() -> None:
    d = {"change": np.random.default_rng(3).normal(-0.05, 0.3, 80)}
    assert resample_gates(d, size=40, margin=0.1, seed=1) == resample_gates(d, size=40, margin=0.1, seed=1)
    assert resample_gates(d, size=40, margin=0.1, seed=1) != resample_gates(d, size=40, margin=0.1, seed=2)


def test_a_change_without_any_difference_blocks_nothing() -> None:
    rows = resample_gates({"nothing": np.zeros(60)}, size=40, margin=0.10, suites=20)
    assert [row.blocked for row in rows] == [0, 0, 0, 0]
    assert rows[-1].passed == 20
    alike = resample_gates({"all a little worse": np.full(60, -0.01)}, size=40, margin=0.10, suites=20)
    assert [row.blocked for row in alike] == [20, 0, 20, 0]


@pytest.mark.parametrize(
    ("d", "size"), [([0.1], 20), ([0.1, np.nan], 20), ([], 20), ([[0.1, 0.2]], 20), ([0.1, 0.2], 1)]
)
def test_what_cannot_be_drawn_from_is_refused(d: list[float], size: int) -> None:
    with pytest.raises(ValueError, match="two"):
        resample_gates({"change": np.array(d)}, size=size, margin=0.1)


def test_a_decision_on_a_small_suite_takes_little_time() -> None:
    given = evidence(np.ones(50), np.ones(50))
    judged(NO_REGRESSION, given)
    start = time.perf_counter()
    for _ in range(20):
        judged(NO_REGRESSION, given)
    assert (time.perf_counter() - start) / 20 < 0.01
