"""The queue on PostgreSQL, by itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from app.runs.queue import Job
from app.runs.shared_queue import SharedQueue, plain_url
from tests.conftest import PostgreSQL, database


@pytest.fixture
async def url(tmp_path: Path, sqlite_template: Path, postgresql: PostgreSQL | None) -> AsyncIterator[str]:
    async with database("postgresql", tmp_path, sqlite_template, postgresql) as found:
        yield found


async def test_what_is_noted_of_jobs_is_kept_for_a_day_alone(url: str) -> None:
    began = asyncio.Event()

    async def work(_job: Job) -> bool:
        began.set()
        return True

    connection = await asyncpg.connect(plain_url(url))
    queue = SharedQueue(url)
    await queue.enqueue("lane", [Job("default", "run", number, [(0, 0, 0)]) for number in range(3)])
    log = "promptward_queue.pgqueuer_log"
    assert await connection.fetchval(f"SELECT count(*) FROM {log}") == 3
    await connection.execute(f"UPDATE {log} SET created = now() - interval '25 hours' WHERE job_id < 3")
    queue.start(work)
    await queue.enqueue("lane", [Job("default", "run", 3, [(0, 0, 0)])])
    await began.wait()
    async with asyncio.timeout(10):
        while await connection.fetchval(f"SELECT count(*) FROM {log} WHERE created < now() - interval '1 day'"):  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.05)
    assert await connection.fetchval(f"SELECT count(*) FROM {log} WHERE job_id >= 3") > 0
    await queue.close()
    await connection.close()
