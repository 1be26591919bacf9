"""Answers and scores are kept by what decides them: nothing is paid for twice."""

import httpx2

from tests.app.runs.conftest import ASK, QUESTIONS, Model, Project, cells, items, small


async def test_the_same_run_again_makes_no_call_and_gives_the_same_scores(
    client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(client)
    await small(project, model)
    first = await project.run(suite="small", candidates=ASK)
    assert cells(first) == {"answered": 5}
    assert await model.calls() == 5
    second = await project.run(suite="small", candidates=ASK)
    assert cells(second) == {"cached": 5}
    assert await model.calls() == 5
    assert second["variants"][0]["metrics"] == first["variants"][0]["metrics"]
    assert second["variants"][0]["metrics"]["exact_match"]["mean"] == 1.0


async def test_a_fresh_run_asks_again_and_leaves_the_old_answers_to_others(
    sqlite_client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(sqlite_client)
    await small(project, model)
    await project.run(suite="small", candidates=ASK)
    assert cells(await project.run(suite="small", candidates=ASK, fresh=True)) == {"answered": 5}
    assert await model.calls() == 10
    assert cells(await project.run(suite="small", candidates=ASK)) == {"cached": 5}


async def test_a_scorer_that_is_added_makes_no_model_call(client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(client)
    names = await small(project, model)
    first = await project.run(suite="small", candidates=ASK)
    scorers = [{"use": "exact_match"}, {"use": "contains", "args": {"any_of": ["gate"]}}]
    await project.make("suites", "small", {"dataset": "questions", "endpoints": names, "scorers": scorers})
    again = await project.run(suite="small", candidates=ASK)
    assert await model.calls() == 5
    assert again["variants"][0]["metrics"]["contains"]["mean"] == 0.2
    answer = await client.post(f"/api/v1/runs/{first['id']}/rescore", json={})
    assert answer.status_code == 202, answer.text
    await project.rest(first["id"])
    rescored = await project.get(f"/api/v1/runs/{first['id']}")
    assert await model.calls() == 5
    assert rescored["cells"]["planned"] == 5
    assert {name: m["mean"] for name, m in rescored["variants"][0]["metrics"].items()} == {
        "exact_match": 1.0,
        "contains": 0.2,
    }


async def test_a_case_that_changed_is_the_only_one_that_is_called(client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(client)
    names = await small(project, model)
    await project.run(suite="small", candidates=ASK)
    await project.make("datasets", "questions", {"items": items([*QUESTIONS[:4], "When is it done?"])})
    scorers = [{"use": "exact_match"}]
    await project.make("suites", "small", {"dataset": "questions", "endpoints": names, "scorers": scorers})
    run = await project.run(suite="small", candidates=ASK)
    assert cells(run) == {"cached": 4, "answered": 1}
    assert await model.calls() == 6


async def test_a_reference_that_changed_is_scored_anew_without_a_call(
    sqlite_client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(sqlite_client)
    names = await small(project, model)
    await project.run(suite="small", candidates=ASK)
    changed = items(QUESTIONS)
    changed[0]["reference"] = "something else"
    await project.make("datasets", "questions", {"items": changed})
    scorers = [{"use": "exact_match"}]
    await project.make("suites", "small", {"dataset": "questions", "endpoints": names, "scorers": scorers})
    run = await project.run(suite="small", candidates=ASK)
    assert await model.calls() == 5
    assert run["variants"][0]["metrics"]["exact_match"]["mean"] == 0.8


async def test_variants_that_ask_the_same_are_asked_once(client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(client)
    await small(project, model)
    await project.question("twin", description="other words about it, the same content")
    run = await project.run(suite="small", candidates=[{"prompt": "ask"}, {"prompt": "twin"}])
    assert await model.calls() == 5
    assert cells(run) == {"answered": 5, "cached": 5}
    assert [v["metrics"]["exact_match"]["n"] for v in run["variants"]] == [5, 5]


async def test_repeats_are_answers_of_their_own(sqlite_client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(sqlite_client)
    await small(project, model)
    assert cells(await project.run(suite="small", candidates=ASK, repeats=3)) == {"answered": 15}
    assert cells(await project.run(suite="small", candidates=ASK, repeats=4)) == {"answered": 5, "cached": 15}
    assert await model.calls() == 20
