"""What cannot be run is refused before anything is stored or called, with the place and the fix."""

from typing import Any

import httpx2

from tests.app.runs.conftest import ASK, Model, Project, small
from tests.app.runs.endpoint import Endpoint

MISTAKES: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"suite": "smal"}, "/suite", ["smal"]),
    ({"suite": "small@9"}, "/suite", ["small", "9"]),
    ({"suite": {"content": {"dataset": "questions", "scorers": []}}}, "/suite/content/scorers", ["length"]),
    ({"suite": {"content": {"dataset": "nothing", "scorers": [{"use": "exact_match"}]}}}, "/suite/content/dataset", ["nothing"]),
    ({"suite": {"content": {"dataset": "questions", "scorers": [{"use": "exactly"}]}}}, "/suite/content/scorers/0/use", ["exact_match"]),
    ({"candidates": [{"prompt": "asks"}]}, "/candidates/0/prompt", ["asks"]),
    ({"candidates": [{"prompt": "ask"}, {"prompt": "ask", "endpoint": "e9"}]}, "/candidates/1/endpoint", ["e9"]),
    ({"candidates": [{"prompt": "ask", "rag_config": "none"}]}, "/candidates/0/rag_config", ["none"]),
    ({"baseline": {"prompt": "live"}}, "/baseline/prompt", ["live"]),
    ({"candidates": [{"prompt": {"content": {"messages": [{"role": "user", "content": "{{ x"}]}}}]}, "/candidates/0/prompt/content/messages/0/content", ["line 1", "}}"]),
    ({"candidates": []}, "/candidates", []),
    ({"candidate": [{"prompt": "ask"}]}, "/candidate", ["candidate"]),
    ({"repeats": 0}, "/repeats", ["1"]),
    ({"budget_usd": "much"}, "/budget_usd", ["str"]),
    ({"max_cases": -1}, "/max_cases", ["1"]),
]  # fmt: skip


async def test_a_mistake_is_pointed_at_and_nothing_is_stored(sqlite_client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(sqlite_client)
    await small(project, model, questions=["One?"])
    for change, pointer, named in MISTAKES:
        problem = await project.refused(**{"suite": "small", "candidates": ASK, **change})
        assert problem["status"] in (400, 422), change
        assert [error["pointer"] for error in problem["errors"]] == [pointer], problem
        assert all(word in problem["detail"] for word in named), problem["detail"]
    assert await model.calls() == 0


async def test_a_case_without_a_variable_is_named_with_the_variable(
    sqlite_client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(sqlite_client)
    await small(project, model)
    cases = [{"id": "good", "inputs": {"question": "One?"}}, {"id": "bad", "inputs": {"frage": "Zwei?"}}]
    await project.make("datasets", "questions", {"items": cases})
    suite = {"dataset": "questions", "endpoints": ["e1"], "scorers": [{"use": "length"}]}
    await project.make("suites", "small", suite)
    problem = await project.refused(suite="small", candidates=ASK)
    assert problem["status"] == 422
    (error,) = problem["errors"]
    assert "'bad'" in error["detail"]
    assert "question" in error["detail"]
    assert "'good'" not in problem["detail"]
    assert await model.calls() == 0


async def test_a_suite_without_endpoints_needs_one_from_the_candidate(
    sqlite_client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(sqlite_client)
    await small(project, model)
    await project.make("suites", "bare", {"dataset": "questions", "scorers": [{"use": "exact_match"}]})
    problem = await project.refused(suite="bare", candidates=ASK)
    assert problem["errors"][0]["pointer"] == "/candidates/0/endpoint"
    run = await project.run(suite="bare", candidates=[{"prompt": "ask", "endpoint": "e1"}])
    assert run["cells"]["answered"] == 5


async def test_a_body_that_is_no_run_is_a_400(sqlite_client: httpx2.AsyncClient) -> None:
    for body in (b"", b"{", b"[]", b"\xff\xfe", b"null", b'"run"'):
        answer = await sqlite_client.post("/api/v1/runs", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), body
        assert "Traceback" not in answer.text


async def test_a_nul_character_is_refused_wherever_it_is_sent(project: Project, asked: Endpoint) -> None:
    await project.suite(asked, 1)
    bad = "a\x00b"
    for path in ("runs/run_%00", "runs/run_%00/results", "runs/run_%00/summary", "schedules/n%00"):
        answer = await project.client.get(f"/api/v1/{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:promptward:not-found"), path
    for path in ("runs", "leaderboard", "drift"):
        answer = await project.client.get(f"/api/v1/{path}", params={"suite": bad})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/suite"), path
    refused = await project.refused(candidates=[{"prompt": "ask", "params": {"stop": [bad]}}])
    assert refused["status"] == 422
    assert refused["errors"][0]["pointer"] == "/candidates/0/params/stop/0"
