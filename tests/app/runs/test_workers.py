"""Several processes on one PostgreSQL database: services and workers."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path

import anyio
import pytest
from sqlalchemy import text

from app import main
from app.main import Part
from tests import served
from tests.app.runs.conftest import Project
from tests.app.runs.endpoint import Endpoint, endpoint
from tests.app.runs.test_budget import CENT, PRICE, a_cent
from tests.conftest import PostgreSQL, client_of, database, settings_for, started


@pytest.fixture
async def asked() -> AsyncIterator[Endpoint]:
    async with endpoint(latency_s=0.05) as found:
        yield found


@pytest.fixture
async def url(tmp_path: Path, sqlite_template: Path, postgresql: PostgreSQL | None) -> AsyncIterator[str]:
    async with database("postgresql", tmp_path, sqlite_template, postgresql) as found:
        yield found


def worker(url: str, folder: Path) -> "AbstractContextManager[subprocess.Popen[str]]":
    environ = served.environment(
        PROMPTWARD_DATABASE_URL=url, PROMPTWARD_HOME=str(folder), PROMPTWARD_ALLOW_HOSTS="127.0.0.1"
    )
    return served.command("worker", cwd=served.ROOT, env=environ)


async def test_a_service_leaves_runs_to_workers_and_one_that_is_told_to_end_drains(
    url: str, tmp_path: Path, asked: Endpoint
) -> None:
    settings = settings_for(tmp_path / "home", url)
    async with started(settings, part=Part("service", works=False)) as app, client_of(app) as client:
        project = Project(client)
        await project.suite(asked, 400, limits={"max_concurrency": 8})
        run_id = await project.begin()
        await asyncio.sleep(0.5)
        assert asked.calls == 0
        with worker(url, tmp_path / "first") as first:
            await asked.reached(40)
            alive = [p for p in (await project.get("/api/v1/workers"))["processes"] if p["alive"]]
            assert sorted(p["kind"] for p in alive) == ["service", "worker"]
            numbers = (await client.get("/metrics")).text
            assert 'promptward_processes{kind="worker"} 1.0' in numbers
            assert 'promptward_runs{status="running"} 1.0' in numbers
            began = time.monotonic()
            out, err = await anyio.to_thread.run_sync(served.stop, first)
            assert first.returncode == 0, (out, err)
            assert time.monotonic() - began < 30
        assert (await project.get(f"/api/v1/runs/{run_id}"))["status"] == "running"
        with worker(url, tmp_path / "second"):
            run = await project.rest(run_id)
        assert (run["status"], run["cells"]["answered"]) == ("done", 400)
        assert asked.calls == 400  # what was in flight was finished, and is asked by nobody again


async def test_the_work_of_a_killed_worker_is_taken_up_within_half_a_minute(
    url: str, tmp_path: Path, asked: Endpoint
) -> None:
    settings = settings_for(tmp_path / "home", url)
    async with started(settings, part=Part("service", works=False)) as app, client_of(app) as client:
        project = Project(client)
        await project.suite(asked, 300, limits={"max_concurrency": 8})
        run_id = await project.begin()
        with worker(url, tmp_path / "first") as first, worker(url, tmp_path / "second"):
            await asked.reached(60)
            first.kill()
            began = time.monotonic()
            run = await project.rest(run_id)
        assert time.monotonic() - began < 30
        assert (run["status"], run["cells"]["answered"]) == ("done", 300)
        assert asked.calls - 300 <= 8 + 20
        assert len({r["case"] for r in await project.results(run_id)}) == 300


async def test_a_run_that_is_cancelled_by_one_process_is_called_by_none_a_second_later(
    url: str, tmp_path: Path, asked: Endpoint
) -> None:
    settings = settings_for(tmp_path / "home", url)
    async with (
        started(settings, part=Part("service", works=False)) as app,
        started(settings_for(tmp_path / "other", url), part=Part("worker", works=True)),
        client_of(app) as client,
    ):
        project = Project(client)
        await project.suite(asked, 1_000, limits={"max_concurrency": 4})
        run_id = await project.begin()
        await asked.reached(20)
        run = await project.act(run_id, "cancel")
        assert run["status"] == "cancelled"
        await asyncio.sleep(1.0)
        calls = asked.calls
        await asyncio.sleep(0.5)
        assert asked.calls == calls
        resumed = await project.act(run_id, "resume")
        assert resumed["status"] in ("queued", "running")
        await asked.reached(calls + 20)
        await project.act(run_id, "cancel")


async def test_two_processes_pay_once_for_an_answer_that_both_need_and_never_more_than_the_budget(
    url: str, tmp_path: Path, asked: Endpoint
) -> None:
    asked.answer = a_cent
    async with (
        started(settings_for(tmp_path / "home", url)) as app,
        started(settings_for(tmp_path / "other", url)) as other,
        client_of(app) as client,
        client_of(other) as second,
    ):
        project, same = Project(client), Project(second)
        await project.suite(asked, 120, **PRICE)
        runs = await asyncio.gather(project.begin(), same.begin())
        done = [await project.rest(run_id) for run_id in runs]
        assert [run["status"] for run in done] == ["done", "done"]
        assert asked.calls == 120 == len(asked.asked)
        assert sum(run["cells"]["answered"] for run in done) == 120
        asked.reset()
        spent = await project.run(fresh=True, budget_usd=40.5 * CENT)
        assert spent["status"] == "budget"
        assert asked.calls <= 40
        assert spent["cost_usd"] <= 40.5 * CENT


async def test_a_worker_that_is_older_than_what_works_on_the_database_is_refused(url: str, tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home", url)
    async with started(settings) as app:
        async with app.litestar.state.sessions.begin() as session:
            await session.execute(text("UPDATE process SET version = '99.1.0'"))
        with worker(url, tmp_path / "old") as old:
            _, err = await anyio.to_thread.run_sync(lambda: old.communicate(timeout=60))
    assert old.returncode == 4
    assert "99.1.0 works on this database; update this machine's Promptward" in err


def test_a_worker_is_refused_on_sqlite(tmp_path: Path) -> None:
    with worker(f"sqlite:///{tmp_path / 'promptward.db'}", tmp_path) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "a worker needs a PostgreSQL database" in err


async def test_two_services_on_one_sqlite_file_are_refused(tmp_path: Path, sqlite_url: str) -> None:
    async with main.embedded(settings_for(tmp_path / "one", sqlite_url)):
        with pytest.raises(main.DomainError, match=r"another Promptward process is using .*promptward\.db"):
            async with main.embedded(settings_for(tmp_path / "two", sqlite_url)):
                pass
