"""Every cell ends in exactly one way, and what infrastructure did is never a score."""

import asyncio
import random
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from app.kit.db import writing
from app.settings import Settings
from tests.app.llm.canned import completion, http
from tests.app.runs.conftest import Project, cells, variant
from tests.app.runs.endpoint import Answer, Body, Endpoint, content_filter, echo, question_of, unauthorised
from tests.conftest import client_of, started

RIGHT = "right"


def in_turn(body: Body) -> int:
    return int(question_of(body).split()[-1])


async def test_the_models_own_fault_scores_zero_and_is_not_asked_again(project: Project, asked: Endpoint) -> None:
    asked.answer = lambda body: content_filter(body) if in_turn(body) < 4 else echo(body)
    await project.suite(asked, 10, scorers=[{"use": "contains", "name": RIGHT}, {"use": "latency"}])
    run = await project.run()
    assert cells(run) == {"answered": 6, "failed": 4}
    metric = variant(run, "c1:model")["metrics"][RIGHT]
    assert (metric["n"], metric["missing"], metric["mean"]) == (10, 0, 0.6)
    failed = await project.results(run["id"], status="failed")
    assert {
        (r["scores"][RIGHT]["value"], r["scores"][RIGHT]["passed"], r["scores"][RIGHT]["label"]) for r in failed
    } == {(0.0, False, "failed")}
    assert all("filter" in r["error"] for r in failed)
    again = await project.run()
    assert (asked.calls, cells(again)) == (10, {"cached": 6, "failed": 4})


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (unauthorised, "auth"),
        (lambda _: http(404, {"error": {"message": "no such model"}}), "not_found"),
        (lambda _: http(200, "<html>a page</html>", content_type="text/html"), "bad_response"),
        (lambda _: http(429, {"error": {"message": "no quota", "code": "insufficient_quota"}}), "rate_limit"),
        (lambda _: http(400, {"error": {"message": "unknown field"}}), "bad_request"),
    ],
)
async def test_a_broken_endpoint_gives_errored_cells_and_no_score(
    sqlite_project: Project, asked: Endpoint, answer: Answer, kind: str
) -> None:
    asked.answer = answer
    await sqlite_project.suite(asked, 5)
    run = await sqlite_project.run()
    assert (run["status"], cells(run), run["errors"]) == ("done", {"errored": 5}, {kind: 5})
    metric = variant(run, "c1:model")["metrics"][RIGHT]
    assert (metric["n"], metric["missing"], metric["mean"]) == (0, 5, None)
    for result in await sqlite_project.results(run["id"]):
        assert (result["answer"], result["scores"], result["error_kind"]) == (None, {}, kind)
        assert "model" in result["error"]


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: http(500, {"error": {"message": "out of order"}}),
        lambda _: http(200, '{"choices": [{"message": {"content": "cut sh'),
    ],
    ids=["500", "truncated"],
)
async def test_what_may_pass_is_tried_again_and_then_is_an_error(
    sqlite_project: Project, asked: Endpoint, answer: Answer
) -> None:
    asked.answer = answer
    await sqlite_project.suite(asked, 2)
    run = await sqlite_project.run()
    assert cells(run) == {"errored": 2}
    assert asked.calls == 8
    assert "tried 4 times" in (await sqlite_project.results(run["id"]))[0]["error"]


async def test_an_endpoint_that_is_down_is_named_with_the_fix(sqlite_project: Project, asked: Endpoint) -> None:
    await sqlite_project.suite(asked, 1)
    await sqlite_project.make(
        "endpoints", "model", {"provider": "compatible", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
    )
    await sqlite_project.scorers({"use": "exact_match"})
    run = await sqlite_project.run()
    (result,) = await sqlite_project.results(run["id"])
    assert result["error_kind"] == "connection"
    assert "'model'" in result["error"]
    assert "running?" in result["error"]


async def test_an_item_without_a_recording_is_an_errored_cell(sqlite_project: Project) -> None:
    await sqlite_project.question()
    await sqlite_project.replay("m")
    recorded = {"recorded": {"m": {"text": "yes"}}}
    items: list[dict[str, Any]] = [
        {"id": "a", "inputs": {"question": "1"}, "reference": "yes"},
        {"id": "b", "inputs": {"question": "2"}},
    ]
    await sqlite_project.make("datasets", "questions", {"items": [items[0] | recorded, items[1]]})
    await sqlite_project.make(
        "suites", "checks", {"dataset": "questions", "endpoints": ["m"], "scorers": [{"use": "exact_match"}]}
    )
    run = await sqlite_project.run()
    assert (cells(run), run["errors"]) == ({"answered": 1, "errored": 1}, {"not_recorded": 1})


async def test_resuming_asks_only_what_was_lost(project: Project, asked: Endpoint) -> None:
    asked.answer = lambda body: unauthorised(body) if in_turn(body) % 3 == 0 else echo(body)
    await project.suite(asked, 10)
    run = await project.run()
    assert cells(run) == {"answered": 6, "errored": 4}
    asked.answer = echo
    asked.reset()
    await project.act(run["id"], "resume")
    resumed = await project.rest(run["id"])
    assert (asked.calls, cells(resumed), resumed["errors"]) == (4, {"answered": 10}, {})
    assert variant(resumed, "c1:model")["metrics"][RIGHT]["n"] == 10


async def test_cancelling_stops_calls_at_once_and_resuming_finishes(project: Project, asked: Endpoint) -> None:
    asked.latency_s = 0.2
    await project.suite(asked, 60, limits={"max_concurrency": 8})
    run_id = await project.begin()
    await asked.reached(16)
    cancelled = await project.act(run_id, "cancel")
    stopped = asyncio.get_running_loop().time()
    counted = cells(cancelled)
    assert cancelled["status"] == "cancelled"
    assert counted["cancelled"] >= 30
    await asyncio.sleep(1.2)
    assert max(asked.began) - stopped < 1.0
    asked.latency_s = 0.0
    await project.act(run_id, "resume")
    done = await project.rest(run_id)
    assert (done["status"], cells(done)) == ("done", {"answered": 60})
    assert asked.calls <= 60 + 8


async def test_a_run_at_rest_is_not_cancelled_and_one_at_work_is_not_resumed(
    sqlite_project: Project, asked: Endpoint
) -> None:
    await sqlite_project.suite(asked, 3)
    run = await sqlite_project.run()
    assert (await sqlite_project.act(run["id"], "cancel"))["status"] == "done"
    asked.latency_s = 0.5
    run_id = await sqlite_project.begin(fresh=True)
    for what in ("resume", "rescore"):
        answer = await sqlite_project.client.post(f"/api/v1/runs/{run_id}/{what}", json={})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:promptward:conflict")
    await sqlite_project.rest(run_id)


async def test_cancelling_and_resuming_are_written_down_once_each(project: Project, asked: Endpoint) -> None:
    asked.latency_s = 0.2
    await project.suite(asked, 20, limits={"max_concurrency": 4}, price={"input": 1, "output": 1})
    run_id = await project.begin()
    await asked.reached(4)
    await asyncio.gather(*(project.act(run_id, "cancel") for _ in range(2)))
    await project.act(run_id, "cancel")
    asked.latency_s = 0.0
    await project.act(run_id, "resume", budget_usd=2)
    await project.rest(run_id)
    entries = (await project.get("/api/v1/audit", action="run"))["items"]
    assert [(e["action"], e["reason"]) for e in reversed(entries)] == [
        ("run.created", ""),
        ("run.cancelled", "cancelled by its user"),
        ("run.resumed", ""),
    ]
    assert {e["subject"] for e in entries} == {f"run {run_id}"}
    assert entries[0]["details"] == {"suite": "checks@1", "budget_usd": 2.0}


@pytest.mark.parametrize("seed", range(4))
async def test_counts_add_up_whatever_happens(sqlite_project: Project, asked: Endpoint, seed: int) -> None:
    rng = random.Random(seed)
    fate = {n: rng.choice([echo, echo, content_filter, unauthorised]) for n in range(25)}
    asked.answer = lambda body: fate[in_turn(body)](body)
    asked.latency_s = 0.02
    await sqlite_project.suite(asked, 25, limits={"max_concurrency": 5}, price={"input": 1, "output": 1})
    await sqlite_project.question("other", system="Other.")
    both = {"candidates": [{"prompt": "ask"}, {"prompt": "other"}], "repeats": 2}
    run_id = await sqlite_project.begin(**both, **({"budget_usd": 0.02} if rng.random() < 0.5 else {}))
    if rng.random() < 0.5:
        await asyncio.sleep(rng.random() / 5)
        await sqlite_project.act(run_id, "cancel")
    first = await sqlite_project.rest(run_id)
    cells(first)
    await sqlite_project.act(run_id, "resume", budget_usd=1)
    done = await sqlite_project.rest(run_id)
    expected = {
        "answered": 4 * sum(f is echo for f in fate.values()),
        "failed": 4 * sum(f is content_filter for f in fate.values()),
        "errored": 4 * sum(f is unauthorised for f in fate.values()),
    }
    assert cells(done) == {name: n for name, n in expected.items() if n}
    assert len(await sqlite_project.results(run_id)) == 100


async def test_an_answer_that_postgresql_cannot_hold_as_it_is_does_not_stop_the_run(
    project: Project, asked: Endpoint
) -> None:
    asked.answer = lambda _: '{"a": "nul \\u0000", "b": 1e999}'
    await project.suite(asked, 2, scorers=[{"use": "is_json"}])
    await project.question(response_format={"type": "json_object"})
    run = await project.run()
    assert (run["status"], cells(run)) == ("done", {"answered": 2})


async def test_a_tool_call_is_an_answer(project: Project, asked: Endpoint) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"x": 1}'}}
    asked.answer = lambda _: http(200, completion(None, message={"tool_calls": [call]}, finish_reason="tool_calls"))
    await project.suite(asked, 1)
    await project.make("tool-configs", "tools", {"tools": [{"function": {"name": "look"}}]})
    run = await project.run(candidates=[{"prompt": "ask", "tool_config": "tools"}])
    (result,) = await project.results(run["id"])
    assert result["answer"]["tool_calls"] == [{"id": "c", "name": "look", "arguments": '{"x": 1}'}]
    assert (result["answer"]["text"], result["answer"]["finish_reason"]) == (None, "tool_calls")


async def test_a_reader_may_look_but_not_run(sqlite_project: Project, asked: Endpoint) -> None:
    await sqlite_project.suite(asked, 1)
    made = await sqlite_project.client.post("/api/v1/keys", json={"role": "reader", "name": "looks"})
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    client: httpx2.AsyncClient = sqlite_project.client
    assert (await client.get("/api/v1/runs", headers=headers)).status_code == 200
    body = {"suite": "checks", "candidates": [{"prompt": "ask"}]}
    assert (await client.post("/api/v1/runs", json=body, headers=headers)).status_code == 403
    assert asked.calls == 0


async def test_a_service_that_ends_keeps_the_answers_in_flight_and_continues_when_it_starts(
    settings: Settings, asked: Endpoint
) -> None:
    asked.latency_s = 0.3
    async with started(settings) as app, client_of(app) as client:
        project = Project(client)
        await project.suite(asked, 60, limits={"max_concurrency": 5})
        run_id = await project.begin()
        await asked.reached(8)
    assert asked.calls < 60
    asked.latency_s = 0.0
    async with started(settings) as app, client_of(app) as client:
        done = await Project(client).rest(run_id)
    assert (done["status"], cells(done), set(asked.asked.values())) == ("done", {"answered": 60}, {1})


async def test_a_run_goes_on_by_itself_when_the_one_that_asked_for_it_is_cancelled(
    sqlite_project: Project, asked: Endpoint
) -> None:
    asked.latency_s = 0.5
    await sqlite_project.suite(asked, 10, limits={"max_concurrency": 2})
    first = await sqlite_project.begin()
    await asked.reached(2)
    second = await sqlite_project.begin()
    await sqlite_project.act(first, "cancel")
    asked.latency_s = 0.0
    done = await sqlite_project.rest(second)
    assert (done["status"], cells(done)) == ("done", {"answered": 10})


async def test_a_defect_ends_the_run_as_failed_and_the_next_one_runs(sqlite_project: Project, asked: Endpoint) -> None:
    """A kept answer that cannot be read stands for any defect: it must not leave a run that never ends."""
    await sqlite_project.suite(asked, 3)
    transport: Any = sqlite_project.client._transport
    sessions = transport.app.litestar.state.sessions
    asked.latency_s = 0.2
    await sqlite_project.run()
    async with sessions.begin() as session:
        await writing(session)
        await session.execute(text("UPDATE answer SET tool_calls = '5'"))
        await session.execute(text("DELETE FROM score"))
    run = await sqlite_project.run()
    assert (run["status"], cells(run)) == ("failed", {"cancelled": 3})
    assert "our own fault" in run["reason"]
    fresh = await sqlite_project.run(fresh=True)
    assert (fresh["status"], cells(fresh)) == ("done", {"answered": 3})
