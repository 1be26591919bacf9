"""Gates over the API, on recorded answers: what is judged, what is kept, and that nothing missing ever passes."""

from typing import Any

import httpx2
import pytest

from app.gates.looks import looks
from app.registry.kinds.gate_policy import Data, Extend, GatePolicy
from tests.app.runs.conftest import Project
from tests.conftest import on_both

NO_REGRESSION = {"metric": "correct", "no_regression": {"margin": 0.1}}
FLOOR = {"metric": "correct", "floor": 0.5}
ONE_LOOK = {"extend": {"max_repeats": 1}}


async def evaluated(client: httpx2.AsyncClient, good: int = 60, lost: int = 0) -> dict[str, Any]:
    """A run of 60 cases: `steady` answers all right, `shaky` only the first `good`, and lacks the last `lost` answers."""
    project = Project(client)
    await project.question()
    await project.replay("steady", "shaky")
    items = []
    for n in range(60):
        recorded = {"steady": {"text": "yes"}, "shaky": {"text": "yes" if n < good else "no"}}
        if n >= 60 - lost:
            del recorded["shaky"]
        items.append({"id": f"q{n}", "inputs": {"question": f"{n}?"}, "reference": "yes", "recorded": recorded})
    await project.make("datasets", "d", {"items": items})
    scorers = [{"use": "exact_match", "name": "correct"}]
    await project.make("suites", "s", {"dataset": "d", "endpoints": ["steady", "shaky"], "scorers": scorers})
    return await project.run(suite="s", candidates=[{"prompt": "ask"}])


async def judge(
    client: httpx2.AsyncClient, run: dict[str, Any], rules: list[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    options = {"candidate": "c1:shaky", "baseline": "c1:steady", "stage": "promote", **more}
    baseline = None if options["baseline"] is None else f"{run['id']}/{options['baseline']}"
    policy = {"rules": rules, **ONE_LOOK}
    return await Project(client).verdict(policy, f"{run['id']}/{options['candidate']}", baseline, options["stage"])


async def test_equal_answers_pass_and_the_verdict_is_kept(client: httpx2.AsyncClient) -> None:
    run = await evaluated(client)
    verdict = await judge(client, run, [NO_REGRESSION])
    assert (verdict["verdict"], verdict["exit_code"], verdict["extend"]) == ("pass", 0, None)
    assert set(verdict["pins"]) >= {"candidate", "baseline", "dataset", "policy"}
    kept = await client.get(f"/api/v1/gates/verdicts/{verdict['id']}")
    assert kept.json() == verdict
    assert [v["id"] for v in (await client.get("/api/v1/gates/verdicts")).json()["items"]] == [verdict["id"]]


async def test_a_real_drop_fails_with_exit_code_1(sqlite_client: httpx2.AsyncClient) -> None:
    run = await evaluated(sqlite_client, good=40)
    verdict = await judge(sqlite_client, run, [NO_REGRESSION])
    assert (verdict["verdict"], verdict["exit_code"]) == ("fail", 1)
    rule = verdict["rules"][0]
    assert rule["estimate"] == pytest.approx(-1 / 3)
    assert rule["p_worse"] < 0.02


async def test_lost_answers_are_neither_a_score_nor_a_pass(sqlite_client: httpx2.AsyncClient) -> None:
    run = await evaluated(sqlite_client, lost=5)
    assert run["cells"]["errored"] == 5
    for stage in ("ci", "promote"):
        verdict = await judge(sqlite_client, run, [NO_REGRESSION], stage=stage)
        assert (verdict["verdict"], verdict["exit_code"]) == ("inconclusive", 4)
    assert verdict["rules"][0]["missing"] == 5


async def test_with_nothing_live_only_a_proven_floor_passes(sqlite_client: httpx2.AsyncClient) -> None:
    run = await evaluated(sqlite_client)
    proven = await judge(sqlite_client, run, [NO_REGRESSION, FLOOR], baseline=None)
    assert (proven["verdict"], [r["verdict"] for r in proven["rules"]]) == ("pass", ["not_applicable", "pass"])
    nothing = await judge(sqlite_client, run, [NO_REGRESSION], baseline=None)
    assert nothing["verdict"] == "inconclusive"


async def test_judging_more_contents_on_the_same_data_is_counted(sqlite_client: httpx2.AsyncClient) -> None:
    run = await evaluated(sqlite_client)
    tries = [
        (await judge(sqlite_client, run, [NO_REGRESSION], candidate=c))["tries"]
        for c in ("c1:shaky", "c1:shaky", "c1:steady")
    ]
    assert tries == [1, 1, 2]


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"policy": "nothing"}, 422, "/policy"),
        ({"policy": {"content": {"rules": [{"metric": "correct"}]}}}, 422, "/policy/content/rules/0"),
        ({"candidate": "c1"}, 422, "/candidate"),
        ({"candidate": "run_0/c1"}, 404, None),
        ({"stage": "later"}, 400, "/stage"),
        ({"colour": "red"}, 400, "/colour"),
    ],
)
async def test_what_cannot_be_judged_is_refused_with_the_place(
    sqlite_client: httpx2.AsyncClient, body: dict[str, Any], status: int, pointer: str | None
) -> None:
    run = await evaluated(sqlite_client)
    sent = {"policy": {"content": {"rules": [FLOOR]}}, "stage": "ci", "candidate": f"{run['id']}/c1", **body}
    answer = await sqlite_client.post("/api/v1/gates/evaluate", json=sent)
    assert answer.status_code == status, answer.text
    assert pointer is None or answer.json()["errors"][0]["pointer"].startswith(pointer)
    assert (await sqlite_client.get("/api/v1/gates/verdicts")).json()["items"] == []


async def test_an_unknown_side_names_those_that_the_run_has(sqlite_client: httpx2.AsyncClient) -> None:
    run = await evaluated(sqlite_client)
    sent = {"policy": {"content": {"rules": [FLOOR]}}, "stage": "ci", "candidate": f"{run['id']}/c9"}
    answer = await sqlite_client.post("/api/v1/gates/evaluate", json=sent)
    assert answer.status_code == 422
    assert "c1, c1:steady, c1:shaky" in answer.json()["detail"]


async def test_a_backtest_counts_what_each_gate_would_have_done(sqlite_client: httpx2.AsyncClient) -> None:
    run = await evaluated(sqlite_client, good=45)
    pair = {"candidate": f"{run['id']}/c1:shaky", "baseline": f"{run['id']}/c1:steady"}
    body = {
        "metric": "correct",
        "changes": [{"name": "no-op", "neutral": True, **pair}, {"name": "drop", **pair}],
        "size": 40,
        "suites": 100,
        "margin": 0.1,
    }
    first, second = [(await sqlite_client.post("/api/v1/gates/backtest", json=body)).json() for _ in range(2)]
    assert first == second
    rows = {(row["gate"], row["change"]): row for row in first["rows"]}
    assert {row["suites"] for row in rows.values()} == {100}
    assert rows["any drop", "no-op"]["true_change"] == 0
    assert rows["any drop", "no-op"]["blocked"] > 30
    assert rows["promptward", "no-op"]["blocked"] <= 5
    assert rows["promptward", "drop"]["passed"] <= 5
    unknown = await sqlite_client.post("/api/v1/gates/backtest", json={**body, "metric": "beauty"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/metric")


@pytest.mark.parametrize(
    ("repeats", "asked", "most", "expected"),
    [
        (1, 1, 5, (0, (0.2, 0.6, 1.0), 3)),
        (3, 1, 5, (1, (0.2, 0.6, 1.0), 5)),
        (5, 1, 5, (2, (0.2, 0.6, 1.0), None)),
        (1, 1, 1, (0, (1.0,), None)),
        (7, 1, 5, (3, (1 / 7, 3 / 7, 5 / 7, 1.0), None)),
    ],
)
def test_looks_follow_the_repeats_that_the_policy_allows(
    repeats: int, asked: int, most: int, expected: tuple[int, tuple[float, ...], int | None]
) -> None:
    policy = GatePolicy(rules=(), data=Data(repeats=asked), extend=Extend(max_repeats=most))
    found = looks(policy, repeats)
    assert (found.number, found.next_repeats) == (expected[0], expected[2])
    assert found.fractions == pytest.approx(expected[1])


@on_both
async def test_a_policy_that_a_verdict_was_given_by_is_not_deleted(client: httpx2.AsyncClient) -> None:
    run = await evaluated(client)
    for floor in (0.5, 0.6):
        rule = {"metric": "correct", "floor": floor}
        made = await client.post("/api/v1/gate-policies/mine/versions", json={"content": {"rules": [rule]}})
        assert made.status_code == 201, made.text
    sent = {"policy": "mine@1", "stage": "ci", "candidate": f"{run['id']}/c1"}
    assert (await client.post("/api/v1/gates/evaluate", json=sent)).status_code in (200, 201)
    refused = await client.delete("/api/v1/gate-policies/mine/versions/1")
    assert refused.status_code == 409, refused.text
    assert [error["detail"] for error in refused.json()["errors"]] == [f"run {run['id']}"]
