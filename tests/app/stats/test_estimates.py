import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.stats.estimates import bounds, lower, p_below, plus_one, units, upper, wilson
from tests.app.stats import reference

scores = arrays(np.float64, st.integers(2, 60), elements=st.floats(-1, 1, allow_nan=False, width=32))


@given(scores, st.data())
def test_the_bounds_are_those_of_the_definition(x: np.ndarray, data: st.DataObject) -> None:
    groups = data.draw(st.none() | st.lists(st.integers(0, 8), min_size=x.size, max_size=x.size))
    if groups is not None and len(set(groups)) < 2:
        return
    assert lower(x, -1, 0.05, groups) == pytest.approx(reference.lower(x, -1, 0.05, groups), abs=1e-9)
    assert upper(x, 1, 0.02, groups) == pytest.approx(reference.upper(x, 1, 0.02, groups), abs=1e-9)


def test_p_below_is_that_of_the_definition() -> None:
    x = np.random.default_rng(1).beta(4, 1, 80)
    groups = np.arange(80) // 4
    assert p_below(x, 1.0, 0.85) == pytest.approx(reference.p_below(x, 1.0, 0.85))
    assert p_below(x, 1.0, 0.85, groups) == pytest.approx(reference.p_below(x, 1.0, 0.85, groups))


def test_many_samples_at_once_give_what_each_gives_alone() -> None:
    x = np.random.default_rng(2).normal(size=(5, 40))
    assert lower(x, -1, 0.05).tolist() == [lower(row, -1, 0.05) for row in x]


@given(scores, st.randoms(use_true_random=False))
def test_neither_the_order_nor_the_names_of_the_cases_reach_a_bound(x: np.ndarray, random: object) -> None:
    groups = np.arange(x.size) // 3
    order = np.random.default_rng(random.randrange(2**32)).permutation(x.size)  # type: ignore[attr-defined]
    names = np.array([f"case-{(code * 7) % 101}" for code in groups])
    assert lower(x[order], -1, 0.05) == lower(x, -1, 0.05)
    if np.unique(groups).size > 1:
        assert lower(x[order], -1, 0.05, names[order]) == lower(x, -1, 0.05, groups)


@pytest.mark.parametrize(("margin", "cases"), [(0.10, 27), (0.05, 53), (0.03, 88), (0.02, 132)])
def test_with_no_change_at_all_the_margin_costs_the_printed_number_of_cases(margin: float, cases: int) -> None:
    assert lower(np.zeros(cases), -1, 0.05) > -margin
    assert lower(np.zeros(cases - 1), -1, 0.05) <= -margin


def test_a_small_sample_without_variance_is_not_certain() -> None:
    # A plain t interval around thirty zeros has no width; whole breakage of a few per cent of all cases hides there.
    assert lower(np.zeros(30), -1, 0.05) < -0.08


def test_one_unit_has_no_bound() -> None:
    with pytest.raises(ValueError, match="at least two"):
        plus_one(units([0.5]), 0.0)
    with pytest.raises(ValueError, match="at least two"):
        lower([0.5, 0.7], 0.0, 0.05, ["one", "one"])


def test_displayed_bounds_stay_on_the_scale_and_a_single_case_bounds_nothing() -> None:
    assert bounds([0.7], 0.0, 1.0, 0.05) == (0.7, 0.0, 1.0)
    few = bounds([1.0, 1.0, 0.0], 0.0, 1.0, 0.05)
    assert 0.0 <= few.low < few.mean < few.high <= 1.0
    with pytest.raises(ValueError, match="no values"):
        bounds([], 0.0, 1.0, 0.05)


@pytest.mark.parametrize(
    ("successes", "low", "high"),
    [(97, 0.1842, 0.2615), (156, 0.3113, 0.4003)],  # published accuracies of 440 arithmetic problems
)
def test_wilson_intervals_are_the_published_ones(successes: int, low: float, high: float) -> None:
    found = wilson(successes, 440)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    with pytest.raises(ValueError, match="no share"):
        wilson(5, 4)
