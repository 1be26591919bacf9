"""What is live is evaluated again, and a new endpoint is compared with it."""

from tests.app.monitoring.conftest import Time
from tests.app.releases.conftest import Door


async def test_a_new_endpoint_is_run_once_and_compared_with_the_champion(time: Time) -> None:
    await time.recorded("good", "also")
    await time.suite("more", "good")
    body = {"on": "new_endpoint", "suites": ["checks", "more"], "prompt": "ask", "champion": "good"}
    made = await time.declare("newcomers", **body)
    assert made["next_at"] is None
    assert await time.tick() == 0
    await time.project.replay("bad")
    time.move(minutes=1)
    assert [await time.tick(), await time.tick()] == [2, 0]
    ended = await time.ended("newcomers")
    both = await time.runs("newcomers")
    assert {(one["trigger"], one["endpoint"], one["suite"]) for one in both} == {
        ("endpoint", "bad", "checks"),
        ("endpoint", "bad", "more"),
    }
    (compared,) = ended["outcome"]["comparisons"]
    (right,) = compared["metrics"]
    assert (right["metric"], right["candidate"], right["baseline"]) == ("right", 0.25, 1.0)
    assert right["low"] < right["difference"] < right["high"] < 0
    run = await time.project.get(f"/api/v1/runs/{ended['run']}")
    assert [variant["endpoint"] for variant in run["variants"]] == ["good@1", "bad@1"]
    await time.project.make("endpoints", "bad", {"provider": "replay", "model": "bad", "description": "again"})
    assert await time.tick() == 0


async def test_without_a_champion_it_is_what_is_live_and_without_that_the_reason_is_told(time: Time) -> None:
    await time.recorded("good")
    await time.declare("newcomers", on="new_endpoint", suite="checks", prompt="ask")
    await time.project.replay("bad")
    await time.tick()
    (failed,) = await time.runs("newcomers")
    assert failed["state"] == "failed"
    assert "nothing is live in production for 'ask'" in failed["reason"]
    door = Door(time.client)
    await door.policy()
    await door.environment()
    assert (await door.release("good"))["state"] == "live"
    await time.project.replay("also")
    await time.tick()
    ended = await time.ended("newcomers")
    run = await time.project.get(f"/api/v1/runs/{ended['run']}")
    assert [variant["endpoint"] for variant in run["variants"]] == ["good@1", "also@1"]


async def test_a_sentinel_that_was_off_begins_with_what_comes_after_it_is_on_again(time: Time) -> None:
    await time.recorded("good")
    await time.declare("newcomers", on="new_endpoint", suite="checks", prompt="ask", champion="good", enabled=False)
    await time.project.replay("bad")
    assert await time.tick() == 0
    await time.request("PATCH", "/schedules/newcomers", {"enabled": True})
    assert await time.tick() == 0
    await time.project.replay("also")
    assert await time.tick() == 1


async def test_a_sentinel_evaluates_an_endpoint_that_was_there_when_it_is_told_to(sqlite_time: Time) -> None:
    await sqlite_time.recorded("good", "bad")
    body = {"on": "new_endpoint", "suite": "checks", "prompt": "ask", "champion": "good"}
    await sqlite_time.declare("newcomers", **body)
    await sqlite_time.request("POST", "/schedules/newcomers/run", {}, 422)
    await sqlite_time.request("POST", "/schedules/newcomers/run", {"endpoint": "worse"}, 422)
    (made,) = (await sqlite_time.request("POST", "/schedules/newcomers/run", {"endpoint": "bad"}))["items"]
    assert (made["state"], made["endpoint"]) == ("started", "bad")


async def test_a_schedule_runs_exactly_what_is_live_in_an_environment(time: Time) -> None:
    await time.recorded("good", "bad")
    door = Door(time.client)
    await door.policy()
    await door.environment()
    assert (await door.release("good"))["state"] == "live"
    await time.project.question(system="A draft that nobody released.")
    await time.suite("checks", "bad")
    await time.declare(live="production")
    await time.declare("one", live="ask@production")
    time.move(days=1)
    assert await time.tick() == 2
    for name in ("nightly", "one"):
        ended = await time.ended(name)
        run = await time.project.get(f"/api/v1/runs/{ended['run']}")
        assert [(v["prompt"], v["endpoint"]) for v in run["variants"]] == [("ask@1", "good@1")]


async def test_a_label_that_no_release_moves_is_run_on_the_suite_s_endpoints(time: Time) -> None:
    await time.recorded("good")
    await time.declare(live="stable")
    time.move(days=1)
    await time.tick()
    (failed,) = await time.runs()
    assert (failed["state"], failed["reason"]) == ("failed", "no prompt is live in stable")
    await time.request("PUT", "/prompts/ask/labels/stable", {"version": 1})
    time.move(days=1)
    assert await time.tick() == 1
    ended = await time.ended()
    assert ended["outcome"]["status"] == "done"
