"""Metrics made of others, and repeats that become one number: in results, summaries, comparisons and gates."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.app.runs.conftest import Project, variant
from tests.app.runs.endpoint import Body, Endpoint, endpoint, question_of

EXACT = {"use": "exact_match", "name": "exact"}
F1 = {"use": "token_f1", "name": "f1"}
ONE_LOOK = {"extend": {"max_repeats": 1}}


@pytest.fixture
async def flaky() -> AsyncIterator[Endpoint]:
    """Answers a question right twice, and wrong from then on."""
    seen: Counter[str] = Counter()

    def answer(body: Body) -> str:
        question = question_of(body)
        seen[question] += 1
        return question if seen[question] <= 2 else "no"

    async with endpoint(answer) as made:
        yield made


async def answered(
    project: Project, answers: dict[str, list[str]], suite: dict[str, Any], **run: Any
) -> dict[str, Any]:
    """A run of recorded answers: by model, one per case; every case's reference is `yes`."""
    await project.question()
    await project.replay(*answers)
    count = len(next(iter(answers.values())))
    items = [
        {
            "id": f"q{n}",
            "inputs": {"question": f"{n}?"},
            "reference": "yes",
            "recorded": {model: {"text": texts[n]} for model, texts in answers.items()},
        }
        for n in range(count)
    ]
    await project.make("datasets", "d", {"items": items})
    await project.make("suites", "s", {"dataset": "d", "endpoints": list(answers), **suite})
    return await project.run(suite="s", candidates=[{"prompt": "ask"}], **run)


async def test_a_derived_metric_is_computed_of_each_cell_and_counts_like_any_other(project: Project) -> None:
    derived = [
        {"name": "quality", "weights": {"exact": 1, "f1": 3}},
        {"name": "strict", "formula": "exact if f1 > 0.9 else quality - 0.1", "low": 0, "threshold": 0.5},
    ]
    run = await answered(project, {"m": ["yes", "yes of course", "no"]}, {"scorers": [EXACT, F1], "derived": derived})
    metrics = variant(run, "c1:m")["metrics"]
    assert set(metrics) == {"exact", "f1", "quality", "strict"}
    found = {r["case"]: r["scores"] for r in await project.results(run["id"])}
    assert found["q0"]["quality"]["value"] == pytest.approx(1)
    assert found["q1"]["quality"]["value"] == pytest.approx(0.75 * 0.5)
    assert found["q1"]["strict"]["value"] == pytest.approx(0.75 * 0.5 - 0.1)
    assert (found["q0"]["strict"]["passed"], found["q1"]["strict"]["passed"]) == (True, False)
    assert "f1 0.5" in found["q1"]["quality"]["explanation"]
    assert found["q2"]["strict"]["status"] == "unscored"  # -0.1 is outside of what it declares
    assert metrics["quality"]["mean"] == pytest.approx((1 + 0.375) / 3)
    assert (metrics["strict"]["n"], metrics["strict"]["missing"]) == (2, 1)
    assert metrics["strict"]["pass_rate"] == 0.5
    csv = (await project.client.get(f"/api/v1/runs/{run['id']}/export", params={"format": "csv"})).text
    assert "quality" in csv.splitlines()[0]


async def test_what_cannot_be_computed_is_missing_with_the_reason_and_what_is_skipped_stays_so(
    sqlite_project: Project,
) -> None:
    derived = [{"name": "ratio", "formula": "f1 / exact", "low": 0, "high": 1}, {"name": "only", "formula": "1 - gold"}]
    scorers = [EXACT, F1, {"use": "exact_match", "name": "gold", "when": ["gold"]}]
    run = await answered(sqlite_project, {"m": ["yes", "no"]}, {"scorers": scorers, "derived": derived})
    found = {r["case"]: r["scores"] for r in await sqlite_project.results(run["id"])}
    assert found["q0"]["ratio"]["value"] == 1
    assert (found["q1"]["ratio"]["status"], found["q1"]["ratio"]["explanation"]) == ("unscored", "it divides by zero")
    assert found["q0"]["only"]["status"] == "skipped"
    metrics = variant(run, "c1:m")["metrics"]
    assert (metrics["ratio"]["missing"], metrics["only"]["missing"]) == (1, 0)


async def test_a_gate_judges_by_a_derived_metric(sqlite_project: Project) -> None:
    suite = {"scorers": [EXACT, F1], "derived": [{"name": "quality", "weights": {"exact": 1, "f1": 1}}]}
    answers = {"good": ["yes"] * 60, "bad": ["yes"] * 20 + ["no"] * 40}
    run = await answered(sqlite_project, answers, suite)
    policy = {"rules": [{"metric": "quality", "no_regression": {"margin": 0.1}}], **ONE_LOOK}
    sides = [f"{run['id']}/c1:{model}" for model in ("good", "bad")]
    better = await sqlite_project.verdict(policy, sides[0], sides[0], "promote")
    worse = await sqlite_project.verdict(policy, sides[1], sides[0], "promote")
    assert (better["verdict"], worse["verdict"]) == ("pass", "fail")
    compared = await sqlite_project.get(f"/api/v1/runs/{run['id']}/comparison", candidate="c1:bad", baseline="c1:good")
    quality = next(m for m in compared["metrics"] if m["metric"] == "quality" and m["slice"] is None)
    assert quality["difference"] == pytest.approx(-2 / 3)


async def test_rescoring_computes_derived_metrics_anew(sqlite_project: Project) -> None:
    suite: dict[str, Any] = {"scorers": [EXACT, F1], "derived": [{"name": "q", "weights": {"exact": 1}}]}
    run = await answered(sqlite_project, {"m": ["yes of course"]}, suite)
    assert variant(run, "c1:m")["metrics"]["q"]["mean"] == 0
    again = suite | {"derived": [{"name": "q", "weights": {"f1": 1}}]}
    await sqlite_project.make("suites", "s", {"dataset": "d", "endpoints": ["m"], **again})
    await sqlite_project.act(run["id"], "rescore")
    read = await sqlite_project.rest(run["id"])
    assert variant(read, "c1:m")["metrics"]["q"]["mean"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("derived", "pointer", "said"),
    [
        ({"name": "q", "formula": "exact + tone"}, "/derived/0/formula", "'tone' is no metric before it"),
        ({"name": "q", "formula": "exact.__class__"}, "/derived/0/formula", "attribute is not allowed"),
        ({"name": "q", "formula": "exact / f1"}, "/derived/0/low", "give `low`"),
        ({"name": "q"}, "/derived/0/formula", "either `formula` or `weights`"),
        ({"name": "q", "weights": {"exact": 0}}, "/derived/0/weights", "must be above 0"),
        ({"name": "q", "weights": {"exact": 1, "ter": 1}}, "/derived/0/weights", "no metric"),
        ({"name": "q", "weights": {"exact": 1, "ms": 1}}, "/derived/0/weights", "turn those round"),
        ({"name": "exact", "weights": {"f1": 1}}, "/derived/0/name", "another metric is called 'exact'"),
        ({"name": "q", "formula": "exact", "threshold": 0}, "/derived/0/threshold", "can never fail"),
        ({"name": "q", "formula": "exact", "threshold": 2}, "/derived/0/threshold", "never pass"),
        ({"name": "q", "formula": "exact", "reduce": "majority"}, "/derived/0/reduce", "give the metric a threshold"),
    ],
)
async def test_a_derived_metric_that_makes_no_sense_is_refused_with_its_suite(
    sqlite_project: Project, derived: dict[str, Any], pointer: str, said: str
) -> None:
    await sqlite_project.dataset(1)
    scorers = [EXACT, F1, {"use": "latency", "name": "ms"}]
    content = {"dataset": "questions", "scorers": scorers, "derived": [derived]}
    answer = await sqlite_project.client.post("/api/v1/suites/s/versions", json={"content": content})
    assert answer.status_code == 422, answer.text
    error = answer.json()["errors"][0]
    assert (error["pointer"], said in error["detail"]) == (f"/content{pointer}", True), error


@pytest.mark.parametrize(
    ("scorer", "pointer"),
    [
        ({"use": "exact_match", "reduce": "pass_at_k"}, "/content/scorers/0/k"),
        ({"use": "exact_match", "k": 2}, "/content/scorers/0/k"),
        ({"use": "token_f1", "reduce": "pass_at_k", "k": 2}, "/content/scorers/0/reduce"),
    ],
)
async def test_a_reducer_that_makes_no_sense_is_refused(
    sqlite_project: Project, scorer: dict[str, Any], pointer: str
) -> None:
    await sqlite_project.dataset(1)
    content = {"dataset": "questions", "scorers": [scorer]}
    answer = await sqlite_project.client.post("/api/v1/suites/s/versions", json={"content": content})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_repeats_become_one_number_by_the_metrics_own_reducer(sqlite_project: Project, flaky: Endpoint) -> None:
    """Of four answers to each case the first two are right."""
    scorers = [
        {"use": "exact_match", "name": "mean"},
        *(
            {"use": "exact_match", "name": name, "reduce": name, **more}
            for name, more in (
                ("max", {}),
                ("min", {}),
                ("median", {}),
                ("majority", {}),
                ("at_least_k", {"k": 2}),
                ("pass_at_k", {"k": 2}),
                ("pass_hat_k", {"k": 2}),
            )
        ),
    ]
    await sqlite_project.suite(flaky, 3, scorers=scorers)
    run = await sqlite_project.run(repeats=4)
    metrics = variant(run, "c1:model")["metrics"]
    means = {name: metric["mean"] for name, metric in metrics.items()}
    assert means == {
        "mean": 0.5,
        "max": 1,
        "min": 0,
        "median": 0.5,
        "majority": 0,
        "at_least_k": 1,
        "pass_at_k": pytest.approx(1 - 1 / 6),
        "pass_hat_k": pytest.approx(1 / 6),
    }
    assert {metric["pass_rate"] for metric in metrics.values()} == {0.5}
    floors = {"rules": [{"metric": "at_least_k", "floor": 0.01}, {"metric": "min", "floor": 0.01}], **ONE_LOOK}
    verdict = await sqlite_project.verdict(floors, f"{run['id']}/c1", None)
    assert [rule["estimate"] for rule in verdict["rules"]] == [1, 0]
    few = await sqlite_project.client.post(
        "/api/v1/runs", json={"suite": "checks", "candidates": [{"prompt": "ask"}], "repeats": 1}
    )
    assert (few.status_code, few.json()["errors"][0]["pointer"]) == (422, "/repeats")


async def test_a_measure_without_a_range_shows_its_median_and_percentiles(sqlite_project: Project) -> None:
    words = {"use": "length", "name": "words", "args": {"unit": "words"}}
    short = {"use": "length", "name": "short", "args": {"unit": "words", "max": 5}}
    answers = {"m": [" ".join(["word"] * n) for n in range(1, 12)]}
    run = await answered(sqlite_project, answers, {"scorers": [words, short]})
    metrics = variant(run, "c1:m")["metrics"]
    assert [metrics["words"][name] for name in ("median", "p90", "p95", "pass_rate")] == [6, 10, 10.5, None]
    assert (metrics["short"]["median"], metrics["short"]["pass_rate"]) == (None, pytest.approx(5 / 11))
