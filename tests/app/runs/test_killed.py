"""A process that is killed in the middle of a run loses nothing that was stored, and repeats little."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx2

from tests import served
from tests.app.runs.conftest import ASK, Model, Project, cells, small

CASES, AT_ONCE, FLUSH = 300, 8, 20
KEY = "pw_owner_0123456789abcdef0123456789abcdef"


def stored(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def client_of(url: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)


async def test_a_killed_process_finishes_its_run_by_itself_when_it_is_started_again(
    tmp_path: Path, model: Model
) -> None:
    questions = [f"Question number {n}, is it so?" for n in range(CASES)]
    environment = served.environment(PROMPTWARD_HOME=str(tmp_path / "home"), PROMPTWARD_ADMIN_KEY=KEY)
    arguments = ("serve", "--port", "0", "--json")
    database = tmp_path / "home" / "promptward.db"
    with served.command(*arguments, cwd=tmp_path, env=environment) as process:
        url = await anyio.to_thread.run_sync(served.address, process)
        async with client_of(url) as client:
            limits = {"max_concurrency": AT_ONCE}
            await small(Project(client), model, "dev-echo?latency_ms=40", questions=questions, limits=limits)
            run_id = await Project(client).begin(suite="small", candidates=ASK)
            with anyio.fail_after(30):
                while await model.calls() < 120:  # noqa: ASYNC110 - the model offers no event to wait for
                    await anyio.sleep(0.01)
        process.kill()
        process.wait()
    kept = stored(database, "select count(*) from answer")[0][0]
    assert 0 < kept < CASES
    with served.command(*arguments, cwd=tmp_path, env=environment) as process:
        url = await anyio.to_thread.run_sync(served.address, process)
        async with client_of(url) as client:
            run = await Project(client).rest(run_id)
    assert (run["status"], cells(run)) == ("done", {"answered": CASES})
    assert run["variants"][0]["metrics"]["exact_match"]["mean"] == 1.0
    for table in ("answer", "score"):
        assert stored(database, f"select count(*), count(distinct cell_key) from {table}") == [(CASES, CASES)]
    assert await model.calls() - CASES <= AT_ONCE + FLUSH
