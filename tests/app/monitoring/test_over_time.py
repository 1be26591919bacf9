"""What runs say over time: who is best, and whether what stands behind a name has changed."""

from typing import Any

from tests.app.llm.canned import completion, http
from tests.app.monitoring.conftest import CASES, Time
from tests.app.runs.endpoint import Endpoint, echo, question_of

LATENCY = {"use": "latency"}


async def test_the_leaderboard_ranks_endpoints_by_their_latest_run_and_keeps_the_history(time: Time) -> None:
    await time.recorded("good", "also", "bad")
    nightly = {"suite": "checks", "candidates": [{"prompt": "ask", "endpoint": e} for e in ("bad", "good")]}
    await time.project.run(**nightly)
    time.move(days=1)
    await time.project.run(**nightly)
    time.move(days=1)
    some = await time.project.run(candidates=[{"prompt": "ask", "endpoint": "also"}], max_cases=5)
    board = await time.project.get("/api/v1/leaderboard", suite="checks")
    assert (board["metric"], board["direction"], board["runs"], board["complete"]) == ("right", "maximize", 3, True)
    assert [place["endpoint"] for place in board["places"]] == ["also", "good", "bad"]
    also, good, bad = board["places"]
    assert (also["latest"]["run"], also["latest"]["n"], len(also["history"])) == (some["id"], 5, 1)
    assert (also["same_data"], good["same_data"]) == (True, False)
    assert (good["latest"]["mean"], bad["latest"]["mean"], len(bad["history"])) == (1.0, 0.25, 2)
    assert bad["latest"]["low"] < 0.25 < bad["latest"]["high"]
    since = await time.project.get("/api/v1/leaderboard", suite="checks", since=some["created_at"])
    assert [place["endpoint"] for place in since["places"]] == ["also"]


async def test_the_leaderboard_tells_cost_and_latency_where_they_are_known(time: Time, asked: Endpoint) -> None:
    price = {"input": 10.0, "output": 10.0}
    await time.project.suite(asked, 4, scorers=[{"use": "contains", "name": "right"}, LATENCY], price=price)
    run = await time.project.run()
    await time.project.run()
    (place,) = (await time.project.get("/api/v1/leaderboard", suite="checks"))["places"]
    assert place["cost_per_cell_usd"] == run["cost_usd"] / 4 > 0
    assert place["latest"]["cost_per_cell_usd"] is None
    assert place["latency_ms"] > 0
    slowest = await time.project.get("/api/v1/leaderboard", suite="checks", metric="latency")
    assert (slowest["direction"], slowest["unit"]) == ("minimize", "ms")
    unknown = await time.client.get("/api/v1/leaderboard", params={"suite": "checks", "metric": "left"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/metric")
    nobody = await time.project.get("/api/v1/leaderboard", suite="unheard-of")
    assert (nobody["places"], nobody["runs"]) == ([], 0)


async def nights(time: Time, count: int) -> None:
    for _ in range(count):
        time.move(days=1)
        assert await time.tick() == 1
        ended = await time.ended()
        assert ended["outcome"]["status"] == "done", ended


async def watched(time: Time, asked: Endpoint) -> None:
    await time.project.suite(asked, CASES)
    await time.declare(fresh=True)


async def drift(time: Time) -> dict[str, Any]:
    return await time.project.get("/api/v1/drift", suite="checks", endpoint="model")


async def test_an_endpoint_that_answers_as_before_has_not_drifted(time: Time, asked: Endpoint) -> None:
    await watched(time, asked)
    await nights(time, 3)
    assert asked.calls == 3 * CASES
    found = await drift(time)
    (series,) = found["series"]
    assert (found["drifted"], series["changed"], series["look"], len(series["samples"])) == (False, [], 2, 3)
    assert [one["what"] for one in series["against"]] == ["first", "previous"]


async def test_answers_that_became_worse_behind_the_same_name_are_drift(time: Time, asked: Endpoint) -> None:
    await watched(time, asked)
    await nights(time, 2)
    asked.answer = lambda body: echo(body) if int(question_of(body).split()[1]) % 2 else "I would rather not say."
    await nights(time, 1)
    found = await drift(time)
    (series,) = found["series"]
    assert found["drifted"]
    first, previous = series["against"]
    (moved,) = first["metrics"]
    assert (moved["before"], moved["now"], moved["changed"]) == (1.0, 0.5, True)
    assert moved["adjusted"] <= series["level"] == 0.05 / 6
    assert previous["metrics"][0]["changed"]
    assert series["changed"][0].startswith("since the first run")
    assert "right went from 1.000 to 0.500" in series["changed"][0]


async def test_another_model_behind_the_same_name_is_drift_though_no_score_moved(time: Time, asked: Endpoint) -> None:
    await watched(time, asked)
    asked.answer = lambda body: named("m-2026-01", echo(body))
    await nights(time, 2)
    assert not (await drift(time))["drifted"]
    asked.answer = lambda body: named("m-2026-03", echo(body))
    await nights(time, 1)
    found = await drift(time)
    assert found["drifted"]
    first = found["series"][0]["against"][0]
    assert (first["models_before"], first["models_now"], first["model_changed"]) == (["m-2026-01"], ["m-2026-03"], True)
    assert "changed from m-2026-01 to m-2026-03" in found["series"][0]["changed"][0]


async def test_other_content_and_other_cases_begin_series_of_their_own(time: Time, asked: Endpoint) -> None:
    await watched(time, asked)
    await nights(time, 1)
    await time.project.question(system="Be brief.")
    await nights(time, 1)
    await time.request("PATCH", "/schedules/nightly", {"max_cases": 5})
    await nights(time, 1)
    series = (await drift(time))["series"]
    assert [(one["prompt"], one["cases"], one["look"]) for one in series] == [
        ("ask@2", 5, 0),
        ("ask@2", CASES, 0),
        ("ask@1", CASES, 0),
    ]


def named(model: str, text: str) -> bytes:
    return http(200, {**completion(text), "model": model})
