"""Endpoints with a Batch API answer for less, within a day; what comes of it is the same."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from app.devmodel import running_devmodel
from tests.app.runs.conftest import ASK, QUESTIONS, Model, Project, cells, small
from tests.conftest import client_of, settings_for, started

PRICE = {"price": {"input": 1000, "output": 2000}, "params": {"max_tokens": 100}}
BATCH = {"batch": {}, **PRICE}


class Batching(Model):
    async def batches(self) -> int:
        async with httpx2.AsyncClient() as client:
            return int((await client.get(self._stats)).json()["batches"])

    async def listed(self) -> list[dict[str, Any]]:
        async with httpx2.AsyncClient() as client:
            return list((await client.get(f"{self.base_url}/batches")).json()["data"])


def texts(results: list[dict[str, Any]]) -> dict[str, Any]:
    return {r["case"]: (r["answer"] and r["answer"]["text"], r["scores"]["exact_match"]["value"]) for r in results}


async def test_a_batch_gives_the_same_answers_and_scores_as_calls_for_half_the_price(project: Project) -> None:
    async with running_devmodel() as url:
        model = Batching(url)
        await small(project, model, **BATCH)
        run = await project.run(suite="small", candidates=ASK, batch=True)
        assert (run["status"], cells(run), run["warnings"]) == ("done", {"answered": 5}, [])
        assert (await model.calls(), await model.batches()) == (0, 1)
        called = await project.run(suite="small", candidates=ASK, fresh=True)
        assert (await model.calls(), cells(called)) == (5, {"answered": 5})
        by_batch, by_call = await project.results(run["id"]), await project.results(called["id"])
        assert texts(by_batch) == texts(by_call) == {f"q{n}": (text, 1.0) for n, text in enumerate(QUESTIONS)}
        assert run["cost_usd"] == pytest.approx(called["cost_usd"] / 2)
        assert run["estimated_cost_usd"] == pytest.approx(called["estimated_cost_usd"] / 2)
        for one, other in zip(by_batch, by_call, strict=True):
            assert one["answer"]["cost_usd"] == pytest.approx(other["answer"]["cost_usd"] / 2)
            assert one["answer"]["usage"] == other["answer"]["usage"]
            assert one["answer"]["latency_ms"] is None


async def test_an_answer_that_came_by_batch_is_known_to_calls_and_the_other_way_round(sqlite_project: Project) -> None:
    async with running_devmodel() as url:
        model = Batching(url)
        await small(sqlite_project, model, **BATCH)
        await sqlite_project.run(suite="small", candidates=ASK, batch=True, max_cases=3)
        run = await sqlite_project.run(suite="small", candidates=ASK)
        assert (cells(run), await model.calls()) == ({"cached": 3, "answered": 2}, 2)
        again = await sqlite_project.run(suite="small", candidates=ASK, batch=True)
        assert (cells(again), await model.calls(), await model.batches()) == ({"cached": 5}, 2, 1)


async def test_the_suite_says_whether_its_runs_may_wait_and_a_run_may_say_otherwise(sqlite_project: Project) -> None:
    async with running_devmodel() as url:
        model = Batching(url)
        await small(sqlite_project, model, **BATCH)
        suite = {"dataset": "questions", "endpoints": ["e1"], "scorers": [{"use": "exact_match"}], "batch": True}
        await sqlite_project.make("suites", "small", suite)
        await sqlite_project.run(suite="small", candidates=ASK)
        assert (await model.calls(), await model.batches()) == (0, 1)
        await sqlite_project.run(suite="small", candidates=ASK, fresh=True, batch=False)
        assert (await model.calls(), await model.batches()) == (5, 1)


async def test_what_cannot_go_by_batch_is_called_with_a_warning(sqlite_project: Project) -> None:
    async with running_devmodel() as url:
        model = Batching(url)
        await small(sqlite_project, model)
        run = await sqlite_project.run(suite="small", candidates=ASK, batch=True)
        assert run["warnings"] == ["c1:e1 is called one by one, not by batch: the endpoint 'e1' has no `batch`"]
        await small(sqlite_project, model, scorers=[{"use": "latency"}], **BATCH)
        run = await sqlite_project.run(suite="small", candidates=ASK, batch=True, fresh=True)
        assert "'latency' measures time" in run["warnings"][0]
        assert (cells(run), await model.calls(), await model.batches()) == ({"answered": 5}, 10, 0)


@pytest.mark.parametrize(
    ("fault", "calls", "said"),
    [
        ("missing", 2, "2 of 5 questions came back without an answer"),
        ("lines", 2, "2 of 5 questions came back without an answer"),
        ("expired", 2, "has expired; 2 of 5"),
        ("failed", 5, "has failed: told to fail; 5 of 5"),
    ],
)
async def test_what_a_batch_leaves_without_an_answer_is_called_one_by_one(
    sqlite_project: Project, fault: str, calls: int, said: str
) -> None:
    async with running_devmodel(batch_fault=fault, batch_polls=0) as url:
        model = Batching(url)
        await small(sqlite_project, model, **BATCH)
        run = await sqlite_project.run(suite="small", candidates=ASK, batch=True)
        assert (run["status"], cells(run)) == ("done", {"answered": 5})
        assert (await model.calls(), await model.batches()) == (calls, 1)
        assert said in run["warnings"][0]


async def test_an_endpoint_without_a_batch_api_is_called_one_by_one(sqlite_project: Project) -> None:
    async with running_devmodel() as url:
        model = Batching(url)
        await small(sqlite_project, model, **BATCH)
        elsewhere = {"provider": "compatible", "base_url": f"{url}/elsewhere", "model": "dev-echo", "batch": {}}
        await sqlite_project.make("endpoints", "e1", elsewhere)
        candidates = [{"prompt": "ask", "endpoint": "e1"}]
        run = await sqlite_project.run(suite="small", candidates=candidates, batch=True)
        assert cells(run) == {"errored": 5}
        assert "take `batch` out of it" in run["warnings"][0]


async def test_a_cancelled_run_cancels_its_batch(project: Project) -> None:
    async with running_devmodel(batch_polls=1000) as url:
        model = Batching(url)
        await small(project, model, **BATCH)
        run_id = await project.begin(suite="small", candidates=ASK, batch=True)
        with anyio.fail_after(10):
            while await model.batches() == 0:  # noqa: ASYNC110 - the model offers no event to wait for
                await anyio.sleep(0.05)
            await project.act(run_id, "cancel")
            while [b["status"] for b in await model.listed()] != ["cancelled"]:  # noqa: ASYNC110 - as above
                await anyio.sleep(0.05)
        run = await project.rest(run_id)
        assert (run["status"], cells(run)) == ("cancelled", {"cancelled": 5})


@pytest.mark.parametrize("stored", [True, False], ids=["id stored", "killed before its id was stored"])
async def test_a_service_that_starts_again_goes_on_with_the_batch_that_it_had_submitted(
    tmp_path: Path, sqlite_url: str, stored: bool
) -> None:
    settings = settings_for(tmp_path / "home", sqlite_url)
    async with running_devmodel(batch_polls=3) as url:
        model = Batching(url)
        async with started(settings) as app, client_of(app) as client:
            await small(Project(client), model, **BATCH)
            run_id = await Project(client).begin(suite="small", candidates=ASK, batch=True, budget_usd=10)
            with anyio.fail_after(10):
                while await model.batches() == 0:  # noqa: ASYNC110 - the model offers no event to wait for
                    await anyio.sleep(0.02)
        if not stored:
            with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as database, database:
                database.execute("update run_batch set status = 'submitting', remote_id = null, checked_at = null")
        async with started(settings) as app, client_of(app) as client:
            run = await Project(client).rest(run_id)
        assert (run["status"], cells(run)) == ("done", {"answered": 5})
        assert (await model.calls(), await model.batches()) == (0, 1)


async def test_a_budget_holds_for_batches_at_their_price(project: Project) -> None:
    async with running_devmodel() as url:
        model = Batching(url)
        await small(project, model, **BATCH)
        whole = (await project.run(suite="small", candidates=ASK, max_cases=1, batch=True))["estimated_cost_usd"]
        run = await project.run(suite="small", candidates=ASK, fresh=True, batch=True, budget_usd=whole * 2.5)
        assert await model.calls() == 0
        assert run["cost_usd"] <= whole * 2.5
        assert (
            await model.batches()
        ) > 2  # the first two at most; what they turned out not to cost paid for the others
        assert (run["status"], cells(run)) == ("done", {"answered": 5})
