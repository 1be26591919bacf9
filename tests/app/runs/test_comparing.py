"""Whom else a suite may ask, with scorers that ask several, compare answers, or want vectors."""

import json
import math
from collections.abc import AsyncIterator
from typing import Any

import krippendorff
import pytest

from tests.app.llm.canned import completion, http
from tests.app.runs.conftest import Model, Project, cells, small, variant
from tests.app.runs.endpoint import Body, Endpoint, endpoint, unauthorised

BETTER = {"use": "pairwise", "name": "better", "args": {"against": "others", "endpoint": "judge"}}
TWO = [{"prompt": "ask"}, {"prompt": "polite"}]


def prefers_please(body: Body) -> bytes:
    """Which of two fenced answers says please."""
    text = body["messages"][-1]["content"]
    first, _, second = text.partition("=== answer 2")
    verdict = "tie" if ("please" in first) == ("please" in second) else "1" if "please" in first else "2"
    return http(200, completion(json.dumps({"reason": "it is polite", "verdict": verdict})))


@pytest.fixture
async def judge() -> AsyncIterator[Endpoint]:
    async with endpoint(prefers_please) as made:
        yield made


async def two(project: Project, asked: Endpoint, judge: Endpoint, scorer: dict[str, Any] = BETTER) -> None:
    at = {"provider": "compatible", "base_url": judge.base_url}
    await project.make("endpoints", "judge", {**at, "model": "j"})
    await project.make("endpoints", "second", {**at, "model": "k"})
    asks = {"messages": [{"role": "user", "content": "{{ question }} please"}]}
    await project.make("prompts", "polite", {**asks, "variables": {"question": {"type": "string"}}})
    await project.suite(asked, 4, scorers=[{"use": "contains"}, scorer])


async def test_answers_of_all_variants_are_compared_once_every_one_is_there(
    project: Project, asked: Endpoint, judge: Endpoint
) -> None:
    await two(project, asked, judge)
    run = await project.run(candidates=TWO, repeats=2)
    assert [variant(run, f"c{n}:model")["metrics"]["better"]["mean"] for n in (1, 2)] == [0.0, 1.0]
    assert cells(run) == {"answered": 16}
    assert variant(run, "c1:model")["metrics"]["better"]["agreement"] == {"positional_agreement": 1.0}
    calls = judge.calls
    again = await project.run(candidates=TWO, repeats=2)
    assert (judge.calls, cells(again)) == (calls, {"cached": 16})
    assert again["variants"][1]["metrics"] == run["variants"][1]["metrics"]


async def test_what_lacks_an_answer_to_compare_with_is_missing_until_the_run_is_resumed(
    sqlite_project: Project, asked: Endpoint, judge: Endpoint
) -> None:
    await two(sqlite_project, asked, judge)
    usual = asked.answer
    asked.answer = lambda body: unauthorised(body) if "question 1 please" in str(body) else usual(body)
    run = await sqlite_project.run(candidates=TWO)
    metric = variant(run, "c1:model")["metrics"]["better"]
    assert (metric["n"], metric["missing"]) == (3, 1)
    (lost,) = await sqlite_project.results(run["id"], variant="c1", case="q1")
    assert lost["scores"]["better"]["status"] == "error"
    assert "c2:model" in lost["scores"]["better"]["explanation"]
    asked.answer = usual
    await sqlite_project.act(run["id"], "resume")
    resumed = await sqlite_project.rest(run["id"])
    assert [variant(resumed, f"c{n}:model")["metrics"]["better"]["n"] for n in (1, 2)] == [4, 4]


async def test_a_run_that_is_stopped_while_it_compares_is_continued(
    sqlite_project: Project, asked: Endpoint, judge: Endpoint
) -> None:
    await two(sqlite_project, asked, judge)
    judge.latency_s = 30
    run_id = await sqlite_project.begin(candidates=TWO)
    await judge.reached(4)
    stopped = await sqlite_project.act(run_id, "cancel")
    assert stopped["status"] == "cancelled"
    judge.latency_s = 0
    await sqlite_project.act(run_id, "resume")
    done = await sqlite_project.rest(run_id)
    assert (done["status"], asked.calls) == ("done", 8)
    assert variant(done, "c2:model")["metrics"]["better"]["mean"] == 1.0


async def test_with_nobody_to_compare_with_there_is_no_score(
    sqlite_project: Project, asked: Endpoint, judge: Endpoint
) -> None:
    await two(sqlite_project, asked, judge)
    run = await sqlite_project.run()
    assert {r["scores"]["better"]["status"] for r in await sqlite_project.results(run["id"])} == {"skipped"}
    assert judge.calls == 0


async def test_every_juror_is_asked_and_named(sqlite_project: Project, asked: Endpoint, judge: Endpoint) -> None:
    def split(body: Body) -> bytes:
        return http(200, completion(json.dumps({"reason": "so", "verdict": "yes" if body["model"] == "j" else "no"})))

    judge.answer = split
    args = {"instructions": "Good?", "labels": {"yes": 1, "no": 0}, "endpoints": ["judge", "second"]}
    await two(sqlite_project, asked, judge, {"use": "jury", "name": "better", "args": args})
    run = await sqlite_project.run()
    score = (await sqlite_project.results(run["id"]))[0]["scores"]["better"]
    assert (score["value"], judge.calls) == (0.5, 8)
    assert score["evidence"]["jurors"].keys() == {"judge", "second"}
    alpha = krippendorff.alpha([[1.0] * 4, [0.0] * 4], level_of_measurement="interval")
    agreement = run["variants"][0]["metrics"]["better"]["agreement"]
    assert agreement == {"krippendorff_alpha": pytest.approx(alpha)}
    used = await sqlite_project.get("/api/v1/endpoints/second/versions/1/dependents")
    assert run["id"] in str(used)


@pytest.mark.parametrize("whom", [{"endpoint": "judge"}, {"endpoints": ["judge"]}, {}])
async def test_a_jury_of_one_is_refused(
    sqlite_project: Project, asked: Endpoint, judge: Endpoint, whom: dict[str, Any]
) -> None:
    await two(sqlite_project, asked, judge)
    args = {"instructions": "Good?", "labels": {"yes": 1, "no": 0}, **whom}
    content = {"dataset": "questions", "endpoints": ["model"], "scorers": [{"use": "jury", "args": args}]}
    answer = await sqlite_project.client.post("/api/v1/suites/wrong/versions", json={"content": content})
    assert answer.status_code == 422
    assert "two or more" in answer.json()["detail"]


@pytest.mark.parametrize("gives", [True, False])
async def test_a_judge_s_logprobs_are_asked_for_kept_and_done_without_where_a_model_refuses_them(
    project: Project, asked: Endpoint, judge: Endpoint, gives: bool
) -> None:
    def scored(body: Body) -> bytes:
        if "logprobs" in body and not gives:
            return http(400, {"error": {"message": "Unsupported parameter: 'logprobs' is not supported"}})
        told = completion('{"reason": "so", "verdict": 7}')
        if "logprobs" in body:
            likely = [{"token": "7", "logprob": math.log(0.5)}, {"token": "9", "logprob": math.log(0.5)}]
            tokens = [{"token": text, "logprob": -0.01} for text in ('{"reason": "so", "verdict": ', "7", "}")]
            tokens[1]["top_logprobs"] = likely
            told["choices"][0]["logprobs"] = {"content": tokens}
        return http(200, told)

    judge.answer = scored
    args = {"instructions": "Is it good?", "steps": ["Read it."], "votes": 3, "endpoint": "judge"}
    await two(project, asked, judge, {"use": "g_eval", "name": "better", "args": args})
    run = await project.run()
    (score, *_) = [r["scores"]["better"] for r in await project.results(run["id"])]
    assert score["evidence"]["method"] == ("logprobs" if gives else "mean of 3")
    assert score["value"] == pytest.approx(0.8 if gives else 0.7)
    calls = judge.calls
    await project.scorers({"use": "g_eval", "name": "better", "args": {**args, "threshold": 0.75}})
    again = await project.run()
    known = [r["scores"]["better"] for r in await project.results(again["id"])]
    assert (judge.calls, {s["cached"] for s in known}) == (calls, {True})
    assert (known[0]["value"], known[0]["passed"]) == (score["value"], gives)


async def test_vectors_come_from_the_endpoint_that_the_suite_names_and_are_made_once(
    project: Project, model: Model
) -> None:
    at = {"provider": "compatible", "base_url": model.base_url, "model": "dev-embed", "price": {"input": 1}}
    await project.make("endpoints", "vectors", at)
    alike = {"use": "embedding_similarity", "name": "alike", "args": {"embeddings": "vectors"}}
    await small(project, model, scorers=[alike])
    run = await project.run(suite="small")
    metric = variant(run, "c1:e1")["metrics"]["alike"]
    assert (metric["n"], metric["mean"]) == (5, pytest.approx(1.0, abs=1e-6))
    calls = await model.calls()
    await project.make(
        "suites",
        "small",
        {
            "dataset": "questions",
            "endpoints": ["e1"],
            "scorers": [{**alike, "args": {**alike["args"], "threshold": 0.9}}],
        },  # type: ignore[dict-item]
    )
    again = await project.run(suite="small")
    assert await model.calls() == calls
    assert {r["scores"]["alike"]["cached"] for r in await project.results(again["id"])} == {True}


async def test_a_scorer_of_vectors_without_an_endpoint_is_refused(sqlite_project: Project, model: Model) -> None:
    await small(sqlite_project, model)
    content = {"dataset": "questions", "endpoints": ["e1"], "scorers": [{"use": "embedding_similarity"}]}
    answer = await sqlite_project.client.post("/api/v1/suites/wrong/versions", json={"content": content})
    assert answer.status_code == 422
    assert "`embeddings`" in answer.json()["detail"]
