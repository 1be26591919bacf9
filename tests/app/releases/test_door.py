"""Nothing reaches production without a pass on exactly that content."""

import asyncio
from typing import Any

import pytest

from tests.app.releases.conftest import CASES, POLICY, Door, Keys
from tests.app.runs.endpoint import endpoint
from tests.benchmarks.processes import free_port
from tests.conftest import on_both


def story(release: dict[str, Any]) -> list[tuple[str | None, str]]:
    return [(event["from"], event["to"]) for event in release["timeline"]]


@on_both
async def test_a_first_release_that_proves_its_floor_goes_live_and_takes_the_label(door: Door) -> None:
    await door.build()
    assert await door.label() is None
    release = await door.release()
    assert (release["state"], release["verdict"], release["exit_code"], release["share"]) == ("live", "pass", 0, 1.0)
    assert story(release) == [(None, "evaluating"), ("evaluating", "live")]
    assert [verdict["suite"] for verdict in release["verdicts"]] == ["checks@1"]
    assert release["pins"].keys() >= {"prompt", "endpoint", "suite/checks", "policy/checks"}
    assert (release["baseline"], release["predecessor"]) == (None, None)
    assert await door.label() == 1


async def test_a_first_release_below_its_floor_is_blocked_and_nothing_is_live(door: Door) -> None:
    await door.build()
    release = await door.release("bad")
    assert (release["state"], release["verdict"], release["exit_code"]) == ("blocked", "fail", 1)
    assert "checks@1" in release["reason"]
    assert await door.label() is None


async def test_a_first_release_without_a_floor_is_inconclusive_until_somebody_else_accepts_it(
    door: Door, keys: Keys
) -> None:
    await door.build()
    await door.policy(rules=POLICY["rules"][:1])
    release = await door.release()
    assert (release["state"], release["verdict"], release["exit_code"]) == ("blocked", "inconclusive", 3)
    own = await door.act(release, "approve", 403, accept_risk=True, reason="we must begin somewhere")
    assert own["type"] == "urn:promptward:self-approval"
    async with keys.of("approver") as other:
        without_reason = await other.act(release, "approve", 422, accept_risk=True)
        assert without_reason["errors"][0]["pointer"] == "/reason"
        plain = await other.act(release, "approve", 409)
        assert plain["type"] == "urn:promptward:release-state"
        release = await other.act(release, "approve", accept_risk=True, reason="we must begin somewhere")
    assert release["state"] == "live"
    assert release["verdict"] == "inconclusive"
    assert release["approvals"][0]["accepted_risk"] is True
    assert "we must begin somewhere" in [event["reason"] for event in release["timeline"]]


async def test_a_worse_content_is_blocked_and_what_is_live_stays(door: Door) -> None:
    await door.build()
    live = await door.release()
    worse = await door.release("bad")
    assert (worse["state"], worse["verdict"], worse["baseline"]["release"]) == ("blocked", "fail", live["id"])
    assert (await door.read(live))["state"] == "live"


@on_both
async def test_a_content_that_is_not_worse_takes_its_place_and_comes_back_in_one_call(door: Door) -> None:
    await door.build()
    first = await door.release()
    await door.prompt("Answer: {{ question }}")
    second = await door.release("alike")
    assert (second["state"], second["predecessor"]) == ("live", first["id"])
    assert (await door.read(first))["state"] == "superseded"
    assert await door.label() == 2
    gone = await door.act(second, "rollback", reason="people complain")
    assert gone["state"] == "rolled_back"
    assert (await door.read(first))["state"] == "live"
    assert await door.label() == 1
    history = await door.get("/prompts/ask/labels/production/history")
    assert [(move["from"], move["to"]) for move in history["items"]] == [(2, 1), (1, 2), (None, 1)]


async def test_without_a_predecessor_there_is_nothing_to_roll_back_to(door: Door) -> None:
    await door.build()
    release = await door.release()
    problem = await door.act(release, "rollback", 409)
    assert "no predecessor" in problem["detail"]
    assert (await door.read(release))["state"] == "live"


async def test_what_is_live_is_not_released_again(door: Door) -> None:
    await door.build()
    await door.release()
    problem = await door.release(status=409)
    assert (problem["type"], problem["status"]) == ("urn:promptward:already-live", 409)
    assert "live in production already" in problem["detail"]


async def test_only_one_release_of_a_prompt_is_on_its_way(door: Door) -> None:
    await door.build(approvals=1)
    waiting = await door.release()
    assert waiting["state"] == "awaiting_approval"
    problem = await door.release("alike", status=409)
    assert waiting["id"] in problem["detail"]
    await door.act(waiting, "reject", reason="not now")
    assert (await door.release("alike"))["state"] == "awaiting_approval"


@on_both
async def test_of_twenty_releases_made_at_once_one_is_accepted(door: Door) -> None:
    await door.build(approvals=1)
    body = {"environment": "production", "prompt": "ask", "endpoint": "good"}
    answers = await asyncio.gather(*(door.client.post("/api/v1/releases", json=body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert len((await door.get("/releases"))["items"]) == 1


@on_both
async def test_approval_is_somebody_elses_and_opens_the_door(door: Door, keys: Keys) -> None:
    await door.build(approvals={"role": "approver", "count": 2})
    release = await door.release()
    assert (release["state"], release["approvals_needed"]) == ("awaiting_approval", 2)
    await door.act(release, "approve", 403)
    await door.act(release, "promote", 409)
    async with keys.of("engineer") as engineer:
        await engineer.act(release, "approve", 403)
    async with keys.of("approver", "Ada") as ada, keys.of("approver", "Ben") as ben:
        assert (await ada.act(release, "approve", bundle=release["bundle"]))["state"] == "awaiting_approval"
        again = await ada.act(release, "approve", 409)
        assert "somebody else" in again["detail"]
        release = await ben.act(release, "approve", reason="read it")
    assert release["state"] == "live"
    assert [approval["by"].split()[0] for approval in release["approvals"]] == ["Ada", "Ben"]


async def test_whoever_wrote_the_content_does_not_approve_it(door: Door, keys: Keys) -> None:
    await door.build(approvals=1)
    async with keys.of("admin", "Ada") as ada, keys.of("proposer", "Ben") as ben:
        await ada.prompt("Please answer: {{ question }}")
        release = await ben.release()
        assert (await ada.act(release, "approve", 403))["type"] == "urn:promptward:self-approval"
        assert (await door.act(release, "approve"))["state"] == "live"


async def test_an_administrators_approval_may_be_asked_for(door: Door, keys: Keys) -> None:
    await door.build(approvals={"role": "admin", "count": 1})
    async with keys.of("proposer") as proposer, keys.of("approver") as approver:
        release = await proposer.release()
        assert "'admin'" in (await approver.act(release, "approve", 403))["detail"]
    async with keys.of("admin", "Ada") as ada:
        assert (await ada.act(release, "approve"))["state"] == "live"


async def test_as_many_must_approve_as_are_asked_for_now(door: Door, keys: Keys) -> None:
    await door.build(approvals=1)
    release = await door.release()
    await door.environment(approvals=2)
    async with keys.of("approver", "Ada") as ada, keys.of("approver", "Ben") as ben:
        waiting = await ada.act(release, "approve")
        assert (waiting["state"], waiting["approvals_needed"]) == ("awaiting_approval", 2)
        assert (await ben.act(release, "approve"))["state"] == "live"


async def test_what_is_rejected_while_it_is_evaluated_stays_rejected(door: Door) -> None:
    await door.build()
    release = await door.release(wait=0)
    if release["state"] == "evaluating":
        answer = await door.client.post(f"/api/v1/releases/{release['id']}/reject", json={})
        assert answer.status_code in (200, 409)
        expected = "rejected" if answer.status_code == 200 else "live"
        assert (await door.get(f"/releases/{release['id']}", wait=10))["state"] == expected


async def test_approvals_that_a_policy_asks_for_are_asked_for(door: Door, keys: Keys) -> None:
    await door.build()
    await door.policy(rules=[*POLICY["rules"], {"approvals": {"role": "approver", "count": 1}}])
    release = await door.release()
    assert (release["state"], release["verdict"]) == ("awaiting_approval", "inconclusive")
    async with keys.of("approver") as approver:
        release = await approver.act(release, "approve")
    assert (release["state"], release["verdict"], release["exit_code"]) == ("live", "pass", 0)


@on_both
@pytest.mark.parametrize("change", ["policy", "suite", "dataset"])
async def test_evidence_that_is_no_longer_what_is_asked_for_blocks(door: Door, keys: Keys, change: str) -> None:
    await door.build(approvals=1)
    release = await door.release()
    if change == "policy":
        await door.policy(rules=[{"metric": "right", "floor": 0.99}])
    elif change == "suite":
        await door.suite(repeats=2)
    else:
        item = {"id": "q0", "inputs": {"question": "another"}, "reference": "x", "recorded": {"good": {"text": "x"}}}
        await door.make("datasets", "questions", {"items": [item]})
        await door.suite(description="the new questions")
    async with keys.of("approver") as approver:
        problem = await approver.act(release, "approve", 409)
    assert "stale" in problem["detail"]
    release = await door.read(release)
    assert release["state"] == "blocked"
    assert "evaluate it again" in release["reason"]
    assert release["approvals"] == []
    assert await door.label() is None


async def test_evaluated_again_it_is_judged_by_what_is_asked_for_now(door: Door) -> None:
    await door.build()
    blocked = await door.release("bad")
    await door.policy(rules=[{"metric": "right", "floor": 0.20}])
    again = await door.post(f"/releases/{blocked['id']}/evaluate?wait=30")
    assert (again["state"], again["verdict"]) == ("live", "pass")


async def test_a_rollback_of_what_is_live_makes_waiting_evidence_stale(door: Door, keys: Keys) -> None:
    await door.build()
    await door.release()
    second = await door.release("alike")
    await door.environment(approvals=1)
    third = await door.release("also")
    await door.act(second, "rollback")
    async with keys.of("approver") as approver:
        problem = await approver.act(third, "approve", 409)
    assert "what is live has changed" in problem["detail"]


async def test_an_act_counts_only_for_what_was_read(door: Door) -> None:
    await door.build(approvals=1)
    release = await door.release()
    old = await door.act(release, "reject", 409, revision=release["revision"] - 1)
    assert "read it again" in old["detail"]
    other = await door.act(release, "reject", 409, bundle="sha256:" + "0" * 64)
    assert release["bundle"] in other["detail"]
    assert (await door.act(release, "reject", revision=release["revision"], bundle=release["bundle"]))[
        "state"
    ] == "rejected"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"environment": "nowhere"}, "/environment"),
        ({"prompt": "unknown"}, "/prompt"),
        ({"prompt": {"content": {"messages": [{"role": "user", "content": "x"}]}}}, "/prompt"),
        ({"endpoint": "unknown"}, "/endpoint"),
        ({"run": "run_00000000000000000000000000000000"}, "/run"),
        ({"rollout": {"steps": [0.5, 0.2]}}, "/rollout/steps"),
        ({"rag_config": "unknown"}, "/rag_config"),
    ],
)
async def test_a_release_that_cannot_be_is_refused_with_the_place(
    door: Door, body: dict[str, Any], pointer: str
) -> None:
    await door.build()
    problem = await door.release(status=422, **body)
    assert problem["errors"][0]["pointer"] == pointer
    assert (await door.get("/releases"))["items"] == []


async def test_a_prompt_that_the_environment_does_not_name_cannot_be_released(door: Door) -> None:
    await door.build()
    await door.prompt(name="other")
    problem = await door.release(prompt="other", status=422)
    assert "environments.production.prompts.other.suites" in problem["detail"]


async def test_every_suite_of_the_environment_must_pass(door: Door) -> None:
    await door.build()
    scorers = [{"use": "exact_match", "name": "right"}, {"use": "regex", "name": "short", "args": {"pattern": "^no"}}]
    await door.make("suites", "brief", {"dataset": "questions", "endpoints": ["good"], "scorers": scorers})
    await door.make("gate-policies", "brief", {**POLICY, "rules": [{"metric": "short", "floor": 0.9}]})
    await door.make(
        "suites", "brief", {"dataset": "questions", "endpoints": ["good"], "scorers": scorers, "policy": "brief"}
    )
    await door.environment(prompts={"ask": {"suites": ["checks", "brief"]}})
    nameless = await door.release(status=422)
    assert "names a gate policy" in nameless["detail"]
    await door.suite(policy="strict")
    release = await door.release()
    assert (release["state"], release["verdict"]) == ("blocked", "fail")
    assert [v["verdict"] for v in release["verdicts"]] == ["pass", "fail"]
    assert release["reason"].startswith("brief@2: fail")


async def test_an_environment_that_no_longer_names_the_prompt_lets_nothing_through(door: Door, keys: Keys) -> None:
    await door.build(approvals=1)
    release = await door.release()
    await door.environment(prompts={}, approvals=1)
    async with keys.of("approver") as approver:
        problem = await approver.act(release, "approve", 409)
    assert "stale" in problem["detail"]
    assert (await door.read(release))["state"] == "blocked"


async def test_lost_answers_are_no_evidence(door: Door) -> None:
    await door.build()
    await door.make("endpoints", "silent", {"provider": "replay", "model": "silent"})
    release = await door.release("silent")
    assert (release["state"], release["exit_code"]) == ("blocked", 4)
    assert await door.label() is None


async def test_a_finished_run_may_be_offered_as_evidence(door: Door) -> None:
    await door.build()
    run = await door.post("/runs?wait=30", {"suite": "checks", "candidates": [{"prompt": "ask", "endpoint": "good"}]})
    release = await door.release(run=run["id"])
    assert release["state"] == "live"
    assert release["verdicts"][0]["run"] == run["id"]


async def test_a_run_of_something_else_is_not_taken(door: Door) -> None:
    await door.build()
    run = await door.post("/runs?wait=30", {"suite": "checks", "candidates": [{"prompt": "ask", "endpoint": "good"}]})
    release = await door.release("bad", run=run["id"])
    assert release["state"] == "blocked"
    assert release["verdicts"][0]["run"] != run["id"]


@on_both
async def test_the_baseline_is_run_afresh_once_after_its_promotion(door: Door) -> None:
    await door.build()
    await door.release()
    before = await door.release("bad")
    run = await door.get(f"/runs/{before['verdicts'][0]['run']}")
    answered = {v["candidate"]: v["cells"]["answered"] for v in run["variants"]}
    assert answered["baseline"] == 60  # not the answers that won it its place
    after = await door.release("poor")
    run = await door.get(f"/runs/{after['verdicts'][0]['run']}")
    assert {v["candidate"]: v["cells"]["cached"] for v in run["variants"]}["baseline"] == 60


async def test_an_environment_after_another_takes_only_what_was_live_there(door: Door) -> None:
    await door.build()
    await door.environment("staging")
    await door.environment(after="staging")
    early = await door.release()
    assert (early["state"], early["verdict"]) == ("blocked", "pass")
    assert "staging" in early["reason"]
    assert (await door.release(environment="staging"))["state"] == "live"
    promoted = await door.act(early, "promote")
    assert promoted["state"] == "live"


async def test_a_freeze_holds_what_passed(door: Door) -> None:
    await door.build(freeze=[{"from": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z", "reason": "holidays"}])
    release = await door.release()
    assert (release["state"], release["verdict"]) == ("blocked", "pass")
    assert "holidays" in release["reason"]
    await door.act(release, "promote", 409)
    await door.environment()
    assert (await door.act(release, "promote"))["state"] == "live"


async def test_roles_do_what_they_may(door: Door, keys: Keys) -> None:
    await door.build(approvals=1)
    for role in ("reader", "feedback", "ci", "server"):
        async with keys.of(role) as somebody:
            await somebody.release(status=403)
    async with keys.of("proposer") as proposer:
        release = await proposer.release()
        for act in ("promote", "pause", "resume", "rollback", "reject", "approve"):
            await proposer.act(release, act, 403)
    async with keys.of("reader") as reader:
        assert (await reader.read(release))["id"] == release["id"]


@on_both
async def test_releases_are_listed_newest_first_and_filtered(door: Door) -> None:
    await door.build()
    made = [await door.release(endpoint) for endpoint in ("bad", "good", "poor")]
    listed = await door.get("/releases", limit=2)
    assert [r["id"] for r in listed["items"]] == [made[2]["id"], made[1]["id"]]
    rest = await door.get("/releases", limit=2, cursor=listed["next_cursor"])
    assert [r["id"] for r in rest["items"]] == [made[0]["id"]]
    blocked = await door.get("/releases", state="blocked", prompt="ask", environment="production")
    assert [r["id"] for r in blocked["items"]] == [made[2]["id"], made[0]["id"]]
    await door.get("/releases", 400, state="unknown")
    await door.get("/releases/rel_00000000000000000000000000000000", 404)


async def test_what_is_rejected_asks_its_models_nothing_more(door: Door) -> None:
    await door.build()
    async with endpoint(latency_s=0.2) as slow:
        content = {
            "provider": "compatible",
            "base_url": slow.base_url,
            "model": "m",
            "limits": {"max_concurrency": 4},
        }
        await door.make("endpoints", "slow", content)
        release = await door.release("slow", wait=0)
        await slow.reached(4)
        [run] = (await door.get("/runs"))["items"]
        assert run["status"] == "running"
        assert (await door.act(release, "reject", reason="a mistake"))["state"] == "rejected"
        stopped = await door.get(f"/runs/{run['id']}")
        assert (stopped["status"], stopped["reason"]) == ("cancelled", f"release {release['id']} was rejected")
        asked = slow.calls
        await asyncio.sleep(0.5)
        assert slow.calls == asked < CASES
    [entry] = (await door.get("/audit", action="run.cancelled"))["items"]
    assert (entry["subject"], entry["actor"]) == (f"run {run['id']}", "local (local)")
    assert (await door.read(release))["state"] == "rejected"


@on_both
async def test_an_endpoint_that_cannot_be_reached_is_named_with_the_reason(door: Door) -> None:
    await door.build()
    address = f"http://127.0.0.1:{free_port()}/v1"
    await door.make("endpoints", "down", {"provider": "compatible", "base_url": address, "model": "m"})
    release = await door.release("down")
    assert (release["state"], release["exit_code"]) == ("blocked", 4)
    headline = release["verdicts"][0]["headline"]
    assert headline.startswith("inconclusive: first error: ")
    assert "'down@1'" in headline
    assert f"{address} refuses connections" in headline
    assert "sha256" not in headline
    assert headline in release["reason"]


async def test_a_judge_that_cannot_be_reached_is_named_with_the_reason(door: Door) -> None:
    await door.build()
    address = f"http://127.0.0.1:{free_port()}/v1"
    await door.make("endpoints", "referee", {"provider": "compatible", "base_url": address, "model": "m"})
    rubric = {
        "instructions": "Is {{ output }} right?",
        "endpoint": "referee",
        "labels": {"no": 0, "yes": 1},
    }
    await door.make("rubrics", "rightness", rubric)
    scorers = [
        {"use": "exact_match", "name": "right"},
        {"use": "rubric", "name": "judged", "args": {"rubric": "rightness"}},
    ]
    await door.suite(scorers=scorers)
    await door.policy(rules=[*POLICY["rules"], {"metric": "judged", "floor": 0.5}])
    headline = (await door.release())["verdicts"][0]["headline"]
    assert headline.startswith("inconclusive: first error: ")
    assert "'good@1'" in headline
    assert "'referee'" in headline


async def test_the_same_content_is_not_put_on_its_way_twice(door: Door) -> None:
    await door.build()
    await door.release()
    release = await door.release("also", rollout={"steps": [0.2]})
    problem = await door.release("also", status=409)
    assert problem["type"] == "urn:promptward:release-on-its-way"
    assert f"release {release['id']} is rolling out" in problem["detail"]
    assert (await door.release("alike", status=409))["type"] == "urn:promptward:release-state"
