"""What infrastructure does to a run: never a score, never a pass, and nothing paid for again."""

import re

import httpx2

from app.devmodel import running_devmodel
from tests.app.runs.conftest import ASK, Model, Project, cells, small
from tests.benchmarks.processes import free_port

BROKEN = {
    "dev-echo?fail=500": ("server", "answered 500"),
    "dev-echo?fail=401": ("auth", "name the environment variable"),
    "dev-echo?fail=html": ("bad_response", "base_url must be the API's"),
    "dev-echo?fail=truncated": ("bad_response", "cut its answer short|cut short or broken"),
    "dev-echo?fail=empty": ("bad_response", "answered with nothing"),
    "dev-echo?fail=timeout": ("timeout", "raise timeout_s"),
}


async def test_each_kind_of_broken_endpoint_is_an_error_that_names_the_endpoint_and_the_fix(
    sqlite_client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(sqlite_client)
    names = await small(project, model, *BROKEN, questions=["What?"], timeout_s=0.3)
    run = await project.run(suite="small", candidates=ASK)
    assert run["status"] == "done"
    assert cells(run) == {"errored": len(BROKEN)}
    assert run["errors"] == {"server": 1, "auth": 1, "bad_response": 3, "timeout": 1}
    found = await project.get(f"/api/v1/runs/{run['id']}/results")
    for name, result, (kind, fix) in zip(names, found["items"], BROKEN.values(), strict=True):
        assert (result["status"], result["error_kind"], result["answer"], result["scores"]) == (
            "errored",
            kind,
            None,
            {},
        )
        assert repr(name) in result["error"]
        assert model.base_url.removeprefix("http://").removesuffix("/v1") in result["error"]
        assert re.search(fix, result["error"]), result["error"]
    for shown in run["variants"]:
        assert shown["metrics"]["exact_match"]["n"] == 0
        assert shown["metrics"]["exact_match"]["missing"] == 1
        assert shown["metrics"]["exact_match"]["mean"] is None


async def test_a_resumed_run_calls_only_what_was_lost_once_the_endpoint_is_back(
    sqlite_client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(sqlite_client)
    port = free_port()
    await small(project, model, "dev-echo")
    down = {"provider": "compatible", "base_url": f"http://127.0.0.1:{port}/v1", "model": "dev-echo"}
    await project.make("endpoints", "down", down)
    suite = {"dataset": "questions", "endpoints": ["e1", "down"], "scorers": [{"use": "exact_match"}]}
    await project.make("suites", "small", suite)
    run = await project.run(suite="small", candidates=ASK)
    assert cells(run) == {"answered": 5, "errored": 5}
    assert run["errors"] == {"connection": 5}
    async with running_devmodel(port=port) as back:
        answer = await sqlite_client.post(f"/api/v1/runs/{run['id']}/resume", json={})
        assert answer.status_code == 202, answer.text
        resumed = await project.rest(run["id"])
        assert await Model(back).calls() == 5
    assert await model.calls() == 5
    assert (resumed["status"], cells(resumed), resumed["errors"]) == ("done", {"answered": 10}, {})
    assert [v["metrics"]["exact_match"]["mean"] for v in resumed["variants"]] == [1.0, 1.0]


async def test_an_endpoint_that_refuses_for_a_moment_is_asked_again(
    sqlite_client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(sqlite_client)
    await small(project, model, "dev-echo?fail=429*2&retry_after=0.05")
    run = await project.run(suite="small", candidates=ASK)
    assert cells(run) == {"answered": 5}
    assert await model.calls() == 15


async def test_an_error_is_not_kept_so_the_next_run_asks_again(sqlite_client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(sqlite_client)
    await small(project, model, "dev-echo?fail=401*1")
    assert cells(await project.run(suite="small", candidates=ASK)) == {"errored": 5}
    assert cells(await project.run(suite="small", candidates=ASK)) == {"answered": 5}
