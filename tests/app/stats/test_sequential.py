import math

import numpy as np
import pytest
from scipy import stats

from app.stats.sequential import Phase, Votes, bern_cs, gs_levels, mean_bound, p_uneven, votes_before_a_decision
from app.stats.sequential import canary as bound_of


def test_the_levels_of_four_looks_are_the_published_ones() -> None:
    quarters = (0.25, 0.5, 0.75, 1.0)
    assert gs_levels(quarters, 0.05) == pytest.approx((0.0000886, 0.00554, 0.0219, 0.0427), rel=5e-3)
    assert gs_levels(quarters, 0.02) == pytest.approx((0.0000033, 0.00100, 0.00690, 0.0177), rel=1e-2)


def test_a_single_look_has_the_whole_level() -> None:
    assert gs_levels((1.0,), 0.05) == (0.05,)


def test_the_looks_together_spend_the_level_and_no_more() -> None:
    fractions = (0.2, 0.6, 1.0)
    levels = gs_levels(fractions, 0.05)
    rng = np.random.default_rng(1)
    steps = rng.normal(size=(400_000, 3)) * np.sqrt(np.diff((0, *fractions)))
    z = steps.cumsum(axis=1) / np.sqrt(fractions)
    crossed = (z > stats.norm.isf(levels)).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / 400_000) ** 0.5)


@pytest.mark.parametrize("fractions", [(), (0.5,), (0.5, 0.5, 1.0), (0.0, 1.0), (0.5, 1.0, 1.5)])
def test_looks_that_do_not_rise_to_one_are_refused(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="looks"):
        gs_levels(fractions, 0.05)


def thumbs(sc: float, nc: int, sb: float, nb: int) -> Phase:
    """Ups and votes of the candidate and of the baseline."""
    return Votes(nc, sc, sc), Votes(nb, sb, sb)


def canary(sc: float, nc: int, sb: float, nb: int, side: str = "low") -> float:
    return bound_of([thumbs(sc, nc, sb, nb)], 0.05, 0.05, side)


def test_the_canary_bound_is_the_formula() -> None:
    # 400 of 500 against 1,640 of 2,000, worked by hand with the imaginary vote in each arm.
    mc, mb, nc, nb = 400 / 501, 1641 / 2001, 501, 2001
    variance = mc * (1 - mc) / nc + mb * (1 - mb) / nb
    r = 0.05**2 / variance
    half = math.sqrt(variance * (1 + r) / r * math.log((1 + r) / 0.1**2))
    assert canary(400, 500, 1640, 2000) == pytest.approx(mc - mb - half)


def test_the_canary_bounds_enclose_the_difference_and_narrow_with_votes() -> None:
    few = [canary(80, 100, 80, 100, side) for side in ("low", "high")]
    many = [canary(8000, 10000, 8000, 10000, side) for side in ("low", "high")]
    assert few[0] < many[0] < 0 < many[1] < few[1]


def test_phases_of_a_ramp_are_compared_within_themselves() -> None:
    # Satisfaction fell for everyone while the share grew: pooled, the candidate looks five points worse.
    sc, nc, sb, nb = [85, 3750], [100, 5000], [1615, 3750], [1900, 5000]
    pooled = sum(sc) / sum(nc) - sum(sb) / sum(nb)
    phases = [thumbs(*phase) for phase in zip(sc, nc, sb, nb, strict=True)]
    low = bound_of(phases, 0.05, 0.05, "low")
    high = bound_of(phases, 0.05, 0.05, "high")
    assert pooled < -0.02
    assert (low + high) / 2 == pytest.approx(0, abs=0.005)


def test_a_canary_without_votes_in_both_arms_decides_nothing() -> None:
    assert canary(1, 1, 800, 1000) == -math.inf
    assert canary(1, 1, 800, 1000, "high") == math.inf


def test_ratings_carry_their_own_variance() -> None:
    stars = bound_of([(Votes(1000, 750, 600), Votes(1000, 750, 600))], 0.05, 0.05)
    assert stars > canary(750, 1000, 750, 1000)


def test_a_small_margin_waits_for_more_votes() -> None:
    assert votes_before_a_decision(0.05) == 100
    assert votes_before_a_decision(0.01) == 300


@pytest.mark.parametrize(("successes", "n"), [(0, 50), (1, 50), (40, 50), (49, 50), (50, 50), (1600, 2000)])
def test_the_rate_bounds_enclose_the_rate(successes: int, n: int) -> None:
    low, high = bern_cs(successes, n, 0.05, "low"), bern_cs(successes, n, 0.05, "high")
    assert 0 <= low <= successes / n <= high <= 1
    assert (low == 0) == (successes == 0)
    assert (high == 1) == (successes == n)


def test_the_rate_bounds_mirror_each_other() -> None:
    assert bern_cs(40, 50, 0.05, "low") == pytest.approx(1 - bern_cs(10, 50, 0.05, "high"))


def test_the_rate_bound_may_be_looked_at_after_every_vote() -> None:
    rng = np.random.default_rng(2)
    votes = (rng.random((200, 300)) < 0.8).cumsum(axis=1)
    wrong = sum(any(bern_cs(int(row[i]), i + 1, 0.05) > 0.8 for i in range(9, 300, 10)) for row in votes)
    assert wrong / 200 <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5
    with pytest.raises(ValueError, match="no rate"):
        bern_cs(5, 4, 0.05)


def test_one_arm_s_mean_is_bounded_at_every_look() -> None:
    # By hand: 600 votes of mean 0.75 and one imaginary 0.
    n, total, squares = 601, 450.0, 360.0
    mean = total / n
    variance = (squares / n - mean**2) / n
    r = 0.05**2 / variance
    half = math.sqrt(variance * (1 + r) / r * math.log((1 + r) / 0.1**2))
    assert mean_bound(Votes(600, 450, 360), 0.05, 0.05) == pytest.approx(mean - half)
    assert mean_bound(Votes(1, 1, 1), 0.05, 0.05) == 0.0
    assert mean_bound(Votes(1, 0, 0), 0.05, 0.05, "high") == 1.0


def test_a_broken_assignment_is_seen_and_a_fair_one_is_not() -> None:
    assert p_uneven([(200, 800, 0.2)]) == pytest.approx(1.0)
    assert p_uneven([(200, 800, 0.2), (500, 520, 0.5)]) > 0.5
    assert p_uneven([(300, 700, 0.2)]) < 0.0005
    # scipy.stats.chisquare([230, 770], [200, 800]) gives 5.625 with p 0.01771.
    assert p_uneven([(230, 770, 0.2)]) == pytest.approx(0.01771, abs=1e-5)
    assert p_uneven([]) == 1.0
