"""What a run will do is said before anything is called, and close to what it then does."""

import time
from typing import Any

from tests.app.llm.canned import completion, http
from tests.app.runs.conftest import Project, cells
from tests.app.runs.endpoint import Endpoint

PRICE = {"price": {"input": 1, "output": 10}, "params": {"max_tokens": 100}, "limits": {"max_concurrency": 4}}


async def planned(project: Project, **body: Any) -> dict[str, Any]:
    body = {"suite": "checks", "candidates": [{"prompt": "ask"}], **body}
    answer = await project.client.post("/api/v1/runs/plan", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_plan_calls_nothing_stores_nothing_and_says_on_what_it_is_based(
    project: Project, asked: Endpoint
) -> None:
    await project.suite(asked, 20, **PRICE)
    draft = {"content": {"messages": [{"role": "user", "content": "{{ question }}?"}], "variables": {"question": {}}}}
    for candidate in ({"prompt": "ask"}, {"prompt": draft}):
        plan = await planned(project, candidates=[candidate])
        assert (plan["cells"], plan["cached"], plan["calls"]) == (20, 0, 20)
        (row,) = plan["endpoints"]
        assert (row["endpoint"], row["role"], row["calls"], row["based_on"]) == ("model", "answers", 20, "estimate")
        # Half of the longest answer, at the price of what is written.
        assert row["completion_tokens"] == 20 * 50
        assert 0.01 < plan["expected_cost_usd"] < plan["estimated_cost_usd"]
        assert plan["estimated_s"] == row["seconds"] > 0
    assert asked.calls == 0
    assert (await project.get("/api/v1/runs"))["items"] == []
    assert (await planned(project, candidates=[{"prompt": draft}]))["calls"] == 20


async def test_a_plan_goes_by_what_answers_took_before(project: Project, asked: Endpoint) -> None:
    usage = {"prompt_tokens": 40, "completion_tokens": 7}
    asked.answer, asked.latency_s = lambda _: http(200, completion("ok", usage=usage)), 0.2
    await project.suite(asked, 12, **PRICE)
    run = await project.run(max_cases=4)
    plan = await planned(project)
    (row,) = plan["endpoints"]
    assert (plan["cached"], plan["calls"], row["based_on"]) == (4, 8, "recorded")
    assert (row["prompt_tokens"], row["completion_tokens"]) == (8 * 40, 8 * 7)
    assert abs(plan["expected_cost_usd"] - 8 * (40 * 1 + 7 * 10) / 1e6) < 1e-9
    assert 0.4 <= plan["estimated_s"] < 1.5  # eight calls, four at once, 0.2 s each
    # The answers of another prompt say how long and how fast this endpoint writes, and not what is sent to it.
    await project.question("other", system="Be brief.")
    other = await planned(project, candidates=[{"prompt": "other"}])
    (row,) = other["endpoints"]
    assert (row["calls"], row["completion_tokens"], row["based_on"]) == (12, 12 * 7, "recorded")
    assert row["prompt_tokens"] < 12 * 40
    more = await project.run()
    assert cells(more) == {"cached": 4, "answered": 8}
    assert abs(more["cost_usd"] - plan["expected_cost_usd"]) < 1e-9
    again = await planned(project)
    assert (again["calls"], again["expected_cost_usd"], again["estimated_s"]) == (0, 0, 0)
    assert run["id"] != more["id"]


async def test_a_run_that_was_made_says_its_plan(sqlite_project: Project, asked: Endpoint) -> None:
    await sqlite_project.suite(asked, 3)
    body = {"suite": "checks", "candidates": [{"prompt": "ask"}]}
    made = (await sqlite_project.client.post("/api/v1/runs", json=body)).json()
    assert made["plan"]["calls"] == 3
    assert made["plan"]["expected_cost_usd"] is None  # the endpoint has no price
    assert (await sqlite_project.rest(made["id"]))["status"] == "done"


async def test_limits_per_minute_make_a_plan_longer(sqlite_project: Project, asked: Endpoint) -> None:
    await sqlite_project.suite(asked, 30, limits={"rpm": 60, "max_concurrency": 64})
    assert (await planned(sqlite_project))["estimated_s"] == 30


async def test_judges_stand_in_a_line_of_their_own_and_only_new_scores_are_counted(
    sqlite_project: Project, asked: Endpoint
) -> None:
    project = sqlite_project
    await project.suite(asked, 6)

    async def judge(instructions: str) -> None:
        rubric = {"instructions": instructions, "labels": {"yes": 1, "no": 0}, "endpoint": "judge", "votes": 3}
        await project.make("rubrics", "good", rubric)
        await project.scorers({"use": "contains", "name": "right"}, {"use": "rubric", "args": {"rubric": "good"}})

    await project.make(
        "endpoints",
        "judge",
        {"provider": "compatible", "base_url": asked.base_url, "model": "j", "price": {"input": 1, "output": 1}},
    )
    await judge("Is {{ output }} good?")
    plan = await planned(project)
    rows = {(row["endpoint"], row["role"]): row for row in plan["endpoints"]}
    assert (rows["model", "answers"]["calls"], rows["judge", "judge"]["calls"]) == (6, 18)
    assert rows["judge", "judge"]["cost_usd"] > 0
    asked.answer = lambda body: '{"label": "yes", "reason": "so"}' if body["model"] == "j" else "an answer"
    run = await project.run()
    assert run["cells"]["answered"] == 6
    known = await planned(project)
    assert (known["calls"], known["cached"]) == (0, 6)
    await judge("Is {{ output }} very good?")
    changed = await planned(project)
    assert [(row["role"], row["calls"]) for row in changed["endpoints"]] == [("answers", 0), ("judge", 18)]


async def test_ten_thousand_cells_are_planned_within_a_second_and_a_half(sqlite_project: Project) -> None:
    await sqlite_project.question()
    await sqlite_project.replay("a", "b")
    await sqlite_project.dataset(5_000, recorded={"a": {"text": "x"}, "b": {"text": "y"}})
    suite = {"dataset": "questions", "endpoints": ["a", "b"], "scorers": [{"use": "exact_match"}]}
    await sqlite_project.make("suites", "checks", suite)
    used = time.process_time()
    plan = await planned(sqlite_project)
    assert time.process_time() - used < 1.5
    assert (plan["cells"], plan["calls"], plan["expected_cost_usd"]) == (10_000, 0, 0)


async def test_a_plan_refuses_what_a_run_would_refuse(sqlite_project: Project, asked: Endpoint) -> None:
    await sqlite_project.suite(asked, 3, **PRICE)
    for change, pointer in (({"budget_usd": 0.000001}, "/budget_usd"), ({"suite": "none"}, "/suite")):
        body = {"suite": "checks", "candidates": [{"prompt": "ask"}], **change}
        answer = await sqlite_project.client.post("/api/v1/runs/plan", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
