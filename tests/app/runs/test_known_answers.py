"""A run is an incremental build: what is known is neither asked nor scored again."""

import asyncio

import pytest

from tests.app.runs.conftest import EXACT, Project, cells, variant
from tests.app.runs.endpoint import Endpoint, echo, question_of, unauthorised

LENGTH = {"use": "length", "args": {"unit": "chars"}}


async def test_the_same_run_again_asks_nothing(project: Project, asked: Endpoint) -> None:
    await project.suite(asked, 30)
    first, again = await project.run(repeats=2), await project.run(repeats=2)
    assert (asked.calls, set(asked.asked.values())) == (60, {2})
    assert (cells(first), cells(again)) == ({"answered": 60}, {"cached": 60})
    assert variant(again, "c1:model")["metrics"] == variant(first, "c1:model")["metrics"]
    assert {(r["status"], r["answer"]["cached"]) for r in await project.results(again["id"])} == {("cached", True)}


async def test_an_added_scorer_asks_nothing(project: Project, asked: Endpoint) -> None:
    await project.suite(asked)
    await project.run()
    await project.scorers(EXACT, LENGTH)
    more = await project.run()
    assert (asked.calls, cells(more)) == (10, {"cached": 10})
    assert variant(more, "c1:model")["metrics"]["length"]["n"] == 10


async def test_words_about_a_prompt_cost_no_call_and_a_changed_message_asks_everything(
    sqlite_project: Project, asked: Endpoint
) -> None:
    await sqlite_project.suite(asked)
    await sqlite_project.run()
    await sqlite_project.question(description="the same, better described", tags=["fine"])
    await sqlite_project.run()
    assert asked.calls == 10
    await sqlite_project.question(system="Be brief.")
    await sqlite_project.run()
    assert asked.calls == 20


async def test_a_changed_case_asks_that_case(sqlite_project: Project, asked: Endpoint) -> None:
    await sqlite_project.suite(asked)
    await sqlite_project.run()
    asked.reset()
    items = [{"id": f"q{n}", "inputs": {"question": f"question {n}"}, "reference": "other"} for n in range(9)]
    await sqlite_project.make("datasets", "questions", {"items": [*items, {"id": "q9", "inputs": {"question": "new"}}]})
    await sqlite_project.scorers(EXACT)
    run = await sqlite_project.run()
    assert (dict(asked.asked), cells(run)) == ({"new": 1}, {"cached": 9, "answered": 1})
    metric = variant(run, "c1:model")["metrics"]["right"]
    assert (metric["n"], metric["missing"], metric["mean"]) == (9, 0, 0.0)


async def test_a_fresh_run_asks_anew_and_keeps_its_answers_apart(sqlite_project: Project, asked: Endpoint) -> None:
    await sqlite_project.suite(asked)
    await sqlite_project.run()
    asked.answer = lambda _: "something else"
    fresh = await sqlite_project.run(fresh=True)
    assert (asked.calls, cells(fresh)) == (20, {"answered": 10})
    again = await sqlite_project.run()
    assert asked.calls == 20
    assert {r["answer"]["text"] for r in await sqlite_project.results(again["id"])} == {
        f"you asked: question {n}" for n in range(10)
    }


async def test_a_candidate_that_changes_nothing_is_asked_once_for_both(project: Project, asked: Endpoint) -> None:
    await project.suite(asked, 120)
    run = await project.run(candidates=[{"prompt": "ask"}, {"prompt": "ask@1"}], baseline={"prompt": "ask"})
    assert set(asked.asked.values()) == {1}
    assert cells(run) == {"answered": 120, "cached": 240}


async def test_two_runs_at_once_pay_once(sqlite_project: Project, asked: Endpoint) -> None:
    asked.latency_s = 0.1
    await sqlite_project.suite(asked, 40)
    both = await asyncio.gather(sqlite_project.run(), sqlite_project.run())
    assert set(asked.asked.values()) == {1}
    assert [sum(run["cells"][name] for run in both) for name in ("answered", "cached")] == [40, 40]


async def test_what_one_run_lost_another_asks_again_and_is_not_stopped_by_the_first_one_s_end(
    sqlite_project: Project, asked: Endpoint
) -> None:
    """The first run asks about both; it loses one at once and waits for the other. The second asks about the lost one again,
    and is still waiting when the first one is done."""
    await sqlite_project.suite(asked, 2)
    asked.slow = {"question 0": 1.0}
    asked.answer = lambda body: unauthorised(body) if question_of(body) == "question 1" else echo(body)
    first = await sqlite_project.begin()
    async with asyncio.timeout(10):
        while (await sqlite_project.get(f"/api/v1/runs/{first}"))["cells"]["errored"] == 0:  # noqa: ASYNC110 - a run tells of lost cells by its counters
            await asyncio.sleep(0.05)
    asked.answer = echo
    asked.slow["question 1"] = 2.0
    second = await sqlite_project.run(wait=20)
    assert cells(second) == {"cached": 1, "answered": 1}
    assert asked.asked == {"question 0": 1, "question 1": 2}


async def test_a_smaller_sample_is_part_of_a_larger_one(sqlite_project: Project, asked: Endpoint) -> None:
    await sqlite_project.suite(asked, 40)
    few = await sqlite_project.run(max_cases=7)
    more = await sqlite_project.run(max_cases=20)
    assert (cells(few), cells(more)) == ({"answered": 7}, {"cached": 7, "answered": 13})


async def test_scoring_again_by_other_scorers_asks_nothing(project: Project, asked: Endpoint) -> None:
    await project.suite(asked)
    run = await project.run()
    await project.scorers(LENGTH, {**EXACT, "name": "correct"})
    await project.act(run["id"], "rescore")
    rescored = await project.rest(run["id"])
    assert (asked.calls, cells(rescored)) == (10, {"answered": 10})
    assert list(variant(rescored, "c1:model")["metrics"]) == ["length", "correct"]
    assert set((await project.results(run["id"]))[0]["scores"]) == {"length", "correct"}


async def test_a_repeat_is_a_draw_of_its_own(sqlite_project: Project, asked: Endpoint) -> None:
    drawn = iter(range(100))
    asked.answer = lambda body: f"{body['messages'][-1]['content'] if next(drawn) % 2 else 'wrong'}"
    await sqlite_project.suite(asked, 1)
    run = await sqlite_project.run(repeats=4)
    metric = variant(run, "c1:model")["metrics"]["right"]
    assert (metric["n"], metric["mean"]) == (1, 0.5)
    assert [r["repeat"] for r in await sqlite_project.results(run["id"])] == [0, 1, 2, 3]


@pytest.mark.parametrize("tag", ["critical", "other"])
async def test_critical_cases_are_asked_first(sqlite_project: Project, asked: Endpoint, tag: str) -> None:
    await sqlite_project.suite(asked, 1, scorers=[EXACT], limits={"max_concurrency": 1})
    items = [
        {"id": f"q{n}", "inputs": {"question": f"question {n}"}, "tags": [tag] if n >= 20 else []} for n in range(25)
    ]
    await sqlite_project.make("datasets", "questions", {"items": items})
    await sqlite_project.scorers(EXACT)
    await sqlite_project.run()
    first = {int(question.split()[-1]) for question in list(asked.asked)[:5]}
    assert (first == {20, 21, 22, 23, 24}) == (tag == "critical")


async def test_items_that_ask_the_same_share_the_answer_and_are_scored_each(project: Project, asked: Endpoint) -> None:
    await project.suite(asked, 1)
    question = {"inputs": {"question": "the same"}}
    items = [{"id": "right", **question, "reference": "the same"}, {"id": "wrong", **question, "reference": "another"}]
    await project.make("datasets", "questions", {"items": items})
    await project.scorers(EXACT)
    for run in (await project.run(), await project.run()):
        values = {r["case"]: r["scores"]["right"]["value"] for r in await project.results(run["id"])}
        assert values == {"right": 1.0, "wrong": 0.0}
    assert asked.calls == 1


async def test_a_scorer_for_some_tags_says_nothing_about_the_others_to_a_scorer_for_all(
    project: Project, asked: Endpoint
) -> None:
    await project.suite(asked, 1)
    items = [
        {
            "id": f"q{n}",
            "inputs": {"question": f"question {n}"},
            "reference": f"question {n}",
            "tags": ["odd"] * (n % 2),
        }
        for n in range(4)
    ]
    await project.make("datasets", "questions", {"items": items})
    await project.scorers({**EXACT, "when": ["odd"]})
    some = await project.run()
    assert variant(some, "c1:model")["metrics"]["right"]["n"] == 2
    assert [r["scores"]["right"]["status"] for r in await project.results(some["id"])] == ["skipped", "ok"] * 2
    await project.scorers(EXACT)
    all_ = await project.run()
    assert (variant(all_, "c1:model")["metrics"]["right"]["n"], asked.calls) == (4, 4)


async def test_items_of_one_cluster_count_as_one_when_bounds_are_drawn(
    sqlite_project: Project, asked: Endpoint
) -> None:
    asked.answer = lambda body: "wrong" if body["messages"][-1]["content"] in ("question 0", "question 1") else "right"
    await sqlite_project.suite(asked, 1)
    bounds = []
    for cluster in (lambda n: None, lambda n: f"document {n // 2}"):
        items = [
            {"id": f"q{n}", "inputs": {"question": f"question {n}"}, "reference": "right", "cluster": cluster(n)}
            for n in range(20)
        ]
        await sqlite_project.make("datasets", "questions", {"items": items})
        await sqlite_project.scorers(EXACT)
        metric = variant(await sqlite_project.run(), "c1:model")["metrics"]["right"]
        assert (metric["n"], metric["mean"]) == (20, 0.9)
        bounds.append((metric["low"], metric["high"]))
    assert bounds[1][0] < bounds[0][0] < 0.9
    assert bounds[0][1] <= bounds[1][1] <= 1


async def test_scoring_a_stopped_run_again_leaves_it_stopped(sqlite_project: Project, asked: Endpoint) -> None:
    price = {"price": {"input": 0, "output": 100}, "params": {"max_tokens": 100}}
    await sqlite_project.suite(asked, 30, **price)
    run = await sqlite_project.run(budget_usd=0.015)
    assert run["status"] == "budget"
    await sqlite_project.scorers(LENGTH)
    await sqlite_project.act(run["id"], "rescore")
    rescored = await sqlite_project.rest(run["id"])
    assert (rescored["status"], rescored["cells"], rescored["reason"]) == ("budget", run["cells"], run["reason"])
