"""What is due is run once, whatever clocks and processes do."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from app.monitoring.schedules import Schedules
from app.releases.live import live_candidates
from tests.app.monitoring.conftest import CASES, Time
from tests.app.runs.endpoint import Endpoint
from tests.conftest import client_of


async def test_a_schedule_runs_its_suite_when_it_is_due_and_tells_how_that_ended(time: Time) -> None:
    await time.recorded("good")
    made = await time.declare()
    assert made["next_at"] == "2026-03-03T03:00:00Z"
    assert await time.tick() == 0
    time.move(datetime(2026, 3, 3, 3, 0, 1, tzinfo=UTC))
    assert await time.tick() == 1
    ended = await time.ended()
    assert (ended["trigger"], ended["state"], ended["due_at"]) == ("cron", "ended", "2026-03-03T03:00:00Z")
    assert (ended["outcome"]["status"], ended["outcome"]["cells"]["answered"]) == ("done", CASES)
    run = await time.project.get(f"/api/v1/runs/{ended['run']}")
    assert run["created_by"] == f"schedule nightly ({ended['id']})"
    read = await time.read()
    assert (read["next_at"], read["last"]["id"]) == ("2026-03-04T03:00:00Z", ended["id"])


async def test_a_time_is_run_once_though_several_processes_look_at_the_clock(time: Time) -> None:
    await time.recorded("good")
    await time.declare()
    time.move(days=1)
    state = time.app.litestar.state
    others = [Schedules(state.sessions, state.runs, live_candidates, state.clock) for _ in range(4)]
    begun = await asyncio.gather(*(one.tick() for one in [time.schedules, *others]))
    assert sum(begun) == 1
    assert len(await time.runs()) == 1


async def test_after_a_week_without_a_service_one_run_stands_for_all_that_was_missed(time: Time) -> None:
    await time.recorded("good")
    await time.declare()
    time.move(days=7)
    assert [await time.tick(), await time.tick()] == [1, 0]
    (only,) = await time.runs()
    assert only["due_at"] == "2026-03-03T03:00:00Z"
    assert "missed" in only["reason"]
    assert (await time.read())["next_at"] == "2026-03-10T03:00:00Z"


async def test_a_clock_that_jumps_back_runs_no_time_twice(time: Time) -> None:
    await time.recorded("good")
    await time.declare(cron="0 * * * *")
    time.move(hours=1)
    assert await time.tick() == 1
    await time.ended()
    time.move(hours=-1)
    assert await time.tick() == 0
    await time.request("PATCH", "/schedules/nightly", {"description": "changed while the clock stands wrong"})
    time.move(hours=1)
    assert await time.tick() == 0
    time.move(hours=1)
    assert await time.tick() == 1
    assert [one["due_at"] for one in await time.runs()] == ["2026-03-02T14:00:00Z", "2026-03-02T13:00:00Z"]


async def test_while_its_run_is_at_work_the_next_one_is_skipped_and_says_so(time: Time, asked: Endpoint) -> None:
    asked.latency_s = 30
    await time.project.suite(asked, 2)
    await time.declare(cron="0 * * * *")
    time.move(hours=1)
    assert await time.tick() == 1
    time.move(hours=1)
    assert await time.tick() == 0
    skipped, first = await time.runs()
    assert (skipped["state"], skipped["run"], first["state"]) == ("skipped", None, "started")
    assert f"{first['run']}, is still at work" in skipped["reason"]
    await time.project.act(first["run"], "cancel")
    time.move(hours=1)
    assert await time.tick() == 1
    assert [one["state"] for one in await time.runs()] == ["started", "skipped", "ended"]


async def test_a_schedule_whose_suite_was_archived_fails_and_says_so(time: Time) -> None:
    await time.recorded("good")
    await time.declare()
    await time.request("DELETE", "/suites/checks", status=204)
    time.move(days=1)
    await time.tick()
    (failed,) = await time.runs()
    assert (failed["state"], failed["run"]) == ("failed", None)
    assert "the suite 'checks' is archived" in failed["reason"]


async def test_a_run_that_was_claimed_and_not_made_is_made_by_another_process(time: Time) -> None:
    """The row says `starting`: its process ended between the two transactions, in one case after the run was made."""
    await time.recorded("good")
    await time.declare()
    time.move(days=1)
    await time.tick()
    before = await time.ended()
    async with time.app.litestar.state.sessions.begin() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("UPDATE schedule_run SET state = 'starting', run_id = NULL, outcome = NULL")
    assert await time.tick() == 0
    time.move(minutes=3)
    await time.tick()
    again = await time.ended()
    assert (again["state"], again["run"]) == ("ended", before["run"])
    assert len((await time.project.get("/api/v1/runs"))["items"]) == 1


async def test_a_schedule_that_is_off_waits_and_runs_when_it_is_told_to(time: Time) -> None:
    await time.recorded("good")
    assert (await time.declare(enabled=False))["next_at"] is None
    time.move(days=2)
    assert await time.tick() == 0
    (made,) = (await time.request("POST", "/schedules/nightly/run"))["items"]
    assert (made["trigger"], made["state"]) == ("now", "started")
    on = await time.request("PATCH", "/schedules/nightly", {"enabled": True})
    assert on["next_at"] == "2026-03-05T03:00:00Z"


async def test_the_clock_of_a_service_looks_by_itself(time: Time) -> None:
    await time.recorded("good")
    await time.declare()
    time.move(days=1)
    state = time.app.litestar.state
    looking = Schedules(state.sessions, state.runs, live_candidates, state.clock, every_s=0.05)
    looking.start()
    async with asyncio.timeout(20):
        while not await time.runs():  # noqa: ASYNC110 - what is due shows in the list
            await asyncio.sleep(0.05)
    await looking.close()


async def test_fields_of_a_schedule_are_those_of_its_runs(sqlite_time: Time) -> None:
    await sqlite_time.recorded("good", "bad")
    suites = {"suite": None, "suites": ["checks", "more"]}
    await sqlite_time.suite("more", "bad")
    body = {"cron": "*/5 * * * *", "suites": suites["suites"], "candidates": [{"prompt": "ask"}], "max_cases": 5}
    await sqlite_time.request("POST", "/schedules", {"name": "a/b", **body, "repeats": 2, "fresh": True}, 201)
    sqlite_time.move(minutes=5)
    assert await sqlite_time.tick() == 2
    both = await sqlite_time.runs("a%2Fb")
    runs = [await sqlite_time.project.rest(one["run"]) for one in both]
    assert sorted(run["suite"] for run in runs) == ["checks@1", "more@1"]
    assert {(run["cases"], run["repeats"]) for run in runs} == {(5, 2)}


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"cron": "0 0 30 2 *"}, "/cron", "never fires"),
        ({"cron": "0 3 * *"}, "/cron", "no cron expression"),
        ({"cron": "@daily"}, "/cron", "no cron expression"),
        ({"cron": "61 * * * *"}, "/cron", "out of range"),
        ({"cron": "R 1 * * *"}, "/cron", "no cron expression"),
        ({"cron": "*/5," * 100_000 + "1 * * * *"}, "/cron", "<= 200"),
        ({"timezone": "Europe/Atlantis"}, "/timezone", "no time zone"),
        ({"timezone": "/etc/passwd"}, "/timezone", "no time zone"),
        ({"suite": "sha256:0123456789ab"}, "/suite", "cannot be part of a name"),
        ({"suite": "chekcs"}, "/suite", "did you mean 'checks'"),
        ({"candidates": [{"prompt": "aks"}]}, "/candidates/0/prompt", "there is no prompt"),
        ({"live": "production", "candidates": [{"prompt": "ask"}]}, "/candidates", "either"),
        ({"live": "Production"}, "/live", "no label"),
        ({"champion": "good"}, "/champion", "belongs to"),
        ({"priority": "urgent"}, "/priority", ""),
        ({"crom": "0 3 * * *"}, "", "did you mean `cron`"),
        ({"name": "a b"}, "/name", "cannot be part of a name"),
    ],
)
async def test_a_schedule_that_cannot_work_is_refused_with_its_place(
    sqlite_time: Time, body: dict[str, Any], pointer: str, words: str
) -> None:
    await sqlite_time.recorded("good")
    problem = await sqlite_time.declare(**{"name": "nightly", "status": 422, **body})
    assert any(one["pointer"].startswith(pointer) and words in one["detail"] for one in problem["errors"]), problem
    assert (await sqlite_time.request("GET", "/schedules"))["items"] == []


async def test_a_schedule_is_made_once_changed_in_part_and_deleted(time: Time) -> None:
    await time.recorded("good")
    await time.declare()
    await time.declare(status=409)
    changed = await time.request("PATCH", "/schedules/nightly", {"timezone": "Asia/Tokyo", "max_cases": 3})
    assert (changed["next_at"], changed["definition"]["max_cases"]) == ("2026-03-02T18:00:00Z", 3)
    back = await time.request("PATCH", "/schedules/nightly", {"timezone": None})
    assert "timezone" not in back["definition"]
    await time.request("PATCH", "/schedules/nightly", {"cron": "0 0 31 4 *"}, status=422)
    await time.request("DELETE", "/schedules/nightly", status=204)
    await time.request("GET", "/schedules/nightly", status=404)
    audit = (await time.project.get("/api/v1/audit", limit=20))["items"]
    noted = [one["action"] for one in audit if one["action"].startswith("schedule.")]
    assert sorted(noted) == ["schedule.changed", "schedule.changed", "schedule.created", "schedule.deleted"]


async def test_only_who_may_change_schedules_syncs_them_and_an_export_is_found_unchanged(time: Time) -> None:
    await time.recorded("good")
    text = "schedules:\n  nightly: {cron: '0 3 * * *', suite: checks, live: production}\n"
    body = {"mode": "apply", "files": [{"path": "promptward.yaml", "text": text}]}
    key = (await time.request("POST", "/keys", {"role": "proposer", "name": "bot"}, 201))["key"]
    async with client_of(time.app, key) as proposer:
        refused = await proposer.post("/api/v1/sync", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (403, "promptward.yaml#/schedules/nightly")
    assert (await time.request("GET", "/schedules"))["items"] == []
    await time.request("POST", "/sync", body)
    exported = await time.request("GET", "/export")
    (file,) = [one for one in exported["files"] if one["path"] == "promptward.yaml"]
    body["files"] = [{"path": "promptward.yaml", "text": file["text"]}]
    again = await time.request("POST", "/sync", body)
    assert again["schedule_changes"] == [{"name": "nightly", "action": "unchanged"}]


async def test_in_an_archived_project_nothing_is_run_until_it_is_restored(time: Time) -> None:
    key = (await time.request("POST", "/projects", {"name": "theirs"}, 201))["key"]["key"]
    async with client_of(time.app, key) as client:
        theirs = Time([time.now], time.app, client)
        await theirs.recorded("good")
        await theirs.declare()
        await theirs.declare("newcomers", on="new_endpoint", suite="checks", prompt="ask", champion="good")
        await theirs.project.replay("bad")
        await time.request("PATCH", "/projects/theirs", {"archived": True})
        time.move(days=1)
        assert await time.tick() == 0
        await time.request("PATCH", "/projects/theirs", {"archived": False})
        assert await time.tick() == 2


async def test_sides_that_cannot_be_compared_say_why_and_the_run_is_settled(time: Time) -> None:
    await time.recorded("good", "also", "bad")
    both = {"dataset": "questions", "endpoints": ["good", "also"], "scorers": [{"use": "exact_match"}]}
    await time.project.make("suites", "checks", both)
    await time.declare(baseline={"prompt": "ask", "endpoint": "bad"})
    time.move(days=1)
    await time.tick()
    ended = await time.ended()
    (compared,) = ended["outcome"]["comparisons"]
    assert (ended["state"], compared["metrics"]) == ("ended", [])
    assert "share no endpoint" in compared["reason"]
