"""Runs that end early: out of budget, cancelled, or with their process."""

import asyncio
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

from tests.app.runs.conftest import ASK, Model, Project, cells, small
from tests.benchmarks.run_engine import free_port

MANY = [f"Question number {n}, is it so?" for n in range(60)]
PRICE = {"price": {"input": 100.0, "output": 1000.0}, "params": {"max_tokens": 20}, "limits": {"max_concurrency": 8}}


async def test_a_run_stops_when_its_budget_is_spent_and_never_spends_more(
    client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(client)
    await small(project, model, questions=MANY, **PRICE)
    whole = await project.run(suite="small", candidates=ASK, repeats=1)
    budget = whole["cost_usd"] / 3
    run = await project.run(suite="small", candidates=ASK, fresh=True, budget_usd=budget)
    assert run["status"] == "budget"
    assert "budget" in run["reason"]
    assert 0 < run["cost_usd"] <= budget
    counted = cells(run)
    assert set(counted) == {"answered", "cancelled"}
    assert await model.calls() == len(MANY) + counted["answered"]
    assert run["variants"][0]["metrics"]["exact_match"]["missing"] == counted["cancelled"]
    more = await client.post(f"/api/v1/runs/{run['id']}/resume", json={"budget_usd": whole["cost_usd"] * 2})
    assert more.status_code == 202, more.text
    resumed = await project.rest(run["id"])
    assert (resumed["status"], cells(resumed)) == ("done", {"answered": len(MANY)})
    assert await model.calls() == 2 * len(MANY)


async def test_a_budget_below_one_call_is_refused_and_stores_nothing(
    sqlite_client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(sqlite_client)
    await small(project, model, **PRICE)
    answer = await sqlite_client.post("/api/v1/runs", json={"suite": "small", "candidates": ASK, "budget_usd": 1e-6})
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("budget")
    assert answer.json()["errors"][0]["pointer"] == "/budget_usd"
    assert (await project.get("/api/v1/runs"))["items"] == []
    assert await model.calls() == 0


async def test_a_budget_needs_a_price(sqlite_client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(sqlite_client)
    await small(project, model)
    answer = await sqlite_client.post("/api/v1/runs", json={"suite": "small", "candidates": ASK, "budget_usd": 5})
    assert answer.status_code == 422
    assert "no price" in answer.json()["errors"][0]["detail"]


async def test_a_cancelled_run_makes_no_further_call_and_can_be_continued(
    client: httpx2.AsyncClient, model: Model
) -> None:
    project = Project(client)
    await small(project, model, "dev-echo?latency_ms=50", questions=MANY, limits={"max_concurrency": 4})
    started = await client.post("/api/v1/runs", json={"suite": "small", "candidates": ASK})
    assert started.status_code == 202
    run_id = started.json()["id"]
    while await model.calls() < 8:
        await asyncio.sleep(0.01)
    cancelled = await client.post(f"/api/v1/runs/{run_id}/cancel")
    assert cancelled.status_code == 200
    called = await model.calls()
    assert called < len(MANY)
    run = cancelled.json()
    assert run["status"] == "cancelled"
    kept = cells(run)
    assert set(kept) <= {"answered", "cancelled"}
    assert kept["cancelled"] >= len(MANY) - called
    await asyncio.sleep(0.2)
    assert await model.calls() == called
    assert (await client.post(f"/api/v1/runs/{run_id}/resume")).status_code == 202
    resumed = await project.rest(run_id)
    assert (resumed["status"], cells(resumed)) == ("done", {"answered": len(MANY)})
    assert await model.calls() - called == kept["cancelled"]


async def test_a_run_at_work_is_neither_resumed_nor_rescored(sqlite_client: httpx2.AsyncClient, model: Model) -> None:
    project = Project(sqlite_client)
    await small(project, model, "dev-echo?latency_ms=300")
    run_id = (await sqlite_client.post("/api/v1/runs", json={"suite": "small", "candidates": ASK})).json()["id"]
    for verb in ("resume", "rescore"):
        answer = await sqlite_client.post(f"/api/v1/runs/{run_id}/{verb}", json={})
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2].rpartition(":")[2]) == (409, "run-active")
    await project.rest(run_id)


class Served:
    """A served process that can be killed."""

    def __init__(self, home: Path) -> None:
        self.key, self.port = f"pw_test_{secrets.token_hex(16)}", free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PROMPTWARD_HOME": str(home / "promptward"),
            "PROMPTWARD_PORT": str(self.port),
            "PROMPTWARD_ADMIN_KEY": self.key,
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        command = [sys.executable, "-m", "app.cli.main", "serve"]
        self._process = subprocess.Popen(command, env=self._environ, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        async with httpx2.AsyncClient() as client:
            while time.monotonic() < deadline:
                try:
                    if (await client.get(f"{self.url}/health/ready")).status_code == 200:
                        return
                except httpx2.TransportError:
                    await asyncio.sleep(0.05)
        raise RuntimeError("the service did not start")

    def end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=60)


def stored(home: Path, query: str) -> list[Any]:
    with sqlite3.connect(home / "promptward" / "promptward.db") as connection:
        return connection.execute(query).fetchall()


async def test_a_killed_process_finishes_its_run_when_it_is_started_again(tmp_path: Path, model: Model) -> None:
    questions = [f"Question number {n}, is it so?" for n in range(300)]
    at_once, flush = 8, 20
    served = Served(tmp_path)
    await served.start()
    try:
        async with served.client() as client:
            await small(
                Project(client),
                model,
                "dev-echo?latency_ms=40",
                questions=questions,
                limits={"max_concurrency": at_once},
            )
            started = await client.post("/api/v1/runs", json={"suite": "small", "candidates": ASK})
            run_id = started.json()["id"]
            while await model.calls() < 120:
                await asyncio.sleep(0.01)
        served.end(signal.SIGKILL)
        kept = stored(tmp_path, "select count(*) from answer")[0][0]
        assert 0 < kept < len(questions)
        await served.start()
        async with served.client() as client:
            run = await Project(client).rest(run_id)
    finally:
        served.end(signal.SIGTERM)
    assert (run["status"], cells(run)) == ("done", {"answered": len(questions)})
    assert run["variants"][0]["metrics"]["exact_match"]["mean"] == 1.0
    assert stored(tmp_path, "select count(*), count(distinct cell_key) from answer") == [(300, 300)]
    assert stored(tmp_path, "select count(*), count(distinct cell_key) from score") == [(300, 300)]
    assert await model.calls() - len(questions) <= at_once + flush + at_once
