"""Judges: their verdicts are scores, their failures are not, and their cost is kept apart."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.app.llm.canned import completion, http
from tests.app.runs.conftest import Project, cells, variant
from tests.app.runs.endpoint import Body, Endpoint, echo, endpoint, unauthorised

LABELS = {"labels": {"yes": 1, "no": 0}}
JUDGED = {"use": "rubric", "name": "good", "args": {"rubric": "good"}}


def verdict(label: str) -> bytes:
    usage = {"prompt_tokens": 200, "completion_tokens": 500}
    return http(200, completion(json.dumps({"reason": "because", "verdict": label}), usage=usage))


def about_even_questions(body: Body) -> bytes:
    text = body["messages"][-1]["content"]
    return verdict("yes" if any(f"question {n}\n" in text for n in range(0, 20, 2)) else "no")


@pytest.fixture
async def judge() -> AsyncIterator[Endpoint]:
    async with endpoint(about_even_questions) as made:
        yield made


async def judged_suite(project: Project, asked: Endpoint, judge: Endpoint, count: int = 10) -> None:
    price = {"input": 1, "output": 2}
    await project.make(
        "endpoints", "judge", {"provider": "compatible", "base_url": judge.base_url, "model": "j", "price": price}
    )
    await rubric(project, "Question: {{ inputs.question }}\nIs it good?")
    await project.suite(asked, count, scorers=[{"use": "contains"}, JUDGED])


async def rubric(project: Project, instructions: str) -> None:
    await project.make("rubrics", "good", {"instructions": instructions, "endpoint": "judge", **LABELS})


async def test_a_judges_verdicts_are_scores_and_are_paid_once(
    project: Project, asked: Endpoint, judge: Endpoint
) -> None:
    await judged_suite(project, asked, judge)
    run, again = await project.run(), await project.run()
    metric = variant(run, "c1:model")["metrics"]["good"]
    assert (metric["n"], metric["mean"]) == (10, 0.5)
    assert (asked.calls, judge.calls) == (10, 10)
    assert run["judge_cost_usd"] == pytest.approx(10 * (200 + 2 * 500) / 1e6)
    assert (again["judge_cost_usd"], variant(again, "c1:model")["metrics"]["good"]) == (0, metric)
    score = (await project.results(run["id"], case="q0"))[0]["scores"]["good"]
    assert (score["label"], score["value"], score["passed"]) == ("yes", 1.0, True)
    assert "because" in score["explanation"]


async def test_a_changed_rubric_asks_the_judge_alone(sqlite_project: Project, asked: Endpoint, judge: Endpoint) -> None:
    await judged_suite(sqlite_project, asked, judge)
    await sqlite_project.run()
    await rubric(sqlite_project, "Question: {{ inputs.question }}\nIs it very good?")
    await sqlite_project.scorers({"use": "contains"}, JUDGED)
    await sqlite_project.run()
    assert (asked.calls, judge.calls) == (10, 20)


async def test_a_judge_that_cannot_be_asked_scores_nothing_and_is_asked_again_on_resuming(
    project: Project, asked: Endpoint, judge: Endpoint
) -> None:
    judge.answer = unauthorised
    await judged_suite(project, asked, judge)
    run = await project.run()
    assert cells(run) == {"answered": 10}
    metric = variant(run, "c1:model")["metrics"]["good"]
    assert (metric["n"], metric["missing"], metric["mean"]) == (0, 10, None)
    score = (await project.results(run["id"]))[0]["scores"]["good"]
    assert (score["value"], score["passed"], score["status"]) == (None, None, "error")
    assert "refused the key" in score["explanation"]
    judge.answer = about_even_questions
    await project.act(run["id"], "resume")
    resumed = await project.rest(run["id"])
    assert (asked.calls, cells(resumed)) == (10, {"answered": 10})
    metrics = variant(resumed, "c1:model")["metrics"]
    assert (metrics["good"]["n"], metrics["good"]["mean"], metrics["contains"]["mean"]) == (10, 0.5, 1.0)


async def test_a_judge_without_a_verdict_leaves_the_cell_unscored(
    sqlite_project: Project, asked: Endpoint, judge: Endpoint
) -> None:
    judge.answer = lambda _: "I would rather not say."
    await judged_suite(sqlite_project, asked, judge, 3)
    run = await sqlite_project.run()
    metric = variant(run, "c1:model")["metrics"]["good"]
    assert (metric["n"], metric["missing"], metric["mean"]) == (0, 3, None)
    assert {r["scores"]["good"]["status"] for r in await sqlite_project.results(run["id"])} == {"unscored"}


async def test_answers_are_kept_while_the_judge_is_slow(
    sqlite_project: Project, asked: Endpoint, judge: Endpoint
) -> None:
    await judged_suite(sqlite_project, asked, judge)
    judge.latency_s = 30
    run_id = await sqlite_project.begin()
    await judge.reached(10)
    await asyncio.sleep(0.5)
    cancelled = await sqlite_project.act(run_id, "cancel")
    assert cells(cancelled) == {"cancelled": 10}
    judge.latency_s = 0
    await sqlite_project.act(run_id, "resume")
    done = await sqlite_project.rest(run_id)
    assert (asked.calls, cells(done)) == (10, {"answered": 10})


async def test_a_judge_is_paid_from_the_same_budget(sqlite_project: Project, asked: Endpoint, judge: Endpoint) -> None:
    await judged_suite(sqlite_project, asked, judge, 20)
    price = {"price": {"input": 0.0, "output": 0.0}}
    await sqlite_project.suite(asked, 20, scorers=[{"use": "contains"}, JUDGED], **price)
    run = await sqlite_project.run(budget_usd=0.01)
    assert run["status"] == "budget"
    assert 0 < run["judge_cost_usd"] <= 0.01
    assert 0 < judge.calls <= 8
    assert asked.calls == 20


async def test_a_judge_that_is_under_test_itself_is_refused_unless_the_scorer_allows_it(
    sqlite_project: Project, asked: Endpoint, judge: Endpoint
) -> None:
    judge.answer = lambda body: about_even_questions(body) if "response_format" in body else echo(body)
    await judged_suite(sqlite_project, asked, judge, 2)
    same = {"provider": "compatible", "base_url": judge.base_url + "/", "model": "j"}
    await sqlite_project.make("endpoints", "alias", same)
    for endpoint_name in ("judge", "alias"):
        problem = await sqlite_project.refused(candidates=[{"prompt": "ask", "endpoint": endpoint_name}])
        assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/suite/scorers/1/args")
        assert "'judge'" in problem["detail"]
        assert f"c1:{endpoint_name}" in problem["detail"]
    allowed = {**JUDGED, "args": {"rubric": "good", "self_judge": True}}
    await sqlite_project.scorers({"use": "contains"}, allowed)
    run = await sqlite_project.run(candidates=[{"prompt": "ask", "endpoint": "judge"}])
    assert [warning for warning in run["warnings"] if "'judge'" in warning and "c1:judge" in warning]
    floor = {"rules": [{"metric": "good", "floor": 0.1}]}
    verdict = await sqlite_project.verdict(floor, f"{run['id']}/c1", None)
    assert "judged by a model under test" in str(verdict)


async def test_a_judge_with_inline_instructions_needs_no_rubric(
    sqlite_project: Project, asked: Endpoint, judge: Endpoint
) -> None:
    await judged_suite(sqlite_project, asked, judge)
    inline = {"instructions": "Question: {{ inputs.question }}\nIs it good?", "endpoint": "judge", **LABELS}
    await sqlite_project.scorers({"use": "rubric", "name": "good", "args": inline})
    run = await sqlite_project.run()
    assert variant(run, "c1:model")["metrics"]["good"]["mean"] == 0.5


async def test_a_changed_threshold_judges_nothing_again(project: Project, asked: Endpoint, judge: Endpoint) -> None:
    await judged_suite(project, asked, judge)
    await project.run()
    for threshold in (0.4, 0.6):
        await project.scorers({**JUDGED, "args": {"rubric": "good", "threshold": threshold}})
        run = await project.run(fresh=True)
        assert (run["judge_cost_usd"], judge.calls) == (0, 10)
        scores = [r["scores"]["good"] for r in await project.results(run["id"])]
        assert {(s["cached"], s["cost_usd"], s["tokens"]) for s in scores} == {(True, 0, 0)}
        assert [s["passed"] for s in scores].count(True) == 5


async def test_cells_with_the_same_answer_are_judged_once_though_they_end_together(
    project: Project, asked: Endpoint, judge: Endpoint
) -> None:
    asked.answer = lambda _: "always the same"
    await judged_suite(project, asked, judge, 3)
    judge.latency_s = 0.3
    run = await project.run(repeats=4)
    assert (asked.calls, judge.calls) == (12, 3)
    assert run["judge_cost_usd"] == pytest.approx(3 * (200 + 2 * 500) / 1e6)
    scores = [r["scores"]["good"] for r in await project.results(run["id"])]
    assert sorted(s["cached"] for s in scores) == [False] * 3 + [True] * 9
    assert {s["status"] for s in scores} == {"ok"}


async def test_what_a_judge_could_not_answer_is_not_remembered(
    sqlite_project: Project, asked: Endpoint, judge: Endpoint
) -> None:
    judge.answer = unauthorised
    await judged_suite(sqlite_project, asked, judge, 2)
    await sqlite_project.run()
    judge.answer = about_even_questions
    await sqlite_project.scorers({**JUDGED, "args": {"rubric": "good", "threshold": 0.5}})
    run = await sqlite_project.run()
    assert variant(run, "c1:model")["metrics"]["good"]["n"] == 2


@pytest.mark.parametrize(
    ("args", "pointer", "says"),
    [
        ({"instructions": "Good?", "labels": {"yes": 1, "no": 0}}, "/scorers/0/args", "`rubric` or `endpoint`"),
        ({"instructions": "Good?", "labels": {"yes": 1}, "endpoint": "judge"}, "/scorers/0/args/labels", "fail"),
        ({"rubric": "good", "labels": {"yes": 1}}, "/scorers/0/args/labels", "fail"),
        ({"rubric": "good", "endpoint": "nobody"}, "/scorers/0/args/endpoint", "nobody"),
        ({"rubric": "good", "endpoint": "judge", "endpoints": ["judge"]}, "/scorers/0/args/endpoints", "either"),
        ({"rubric": "good", "endpoints": ["judge", "model"]}, "/scorers/0/args/endpoints", "one judge"),
        ({"rubric": "good", "endpoints": []}, "/scorers/0/args/endpoints", "list"),
        ({"rubric": "good", "embeddings": "judge"}, "/scorers/0/args/embeddings", "no embeddings"),
        ({"rubric": "good", "self_judge": "yes"}, "/scorers/0/args/self_judge", "true or false"),
        ({"rubric": "good", "tone": 1}, "/scorers/0/args/tone", "no argument"),
    ],
)
async def test_a_judge_that_cannot_work_is_refused_with_the_suite(
    sqlite_project: Project, asked: Endpoint, judge: Endpoint, args: dict[str, Any], pointer: str, says: str
) -> None:
    await judged_suite(sqlite_project, asked, judge, 1)
    content = {"dataset": "questions", "endpoints": ["model"], "scorers": [{"use": "rubric", "args": args}]}
    answer = await sqlite_project.client.post("/api/v1/suites/wrong/versions", json={"content": content})
    problem = answer.json()
    assert (answer.status_code, problem["errors"][0]["pointer"]) == (422, "/content" + pointer)
    assert says in problem["errors"][0]["detail"]
