import math

import numpy as np
import pytest
from scipy import stats

from app.stats.ratio import of_means, of_totals, quantile_p_above, quantile_upper
from tests.app.stats import reference


def test_a_ratio_of_totals_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(1)
    b = rng.gamma(2, 0.01, 80)
    c = b * rng.normal(1.1, 0.1, 80)
    found, (value, low, high) = of_totals(c, b), reference.ratio(c, b, 0.05)
    assert (found.value, found.lower(0.05), found.upper(0.05)) == pytest.approx((value, low, high))


def test_the_p_value_meets_the_bound_at_its_level() -> None:
    rng = np.random.default_rng(2)
    b = rng.gamma(2, 100, 60)
    found = of_means(b * rng.normal(1.2, 0.2, 60).clip(0.5), b)
    assert found.p_above(found.lower(0.02)) == pytest.approx(0.02)
    assert found.p_above(1.0) < 0.001 < found.p_above(2.0)


def test_a_ratio_without_variance_is_what_it_is() -> None:
    same = of_totals([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (same.value, same.lower(0.05), same.upper(0.05)) == (1.0, 1.0, 1.0)
    assert (same.p_above(1.0), same.p_above(0.9)) == (1.0, 0.0)


@pytest.mark.parametrize(("c", "b"), [([1.0], [1.0]), ([0.0, 0.0], [1.0, 1.0]), ([1.0, 1.0], [0.0, 0.0])])
def test_what_has_no_ratio_is_refused(c: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="ratio"):
        of_totals(c, b)
    with pytest.raises(ValueError, match="ratio"):
        of_means(c, b)


@pytest.mark.parametrize("n", [10, 58, 59, 60, 100, 441, 1000])
def test_a_quantile_bound_is_that_of_the_definition(n: int) -> None:
    x = np.random.default_rng(n).lognormal(6, 1, n)
    assert quantile_upper(x, 0.95, 0.05) == reference.quantile_upper(x, 0.95, 0.05)


def test_no_finite_bound_of_p95_exists_below_59_values() -> None:
    assert quantile_upper(np.arange(58.0), 0.95, 0.05) == math.inf
    assert quantile_upper(np.arange(59.0), 0.95, 0.05) == 58.0
    assert quantile_upper([], 0.95, 0.05) == math.inf


def test_the_quantile_p_value_is_binomial() -> None:
    x = np.arange(100.0)
    assert quantile_p_above(x, 0.95, 84.5) == pytest.approx(stats.binom.cdf(85, 100, 0.95))
    assert quantile_p_above([], 0.95, 1.0) == 1.0
