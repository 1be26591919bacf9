import numpy as np
import pytest

from app.stats.estimates import lower
from app.stats.planning import Runs, n_needed, plan
from tests.app.stats import reference


@pytest.mark.parametrize("sd", [0.05, 0.11, 0.25, 0.42, 0.6])
@pytest.mark.parametrize("margin", [0.02, 0.05, 0.10])
def test_cases_needed_are_those_of_the_definition(sd: float, margin: float) -> None:
    assert n_needed(sd, margin) == reference.n_needed(sd, margin)


def test_cases_needed_are_those_of_the_printed_table() -> None:
    assert [n_needed(0.42, margin) for margin in (0.02, 0.03, 0.05, 0.10)] == [2831, 1288, 480, 132]


def test_what_was_planned_passes_about_four_times_in_five() -> None:
    n = n_needed(0.3, 0.05)
    assert n is not None
    d = np.clip(np.random.default_rng(1).normal(0, 0.3, (4000, n)), -1, 1)
    assert (lower(d, -1, 0.05) > -0.05).mean() == pytest.approx(0.80, abs=0.03)


def test_no_number_is_given_where_none_would_do() -> None:
    assert n_needed(0.3, 0.0) is None
    assert n_needed(0.3, -0.01) is None


def test_repeats_are_advised_only_where_they_are_what_is_lacking() -> None:
    noisy = plan(0.42, 0.05, 250, runs=Runs(within=0.15, noise=0.15, repeats=1))
    steady = plan(0.42, 0.05, 250, runs=Runs(within=0.01, noise=0.01, repeats=1))
    assert noisy.repeats is not None
    assert 2 <= noisy.repeats <= 10
    assert steady.repeats is None
    assert plan(0.42, 0.05, 250).repeats is None
    assert noisy.units == steady.units == 480
