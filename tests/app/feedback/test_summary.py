"""Intervals say how much a mean can be trusted: never nothing, never outside the scale, never what rounding makes."""

from math import sqrt
from typing import Any

import pytest
from scipy.special import stdtrit

from tests.app.feedback.conftest import People
from tests.conftest import on_both


async def row(people: People, signal: str, values: dict[str, list[float]], **params: Any) -> dict[str, Any]:
    """The summary of what each rater gives, an answer per rating."""
    await people.prompt()
    ratings = [
        {"id": f"{rater} {n}", "prompt": "ask", "rater": rater, "signal": signal, "value": value}
        for rater, given in values.items()
        for n, value in enumerate(given)
    ]
    await people.rate(ratings)
    [found] = (await people.get("/feedback/summary", signal=signal, **params))["items"]
    return dict(found)


@on_both
async def test_raters_who_all_agree_on_a_scale_leave_doubt_that_shrinks_with_their_number(people: People) -> None:
    few = await row(people, "stars", {"ann": [5], "bob": [5]})
    assert (few["mean"], few["low"], few["high"]) == (5.0, 1.0, 5.0)
    many = await row(people, "stars", {f"rater {n}": [5] for n in range(98)} | {"ann": [5], "bob": [5]})
    assert many["raters"] == 100
    assert 4.8 < many["low"] < 4.95
    assert many["high"] == 5.0


@pytest.mark.parametrize(
    ("signal", "scale", "values"),
    [
        ("stars", (1, 5), {"ann": [5, 5], "bob": [4, 1]}),
        ("score", (0, 1), {"ann": [0.99], "bob": [0.2], "eve": [1.0]}),
        ("thumbs", (0, 1), {"ann": [1, 1, 1], "bob": [1, 0]}),
        ("thumbs", (0, 1), {"ann": [0], "bob": [0]}),
    ],
)
async def test_bounds_lie_on_the_scale_and_around_the_mean(
    people: People, signal: str, scale: tuple[float, float], values: dict[str, list[float]]
) -> None:
    found = await row(people, signal, values)
    assert scale[0] <= found["low"] <= found["mean"] <= found["high"] <= scale[1]
    assert found["low"] < found["high"]


async def test_one_more_rater_at_the_end_of_the_scale_is_counted_as_the_formula_says(people: People) -> None:
    values: dict[str, list[float]] = {"ann": [5, 4, 4], "bob": [2], "eve": [3, 3]}
    found = await row(people, "stars", values)

    def clustered(groups: list[list[float]]) -> tuple[float, float]:
        n = sum(len(g) for g in groups)
        mean = sum(sum(g) for g in groups) / n
        spread = sum((sum(g) - len(g) * mean) ** 2 for g in groups)
        return mean, float(stdtrit(len(groups) - 1, 0.975)) * sqrt(len(groups) / (len(groups) - 1) * spread) / n

    below, above = clustered([*values.values(), [1]]), clustered([*values.values(), [5]])
    assert found["low"] == pytest.approx(max(1, below[0] - below[1]), abs=1e-12)
    assert found["high"] == pytest.approx(min(5, above[0] + above[1]), abs=1e-12)


@on_both
async def test_huge_values_keep_their_spread(people: People) -> None:
    found = await row(people, "cents", {f"rater {n}": [1e9 - n % 2] for n in range(50)})
    small = await row(people, "units", {f"rater {n}": [1.0 - n % 2] for n in range(50)})
    assert found["high"] - found["low"] == pytest.approx(small["high"] - small["low"], rel=1e-6)


async def test_people_who_say_the_same_number_show_no_spread(people: People) -> None:
    found = await row(people, "minutes", {"ann": [0.1] * 3, "bob": [0.1] * 3, "eve": [0.1]})
    assert (found["low"], found["high"], found["method"]) == (None, None, "all raters agree")
    assert found["mean"] == pytest.approx(0.1)
