"""Runs that are extended, cloned, retried; and what may change under them."""

from tests.app.llm.canned import http
from tests.app.runs.conftest import Project, cells, variant
from tests.app.runs.endpoint import Body, Endpoint, echo, question_of


async def problem(project: Project, path: str, body: object) -> tuple[int, str, str]:
    """Status, first pointer and detail of a request that is refused."""
    answer = await project.client.post(f"/api/v1/runs{path}", json=body)
    assert answer.status_code >= 400, answer.text
    found = answer.json()
    return answer.status_code, (found.get("errors") or [{"pointer": ""}])[0]["pointer"], found["detail"]


async def test_a_run_gets_more_cases_and_repeats_and_keeps_what_it_has(project: Project, asked: Endpoint) -> None:
    await project.suite(asked, 10)
    run = await project.run(max_cases=4)
    before = await project.results(run["id"])
    await project.act(run["id"], "extend", max_cases=7)
    more = await project.rest(run["id"])
    assert (more["status"], more["cases"], cells(more), asked.calls) == ("done", 7, {"answered": 7}, 7)
    assert (await project.results(run["id"]))[:4] == before
    await project.act(run["id"], "extend", repeats=3, max_cases=10)
    again = await project.rest(run["id"])
    assert (again["cases"], again["repeats"], cells(again), asked.calls) == (10, 3, {"answered": 30}, 30)
    metric = variant(again, "c1:model")["metrics"]["right"]
    assert (metric["n"], metric["missing"], metric["mean"]) == (10, 0, 1.0)
    results = await project.results(run["id"])
    assert len({(r["case"], r["repeat"]) for r in results}) == 30
    # The same grid asked for at once is the same cells.
    whole = await project.run(repeats=3)
    assert cells(whole) == {"cached": 30}


async def test_an_extension_that_adds_nothing_is_refused(sqlite_project: Project, asked: Endpoint) -> None:
    project = sqlite_project
    await project.suite(asked, 5)
    run = await project.run(max_cases=3, repeats=2)
    path = f"/{run['id']}/extend"
    assert (await problem(project, path, {}))[0] == 422
    assert (await problem(project, path, {"max_cases": 2}))[:2] == (422, "/max_cases")
    assert (await problem(project, path, {"repeats": 1}))[:2] == (422, "/repeats")
    assert (await problem(project, path, {"repeats": 0}))[:2] == (400, "/repeats")
    assert (await problem(project, path, {"max_cases": 3}))[0] == 422
    assert (await problem(project, "/run_none/extend", {"repeats": 3}))[0] == 404
    assert await project.get(f"/api/v1/runs/{run['id']}") == run


async def test_a_cancelled_run_that_is_extended_is_not_done_until_it_is_resumed(
    project: Project, asked: Endpoint
) -> None:
    await project.suite(asked, 40, limits={"max_concurrency": 2})
    asked.latency_s = 0.1
    run_id = await project.begin(max_cases=30)
    await asked.reached(4)
    cancelled = (await project.act(run_id, "cancel"))["cells"]["cancelled"]
    assert cancelled > 0
    asked.latency_s = 0.0
    await project.act(run_id, "extend", max_cases=35)
    extended = await project.rest(run_id)
    assert (extended["status"], extended["reason"]) == ("cancelled", "cancelled by its user")
    assert (extended["cells"]["answered"], extended["cells"]["cancelled"]) == (35 - cancelled, cancelled)
    await project.act(run_id, "resume")
    done = await project.rest(run_id)
    assert (done["status"], done["cells"]["answered"]) == ("done", 35)


async def test_a_budget_that_could_bound_nothing_is_refused_later_as_it_is_at_first(
    sqlite_project: Project, asked: Endpoint
) -> None:
    await sqlite_project.suite(asked, 4)
    run = await sqlite_project.run(max_cases=2)
    for what, body in (("extend", {"max_cases": 4}), ("resume", {})):
        path = f"/api/v1/runs/{run['id']}/{what}"
        answer = await sqlite_project.client.post(path, json={**body, "budget_usd": 1.0})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/budget_usd")
        assert "'model' has no price" in answer.json()["detail"]
    assert asked.calls == 2
    assert (await sqlite_project.get(f"/api/v1/runs/{run['id']}"))["status"] == "done"


async def test_a_run_at_work_is_not_extended(sqlite_project: Project, asked: Endpoint) -> None:
    asked.latency_s = 5
    await sqlite_project.suite(asked, 5)
    run_id = await sqlite_project.begin(max_cases=3)
    await asked.reached(1)
    assert (await problem(sqlite_project, f"/{run_id}/extend", {"repeats": 2}))[0] == 409
    await sqlite_project.act(run_id, "cancel")


async def test_a_clone_asks_for_the_same_versions_but_for_what_was_changed(project: Project, asked: Endpoint) -> None:
    await project.suite(asked, 6)
    run = await project.run(max_cases=3, seed=4, baseline={"prompt": "ask"})
    await project.question(system="Be brief.")  # version 2
    answer = await project.client.post(f"/api/v1/runs/{run['id']}/clone")
    assert answer.status_code == 202
    same = await project.rest(answer.json()["id"])
    assert [v["bundle"] for v in same["variants"]] == [v["bundle"] for v in run["variants"]]
    assert (cells(same), asked.calls) == ({"cached": 6}, 3)
    changes = {"max_cases": 5, "candidates": [{"prompt": "ask"}], "repeats": 2}
    made = (await project.client.post(f"/api/v1/runs/{run['id']}/clone", json={"changes": changes})).json()
    changed = await project.rest(made["id"])
    assert (changed["cases"], changed["repeats"]) == (5, 2)
    assert [v["prompt"] for v in changed["variants"]] == ["ask@1", "ask@2"]
    matrix = {"prompts": ["ask@1"], "params": [{}, {"temperature": 1}]}
    made = (await project.client.post(f"/api/v1/runs/{run['id']}/clone", json={"changes": {"matrix": matrix}})).json()
    assert [c["id"] for c in (await project.rest(made["id"]))["candidates"]] == ["baseline", "c1", "c2"]
    path = f"/{run['id']}/clone"
    assert (await problem(project, path, {"changes": {"repeats": 0}}))[:2] == (422, "/changes/repeats")
    assert (await problem(project, path, {"changes": {"cases": 3}}))[:2] == (422, "/changes/cases")
    assert (await problem(project, path, {"changes": {"suite": "none"}}))[:2] == (422, "/changes/suite")


async def test_only_errors_are_tried_again(project: Project, asked: Endpoint) -> None:
    def broken(body: Body) -> bytes | str:
        return http(401, {"error": {"message": "no such key"}}) if question_of(body).endswith("1") else echo(body)

    asked.answer = broken
    await project.suite(asked, 5)
    run = await project.run()
    assert cells(run) == {"answered": 4, "errored": 1}
    asked.answer = echo
    await project.act(run["id"], "resume", only="errors")
    mended = await project.rest(run["id"])
    assert (mended["status"], cells(mended), asked.calls) == ("done", {"answered": 5}, 6)
    assert (await problem(project, f"/{run['id']}/resume", {"only": "cancelled"}))[:2] == (400, "/only")


async def test_cancelled_cells_stay_when_only_errors_are_tried_again(sqlite_project: Project, asked: Endpoint) -> None:
    asked.answer = lambda _: http(400, {"error": {"message": "unknown field"}})
    await sqlite_project.suite(asked, 6, limits={"max_concurrency": 6})
    run_id = (await sqlite_project.run(max_cases=1))["id"]
    asked.latency_s = 30
    await sqlite_project.act(run_id, "extend", max_cases=6)
    await asked.reached(6)
    cancelled = await sqlite_project.act(run_id, "cancel")
    assert cells(cancelled) == {"errored": 1, "cancelled": 5}
    asked.answer, asked.latency_s = echo, 0
    await sqlite_project.act(run_id, "resume", only="errors")
    run = await sqlite_project.rest(run_id)
    assert (run["status"], cells(run)) == ("cancelled", {"answered": 1, "cancelled": 5})


async def test_an_archived_suite_starts_no_run_and_a_digest_still_does(
    sqlite_project: Project, asked: Endpoint
) -> None:
    project = sqlite_project
    await project.suite(asked, 2)
    digest = (await project.get("/api/v1/suites/checks/versions/latest"))["digest"]
    answer = await project.client.delete("/api/v1/suites/checks")
    assert answer.is_success, answer.text
    refused = await project.refused()
    assert (refused["status"], refused["errors"][0]["pointer"]) == (422, "/suite")
    assert "promptward restore suites checks" in refused["detail"]
    assert asked.calls == 0
    run = await project.run(suite=digest)
    assert cells(run) == {"answered": 2}


async def test_an_endpoint_that_is_changed_and_archived_while_a_run_calls_it_is_called_to_the_end(
    project: Project, asked: Endpoint
) -> None:
    asked.latency_s = 0.1
    await project.suite(asked, 12, limits={"max_concurrency": 2})
    run_id = await project.begin()
    await asked.reached(1)
    await project.make(
        "endpoints", "model", {"provider": "compatible", "base_url": "http://127.0.0.1:1/v1", "model": "m"}
    )
    answer = await project.client.delete("/api/v1/endpoints/model")
    assert answer.is_success, answer.text
    run = await project.rest(run_id)
    assert (run["status"], cells(run), asked.calls) == ("done", {"answered": 12}, 12)
    await project.act(run_id, "extend", repeats=2)
    more = await project.rest(run_id)
    assert cells(more) == {"answered": 24}


async def test_an_endpoint_with_no_room_for_a_call_is_refused_when_it_is_made(sqlite_project: Project) -> None:
    content = {"provider": "compatible", "base_url": "http://127.0.0.1:1/v1", "model": "m"}
    for limits in ({"max_concurrency": 0}, {"rpm": 0}, {"tpm": -1}):
        answer = await sqlite_project.client.post(
            "/api/v1/endpoints/model/versions", json={"content": {**content, "limits": limits}}
        )
        (name,) = limits
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/content/limits/{name}")
