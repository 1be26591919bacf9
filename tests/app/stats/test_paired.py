import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.stats.paired import EXACT_UP_TO, holm, mcnemar, p_worse, p_worse_t
from tests.app.stats import reference


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 1 / 3, 0.5, 1.0]), min_size=1, max_size=11))
def test_few_differences_are_enumerated_exactly(d: list[float]) -> None:
    if any(d):
        assert p_worse(d) == pytest.approx(reference.p_worse_exact(d), abs=1e-12)
    else:
        assert p_worse(d) == 1.0


def test_on_one_binary_run_it_is_the_exact_one_sided_mcnemar_test() -> None:
    worse, better = 9, 4
    d = [-1.0] * worse + [1.0] * better + [0.0] * 40
    assert p_worse(d) == pytest.approx(stats.binom.sf(worse - 1, worse + better, 0.5))


@pytest.mark.parametrize(("worse", "better"), [(20, 8), (30, 25), (60, 40), (200, 210)])
def test_random_flips_agree_with_the_exact_test_within_their_noise(worse: int, better: int) -> None:
    d = np.array([-1.0] * worse + [1.0] * better)
    exact = stats.binom.sf(worse - 1, worse + better, 0.5)
    found = np.mean([p_worse(d, seed=seed) for seed in range(20)])
    assert found == pytest.approx(exact, abs=4 * (exact * (1 - exact) / (20 * 9999)) ** 0.5 + 2e-4)


def test_under_no_change_small_p_values_are_as_rare_as_they_should_be() -> None:
    rng = np.random.default_rng(3)
    found = np.array([p_worse(rng.normal(size=25), seed=i, flips=999) for i in range(1500)])
    for level in (0.02, 0.05, 0.2):
        assert (found <= level).mean() == pytest.approx(level, abs=4 * (level / 1500) ** 0.5)


def test_clusters_are_flipped_whole() -> None:
    d, groups = np.array([-1.0, -1.0, -1.0, 1.0, -1.0, -1.0]), ["a", "a", "a", "b", "c", "c"]
    assert p_worse(d, groups) == pytest.approx(reference.p_worse_exact(d, groups))
    assert p_worse(d, groups) > p_worse(d)


def test_the_same_seed_gives_the_same_bits_in_any_order_of_the_cases() -> None:
    rng = np.random.default_rng(4)
    d = rng.normal(-0.05, 0.3, 200)
    assert p_worse(d, seed=7) == p_worse(d[::-1].copy(), seed=7) == p_worse(rng.permutation(d), seed=7)
    assert p_worse(d, seed=7) != p_worse(d, seed=8)


def test_the_stream_of_flips_never_changes_between_versions() -> None:
    # A verdict on record must be reproducible: this number may never change.
    assert p_worse(np.linspace(-1, 0.8, 50), seed=2026) == 0.0937


def test_a_p_value_is_never_zero() -> None:
    assert p_worse(-np.ones(100)) == 1 / 10_000
    assert p_worse(-np.ones(EXACT_UP_TO)) == 2.0**-EXACT_UP_TO


def test_the_scale_of_the_differences_does_not_matter() -> None:
    d = np.random.default_rng(5).choice([-1 / 3, 0, 1 / 3, 2 / 3, -2 / 3], 12)
    assert p_worse(d) == p_worse(d * 1e6) == p_worse(d * 1e-6)


def test_the_t_p_value_never_claims_more_than_the_exact_test_could() -> None:
    assert p_worse_t(np.full(8, -0.06)) == 2.0**-8
    d = np.random.default_rng(6).normal(-0.1, 0.3, 60)
    assert p_worse_t(d) == pytest.approx(stats.ttest_1samp(d, 0, alternative="less").pvalue)
    assert p_worse_t(np.zeros(10)) == 1.0


def test_a_thousand_cases_take_well_under_a_tenth_of_a_second_and_fifty_under_a_hundredth() -> None:
    for cases, limit in ((1000, 0.1), (50, 0.01)):
        d = np.random.default_rng(7).normal(size=cases)
        best = min(_seconds(d) for _ in range(3))
        assert best < limit


def _seconds(d: np.ndarray) -> float:
    start = time.perf_counter()
    p_worse(d)
    return time.perf_counter() - start


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [(32, 91, 9.74e-08), (88, 260, 7.47e-21), (2, 29, 4.63e-07), (28, 23, 0.576), (71, 0, 8.47e-22)],
)
def test_mcnemar_reproduces_published_p_values(only_first: int, only_second: int, p: float) -> None:
    assert float(f"{mcnemar(only_first, only_second):.2e}") == pytest.approx(p, rel=1e-3)


def test_mcnemar_without_discordant_pairs_shows_nothing() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_is_the_definition_and_keeps_the_order(p: list[float]) -> None:
    assert holm(p) == pytest.approx(reference.holm(p))
    assert all(adjusted >= raw for adjusted, raw in zip(holm(p), p, strict=True))
