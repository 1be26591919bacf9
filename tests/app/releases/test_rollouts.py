"""A rollout goes as far as the people whom it is served to let it."""

import asyncio
from typing import Any

import httpx2
import pytest

from app.access.schemas import DEFAULT_PROJECT
from app.feedback.schemas import Served, Split
from app.kit.asgi import KeepEncodedSlash
from app.kit.clock import utc_now
from app.kit.ids import new_id
from app.releases.assignment import arm_of, position
from app.releases.schemas import Deployment
from tests.app.releases.conftest import POLICY, Door
from tests.conftest import on_both

RULES = [
    {"feedback": {"signal": "thumbs", "no_worse_by": 0.05}},
    {"feedback": {"signal": "stars", "no_worse_by": 0.05}},
]


class Crowd:
    """Units that are given answers as the gateway gives them, and that rate them."""

    def __init__(self, app: KeepEncodedSlash, client: httpx2.AsyncClient) -> None:
        self.state, self.client = app.litestar.state, client

    async def deployment(self) -> Deployment:
        found = await self.state.releases.deployment(DEFAULT_PROJECT, "production", "ask")
        assert found is not None
        return found  # type: ignore[no-any-return]

    async def served(self, units: range, *, failing: bool = False, ms: float = 50.0) -> dict[str, tuple[str, str]]:
        """Unit -> its arm, and the receipt of the answer that it was given."""
        deployment = await self.deployment()
        assert deployment.candidate is not None
        found, jobs = {}, []
        for n in units:
            unit = f"unit {n}"
            arm = arm_of(deployment, unit)
            name = "candidate" if arm is deployment.candidate else "baseline"
            hashed = self.state.feedback.unit_hash(DEFAULT_PROJECT, unit)
            split = Split(deployment.candidate.release, deployment.phase, name, hashed)  # type: ignore[arg-type]
            inference = Served(
                id=new_id("inf"), project_id=DEFAULT_PROJECT, environment="production", prompt="ask",
                version=arm.version, prompt_digest=None, bundle=None, release=arm.release, split=split, unit=hashed,
                key_id="k", status="errored" if failing and name == "candidate" else "answered", at=utc_now(), latency_ms=ms,
            )  # fmt: skip
            jobs.append(self.state.feedback.log(inference))
            found[unit] = (name, self.state.feedback.receipt(DEFAULT_PROJECT, inference.id))
        await asyncio.gather(*jobs)
        return found

    async def rate(self, served: dict[str, tuple[str, str]], signal: str, values: dict[str, float]) -> None:
        """Each rates what it was given: by arm, the share of those who are content (the first ones)."""
        body = []
        for name in ("candidate", "baseline"):
            receipts = [receipt for arm, receipt in served.values() if arm == name]
            content = round(values[name] * len(receipts))
            good, bad = (5, 1) if signal == "stars" else (1, 0)
            body += [
                {"receipt": receipt, "signal": signal, "value": good if i < content else bad}
                for i, receipt in enumerate(receipts)
            ]
        answer = await self.client.post("/api/v1/feedback", json=body)
        assert answer.status_code == 201, answer.text


@pytest.fixture
def crowd(app: KeepEncodedSlash, client: httpx2.AsyncClient) -> Crowd:
    return Crowd(app, client)


async def rolling(
    door: Door, steps: list[float], rules: list[dict[str, Any]] | None = None, **more: Any
) -> dict[str, Any]:
    """Something is live, and another release is at its first step."""
    await door.build()
    await door.policy(rollout_rules=RULES if rules is None else rules, **more)
    await door.release()
    release = await door.release("alike", rollout={"steps": steps})
    assert release["state"] == "rolling_out", release["reason"]
    return release


@on_both
async def test_a_rollout_begins_at_its_first_share_and_goes_step_by_step(door: Door, crowd: Crowd) -> None:
    await door.build(rollout={"steps": [0.05, {"share": 0.5}, 1]})
    live = await door.release()
    assert live["state"] == "live"  # nothing to compare with: everybody at once
    release = await door.release("alike")
    assert (release["state"], release["share"], release["steps"], release["step"]) == (
        "rolling_out",
        0.05,
        [0.05, 0.5],
        0,
    )
    assert (await door.read(live))["state"] == "live"
    assert (await door.act(release, "promote"))["share"] == 0.5
    deployment = await crowd.deployment()
    assert (deployment.share, deployment.phase, deployment.live.release) == (0.5, 1, live["id"])
    done = await door.act(release, "promote", reason="looks good")
    assert (done["state"], done["share"], done["predecessor"]) == ("live", 1.0, live["id"])
    assert [event["to"] for event in done["timeline"]] == ["evaluating", "rolling_out", "rolling_out", "live"]
    assert (await crowd.deployment()).candidate is None


async def test_nobody_who_has_the_candidate_loses_it_while_the_share_grows(door: Door, crowd: Crowd) -> None:
    release = await rolling(door, [0.05, 0.25, 0.5])
    units = [f"unit {n}" for n in range(2_000)]
    before: set[str] = set()
    for share in (0.05, 0.25, 0.5):
        deployment = await crowd.deployment()
        mine = {unit for unit in units if arm_of(deployment, unit) is deployment.candidate}
        assert before <= mine
        assert len(mine) / len(units) == pytest.approx(share, abs=0.03)
        before = mine
        await door.act(release, "promote")


def test_another_release_draws_anew() -> None:
    first = [position("rel_1", f"unit {n}") for n in range(1_000)]
    second = [position("rel_2", f"unit {n}") for n in range(1_000)]
    both = sum(a < 0.2 and b < 0.2 for a, b in zip(first, second, strict=True))
    assert 20 <= both <= 65


@on_both
async def test_of_fifty_promoters_at_once_one_wins(door: Door) -> None:
    release = await rolling(door, [0.1, 0.2, 0.3, 0.4])
    path = f"/api/v1/releases/{release['id']}/promote"
    answers = await asyncio.gather(*(door.client.post(path, json={}) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
    after = await door.read(release)
    assert (after["share"], after["step"]) == (0.2, 1)
    assert [event["no"] for event in after["timeline"]] == [1, 2, 3]


@on_both
async def test_worse_ratings_pause_a_rollout_and_a_second_signal_rolls_it_back(door: Door, crowd: Crowd) -> None:
    release = await rolling(door, [0.5])
    served = await crowd.served(range(600))
    await crowd.rate(served, "thumbs", {"candidate": 0.5, "baseline": 0.9})
    paused = await door.read(release)
    assert (paused["state"], paused["share"]) == ("paused", 0.5)
    last = paused["timeline"][-1]
    assert (last["by"], last["action"]) == ("ratings", "paused")
    verdict = last["details"]["verdict"]
    assert verdict["rules"][0]["high"] < 0
    assert verdict["flip_cost"] > 3
    assert (await door.act(release, "promote", 409))["detail"].endswith("resume it first, or roll it back")
    await crowd.rate(served, "stars", {"candidate": 0.5, "baseline": 0.9})
    gone = await door.read(release)
    assert (gone["state"], gone["share"], gone["timeline"][-1]["by"]) == ("rolled_back", 0.0, "ratings")
    assert gone["rollout_verdict"]["action"] == "roll_back"
    assert (await crowd.deployment()).candidate is None


@on_both
async def test_good_ratings_open_it_to_everybody(door: Door, crowd: Crowd) -> None:
    release = await rolling(door, [0.2, 0.5], RULES[:1])
    served = await crowd.served(range(1_200))
    await crowd.rate(dict(list(served.items())[:1_000]), "thumbs", {"candidate": 0.85, "baseline": 0.8})
    assert (await door.read(release))["share"] == 0.5
    served = await crowd.served(range(2_000, 4_000))
    items = list(served.items())
    for start in (0, 1_000):
        await crowd.rate(dict(items[start : start + 1_000]), "thumbs", {"candidate": 0.9, "baseline": 0.8})
    done = await door.read(release)
    assert (done["state"], done["timeline"][-1]["by"]) == ("live", "ratings")


async def test_a_last_step_below_decide_at_still_asks_for_proof(door: Door, crowd: Crowd) -> None:
    release = await rolling(door, [0.3], RULES[:1])
    served = await crowd.served(range(600))
    await crowd.rate(served, "thumbs", {"candidate": 0.8, "baseline": 0.8})
    after = await door.read(release)
    assert (after["state"], after["rollout_verdict"]["action"]) == ("rolling_out", "hold")


async def test_a_person_may_overrule_one_signal_and_another_pauses_again(door: Door, crowd: Crowd) -> None:
    release = await rolling(door, [0.5])
    served = await crowd.served(range(400))
    await crowd.rate(served, "thumbs", {"candidate": 0.4, "baseline": 0.9})
    resumed = await door.act(release, "resume", reason="a known bot")
    assert resumed["state"] == "rolling_out"
    assert resumed["timeline"][-1]["details"]["overruled"] == ["/rollout_rules/0/no_worse_by"]
    one = dict(list(served.items())[:1])
    await crowd.rate(one, "thumbs", {"candidate": 0, "baseline": 0})
    assert (await door.read(release))["state"] == "rolling_out"
    await crowd.rate(served, "stars", {"candidate": 0.4, "baseline": 0.9})
    assert (await door.read(release))["state"] == "rolled_back"


async def test_a_person_who_pauses_keeps_it_paused(door: Door, crowd: Crowd) -> None:
    release = await rolling(door, [0.2, 0.5], RULES[:1])
    await door.act(release, "pause", reason="lunch")
    served = await crowd.served(range(1_000))
    await crowd.rate(served, "thumbs", {"candidate": 0.9, "baseline": 0.8})
    assert (await door.read(release))["state"] == "paused"
    await door.act(release, "resume")
    await crowd.rate(dict(list(served.items())[:1]), "thumbs", {"candidate": 1, "baseline": 1})
    assert (await door.read(release))["share"] == 0.5


async def test_errors_alone_pause_without_any_rating(door: Door, crowd: Crowd) -> None:
    release = await rolling(door, [0.5], [{"errors": {"max_rate": 0.02}}])
    await crowd.served(range(300), failing=True)
    paused = await door.read(release)
    assert paused["state"] == "paused"
    assert "answers failed" in paused["reason"]


async def test_votes_outside_the_split_move_nothing(door: Door, crowd: Crowd) -> None:
    release = await rolling(door, [0.5], RULES[:1])
    votes = [
        {"id": f"m{n}", "prompt": "ask", "signal": "thumbs", "value": 0, "rater": f"invented {n}"} for n in range(1_000)
    ]
    answer = await door.client.post("/api/v1/feedback", json=votes)
    assert answer.status_code == 201
    after = await door.read(release)
    assert (after["state"], after["rollout_verdict"]["rules"][0]["n_candidate"]) == ("rolling_out", 0)


async def test_a_rollout_is_rolled_back_by_hand_and_what_is_live_stays(door: Door, crowd: Crowd) -> None:
    release = await rolling(door, [0.5])
    gone = await door.act(release, "rollback", reason="second thoughts")
    assert (gone["state"], gone["share"]) == ("rolled_back", 0.0)
    for act in ("promote", "pause", "resume", "rollback", "reject", "evaluate", "approve"):
        await door.act(release, act, 409 if act != "approve" else 403)
    assert (await crowd.deployment()).candidate is None


async def test_rolling_back_what_is_live_ends_the_rollout_that_is_compared_with_it(door: Door) -> None:
    await door.build()
    await door.release()
    second = await door.release("alike")
    third = await door.release("also", rollout={"steps": [0.5]})
    assert third["state"] == "rolling_out"
    await door.act(second, "rollback")
    assert (await door.read(third))["state"] == "rolled_back"


async def test_a_freeze_stops_a_rollout_where_it_is(door: Door) -> None:
    release = await rolling(door, [0.2, 0.5])
    await door.environment(freeze=[{"from": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}])
    assert "frozen" in (await door.act(release, "promote", 409))["detail"]
    assert (await door.read(release))["share"] == 0.2


async def test_policies_name_rollout_rules_that_releases_are_pinned_to(door: Door, crowd: Crowd) -> None:
    release = await rolling(door, [0.5], RULES[:1])
    await door.policy(rules=POLICY["rules"], rollout_rules=[])
    served = await crowd.served(range(400))
    await crowd.rate(served, "thumbs", {"candidate": 0.4, "baseline": 0.9})
    assert (await door.read(release))["state"] == "paused"


@on_both
async def test_a_vote_out_of_its_range_does_not_blind_the_rule(door: Door, crowd: Crowd) -> None:
    delta = {"feedback": {"signal": "delta", "no_worse_by": 0.05, "range": [-3, 3]}}
    release = await rolling(door, [0.5], [delta])
    served = await crowd.served(range(400))
    receipt = next(receipt for name, receipt in served.values() if name == "baseline")
    stray = {"receipt": receipt, "signal": "delta", "value": 1e9, "rater": "stray"}
    assert (await door.client.post("/api/v1/feedback", json=stray)).status_code == 201
    votes = [
        {"receipt": receipt, "signal": "delta", "value": -2 if name == "candidate" else 2}
        for name, receipt in served.values()
        if receipt != stray["receipt"]
    ]
    assert (await door.client.post("/api/v1/feedback", json=votes)).status_code == 201
    paused = await door.read(release)
    [rule, *_] = paused["rollout_verdict"]["rules"]
    assert (paused["state"], rule["verdict"], rule["out_of_range"]) == ("paused", "fail", 1)
    assert rule["n_candidate"] + rule["n_baseline"] == 399
    assert "1 vote lies outside -3 to 3" in rule["reason"]
