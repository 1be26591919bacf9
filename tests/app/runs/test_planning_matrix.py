"""Candidates from a matrix; cases by filters, seeds and strata; and what makes no sense among them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.runs.spec import sample, stratified
from tests.app.runs.conftest import Project, cells
from tests.app.runs.endpoint import Endpoint

IDS = st.lists(st.tuples(st.text(max_size=6), st.sampled_from("abc")), unique_by=lambda p: p[0], max_size=40)


async def tagged(project: Project, asked: Endpoint) -> None:
    """30 items: 20 easy, 9 hard, 1 odd."""
    await project.suite(asked, 1)
    kinds = ["easy"] * 20 + ["hard"] * 9 + ["odd"]
    items = [
        {"id": f"q{n}", "inputs": {"question": f"question {n}"}, "reference": "x", "tags": [kind]}
        for n, kind in enumerate(kinds)
    ]
    await project.make("datasets", "questions", {"items": items})
    await project.scorers({"use": "contains", "name": "right"})


async def asked_cases(project: Project, **body: Any) -> list[str]:
    """The ids of the cases that a run has asked, in their order."""
    run = await project.run(**body)
    return [result["case"] for result in await project.results(run["id"])]


async def test_a_matrix_is_every_combination_in_order(project: Project, asked: Endpoint) -> None:
    await project.suite(asked, 2)
    await project.question("other", system="Be brief.")
    await project.make("endpoints", "second", {"provider": "compatible", "base_url": asked.base_url, "model": "m2"})
    matrix = {
        "prompts": ["ask", "other"],
        "endpoints": ["model", "second"],
        "params": [{"temperature": 0}, {"temperature": 0.7}],
    }
    run = await project.run(candidates=[{"prompt": "ask"}], matrix=matrix)
    assert [v["id"] for v in run["variants"]] == [
        "c1:model", "c2:model", "c3:model", "c4:second", "c5:second", "c6:model", "c7:model", "c8:second", "c9:second",
    ]  # fmt: skip
    assert [v["prompt"] for v in run["variants"]][5:] == ["other@1"] * 4
    assert cells(run) == {"answered": 18}
    alone = await project.run(candidates=[], matrix={"prompts": ["ask"], "rag_configs": [None]})
    assert [v["id"] for v in alone["variants"]] == ["c1:model"]


async def test_a_mistake_in_a_matrix_is_pointed_at(sqlite_project: Project, asked: Endpoint) -> None:
    await sqlite_project.suite(asked, 2)
    many = [{"temperature": n / 100} for n in range(60)]
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"prompts": []}, "/matrix/prompts"),
        ({"prompts": ["ask", "asks"]}, "/matrix/prompts/1"),
        ({"prompts": ["ask"], "endpoints": ["model", "none"]}, "/matrix/endpoints/1"),
        ({"prompts": ["ask"], "params": [{}, {"model": "x"}]}, "/matrix/params/1/model"),
        ({"prompts": ["ask"], "rag_configs": [None, "docs"]}, "/matrix/rag_configs/1"),
        ({"prompts": ["ask", "ask"]}, "/matrix/prompts/1"),
        ({"prompts": ["ask"], "endpoints": ["model", "second"], "params": many}, "/matrix"),
    ]
    for matrix, pointer in mistakes:
        problem = await sqlite_project.refused(candidates=[], matrix=matrix)
        assert problem["status"] in (400, 422)
        assert [error["pointer"] for error in problem["errors"]] == [pointer], problem
    assert asked.calls == 0


async def test_filters_choose_cases_and_one_that_leaves_none_is_named(sqlite_project: Project, asked: Endpoint) -> None:
    project = sqlite_project
    await tagged(project, asked)
    assert len(await asked_cases(project, only={"tags": ["hard", "odd"]})) == 10
    assert await asked_cases(project, only={"ids": ["q3", "q7"]}) == ["q3", "q7"]
    assert await asked_cases(project, only={"text": "QUESTION 29"}) == ["q29"]
    assert await asked_cases(project, only={"tags": ["hard"], "text": "question 2"}) == [f"q{n}" for n in range(20, 29)]
    for only, pointer, word in (
        ({"tags": ["none"]}, "/only/tags", "easy, hard, odd"),
        ({"ids": ["q1", "q99"]}, "/only/ids", "q99"),
        ({"text": "nowhere"}, "/only/text", "nowhere"),
        ({"tags": ["odd"], "text": "question 1"}, "/only/text", "question 1"),
    ):
        body = {"suite": "checks", "candidates": [{"prompt": "ask"}], "only": only}
        answer = await project.client.post("/api/v1/runs", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
        assert word in answer.json()["detail"]


async def test_a_seed_changes_which_cases_and_strata_keep_their_shares(
    sqlite_project: Project, asked: Endpoint
) -> None:
    project = sqlite_project
    await tagged(project, asked)
    plain = await asked_cases(project, max_cases=6)
    seeded = await asked_cases(project, max_cases=6, seed=7)
    assert seeded != plain
    assert seeded == await asked_cases(project, max_cases=6, seed=7)
    chosen = await asked_cases(project, max_cases=6, stratify=True)
    numbers = [int(case[1:]) for case in chosen]
    # Of 20, 9 and 1 the shares of six are 4, 1.8 and 0.2; the last has one all the same.
    counts = [sum(low <= n < high for n in numbers) for low, high in ((0, 20), (20, 29), (29, 30))]
    assert counts == [3, 2, 1]
    assert set(chosen) < set(await asked_cases(project, max_cases=12, stratify=True))
    for seed in (-1, 2**31, "x", 1.5):
        answer = await project.client.post(
            "/api/v1/runs", json={"suite": "checks", "candidates": [{"prompt": "ask"}], "seed": seed}
        )
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/seed")


@given(items=IDS, size=st.integers(1, 45), seed=st.none() | st.integers(0, 5))
def test_a_stratified_sample_holds_the_smaller_ones_and_one_of_each_stratum(
    items: list[tuple[str, str]], size: int, seed: int | None
) -> None:
    ids, strata = [i for i, _ in items], [s for _, s in items]
    chosen = stratified(ids, strata, size, seed)
    assert len(chosen) == min(size, len(ids))
    assert chosen == sorted(set(chosen))
    assert set(stratified(ids, strata, size - 1, seed)) <= set(chosen)
    assert len({strata[n] for n in chosen}) == min(len(set(strata)), len(chosen))


def test_shares_of_a_stratified_sample_are_those_of_the_whole() -> None:
    strata = ["a"] * 700 + ["b"] * 250 + ["c"] * 50
    chosen = stratified([str(n) for n in range(1_000)], strata, 100)
    counts = [sum(strata[n] == name for n in chosen) for name in "abc"]
    assert counts == [70, 25, 5]
    assert sample([str(n) for n in range(9)], 3, 1) != sample([str(n) for n in range(9)], 3, 2)


async def test_a_tenth_of_gsm8k_by_tag_is_planned_and_run_as_planned(
    sqlite_project: Project, shared_data: Path
) -> None:
    project = sqlite_project
    await project.question()
    await project.replay("6b_finetuning", "175b_finetuning")
    rows = [json.loads(line) for line in (shared_data / "gsm8k_solutions.jsonl").read_text().splitlines()]
    items = [
        {
            "id": row["id"],
            "inputs": {"question": row["question"]},
            "reference": row["reference_answer"],
            "tags": ["long" if len(row["question"]) > 250 else "short"],
            "recorded": {model: {"text": answer["text"]} for model, answer in row["outputs"].items()},
        }
        for row in rows
    ]
    await project.make("datasets", "gsm8k", {"items": items})
    scorer = {"use": "numeric", "name": "correct", "args": {"after": "A:"}}
    await project.make("suites", "gsm8k", {"dataset": "gsm8k", "scorers": [scorer]})
    matrix = {"prompts": ["ask"], "endpoints": ["6b_finetuning", "175b_finetuning"]}
    body = {"suite": "gsm8k", "candidates": [], "matrix": matrix, "max_cases": 44, "stratify": True, "seed": 1}
    plan = (await project.client.post("/api/v1/runs/plan", json=body)).json()
    run = await project.run(**body)
    assert plan["cells"] == run["cells"]["planned"] == run["cells"]["answered"] == 88
    longs = sum(item["tags"] == ["long"] for item in items)
    tags = [result["tags"] for result in await project.results(run["id"], variant="c1:6b_finetuning")]
    assert tags.count(["long"]) == pytest.approx(44 * longs / len(items), abs=0.6)
