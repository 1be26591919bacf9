"""Limits that processes share, on PostgreSQL."""

import asyncio
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import asyncpg
import pytest

from app.kit.db import make_engine, make_sessions
from app.llm.retries import RetryPolicy
from app.llm.schemas import EndpointSpec, Limits
from app.llm.service import LLM
from app.llm.shared import SharedLimits
from tests.app.llm.canned import canned, completion, http
from tests.app.llm.conftest import ask, spec

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
ANSWER = http(200, completion())
PATIENT = RetryPolicy(rate_limited_attempts=30, base_s=0.02, most_s=0.2)


class Meter:
    """A server's own account: when calls came, and how many it had at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at: list[float] = []
        self.now = self.most = 0

    async def script(self, writer: asyncio.StreamWriter) -> None:
        self.at.append(monotonic())
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.now -= 1
        writer.write(ANSWER)
        await writer.drain()

    def most_within(self, seconds: float) -> int:
        at = sorted(self.at)
        return max((sum(1 for other in at[i:] if other < first + seconds) for i, first in enumerate(at)), default=0)


@asynccontextmanager
async def processes(url: str, count: int, **options: Any) -> AsyncIterator[list[LLM]]:
    """As many as if each were a process: with an engine of its own."""
    importlib.import_module("app.llm.client")  # what a first call waits for is not what is measured
    engines = [make_engine(url) for _ in range(count)]
    for engine in engines:
        async with engine.connect():
            pass
    made = [
        LLM(
            {},
            allow_loopback=True,
            retries=PATIENT,
            limits=SharedLimits(make_sessions(engine), f"process-{i}", **options),
        )
        for i, engine in enumerate(engines)
    ]
    try:
        yield made
    finally:
        for llm in made:
            await llm.close()
        for engine in engines:
            await engine.dispose()


async def flood(llm: LLM, endpoint: EndpointSpec, seconds: float, callers: int = 60) -> int:
    """Calls as fast as they are answered."""
    until, done = monotonic() + seconds, 0

    async def caller() -> None:
        nonlocal done
        while monotonic() < until:
            await llm.call(endpoint, ask())
            done += 1

    tasks = [asyncio.create_task(caller()) for _ in range(callers)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert result is None or isinstance(result, asyncio.CancelledError), result
    return done


async def test_two_processes_together_never_have_more_in_flight_than_one_may(database_url: str) -> None:
    meter = Meter(0.02)
    async with canned(meter.script) as server, processes(database_url, 2) as (first, second):
        endpoint = spec(server.base_url, limits=Limits(max_concurrency=12))
        done = await asyncio.gather(flood(first, endpoint, 3.0), flood(second, endpoint, 3.0))
    assert meter.most <= 12
    assert meter.most >= 10
    assert min(done) >= 0.6 * max(done)


async def test_one_process_alone_gets_all_at_once(database_url: str) -> None:
    meter = Meter(0.3)
    async with canned(meter.script) as server, processes(database_url, 1) as (llm,):
        endpoint = spec(server.base_url, limits=Limits(max_concurrency=32))
        await asyncio.gather(*(llm.call(endpoint, ask()) for _ in range(32)))
    assert meter.most == 32


async def test_requests_per_minute_hold_for_all_processes_together(database_url: str) -> None:
    meter = Meter(0.0)
    async with canned(meter.script) as server, processes(database_url, 3) as workers:
        endpoint = spec(server.base_url, limits=Limits(rpm=1200))  # twenty a second
        done = await asyncio.gather(*(flood(llm, endpoint, 4.0, 20) for llm in workers))
    assert meter.most_within(1.0) <= 20 + 20
    assert meter.most_within(3.0) <= 60 + 20
    assert len(meter.at) >= 60  # and the rate is used
    assert min(done) >= 10


async def test_a_low_rate_is_exact(database_url: str) -> None:
    meter = Meter(0.0)
    async with canned(meter.script) as server, processes(database_url, 2) as workers:
        endpoint = spec(server.base_url, limits=Limits(rpm=60))
        await asyncio.gather(*(flood(llm, endpoint, 4.5, 5) for llm in workers))
    assert 4 <= len(meter.at) <= 5  # at 0, 1, 2, 3 and 4 seconds
    assert meter.most_within(0.6) == 1


async def test_tokens_per_minute_are_shared_and_settled(database_url: str) -> None:
    meter = Meter(0.0)
    async with canned(meter.script) as server, processes(database_url, 2) as workers:
        endpoint = spec(server.base_url, limits=Limits(tpm=9000))  # 150 a second; each answer is 15 by its own account
        request = ask(params={"max_tokens": 60})
        started = monotonic()
        await asyncio.gather(*(llm.call(endpoint, request) for llm in workers for _ in range(20)))
        took = monotonic() - started
    assert len(meter.at) == 40
    assert took >= 40 * 15 / 150 - 1.5
    assert took < 40 * 90 / 150 - 2.0  # had nothing been settled


async def test_a_refusal_rests_the_endpoint_for_every_process_and_halves_it_once(database_url: str) -> None:
    refusing = False
    served: list[float] = []

    async def script(writer: asyncio.StreamWriter) -> None:
        if refusing:
            writer.write(http(429, "{}", retry_after="1"))
        else:
            served.append(monotonic())
            await asyncio.sleep(0.01)
            writer.write(ANSWER)
        await writer.drain()

    async with canned(script) as server, processes(database_url, 2) as (first, second):
        endpoint = spec(server.base_url, limits=Limits(max_concurrency=16))
        await asyncio.gather(first.call(endpoint, ask()), second.call(endpoint, ask()))
        refusing = True
        refused = asyncio.create_task(first.call(endpoint, ask()))
        await until(lambda: first.calls == 2 and first.in_flight == 0, 10)
        at = monotonic()
        refusing = False
        await asyncio.sleep(0.5)  # the other process hears of it with its next exchange
        before = len(served)
        await second.call(endpoint, ask())
        assert len(served) > before
        assert served[-1] - at >= 0.9
        await refused
        connection = await asyncpg.connect(database_url)
        assert 8.0 <= await connection.fetchval("SELECT concurrency FROM endpoint_limit") < 9.0
        await connection.close()


async def test_what_a_killed_process_held_is_taken_over(database_url: str) -> None:
    meter = Meter(0.05)
    async with canned(meter.script) as server, processes(database_url, 1, lease_s=2.0) as (survivor,):
        endpoint = spec(server.base_url, limits=Limits(max_concurrency=8))
        other = subprocess.Popen([sys.executable, "-m", __name__, database_url, server.base_url])  # noqa: ASYNC220
        try:
            await until(lambda: meter.most == 8, 30)
            waiting = [asyncio.create_task(survivor.call(endpoint, ask())) for _ in range(8)]
            await asyncio.gather(*waiting)
            os.kill(other.pid, signal.SIGKILL)
        finally:
            other.kill()
            other.wait()
        await until(lambda: meter.now == 0, 5)
        meter.most = 0
        await flood(survivor, endpoint, 4.0)
    assert meter.most == 8


async def test_without_the_database_calls_wait_and_go_on_when_it_is_back(database_url: str) -> None:
    meter = Meter(0.0)
    name = database_url.partition("?")[0].rpartition("/")[2]
    async with canned(meter.script) as server, processes(database_url, 1, lease_s=1.5) as (llm,):
        endpoint = spec(server.base_url)
        await llm.call(endpoint, ask())
        admin = await asyncpg.connect(database_url.replace(name, "postgres", 1))
        await admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        await admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        await asyncio.sleep(1.2)
        before = len(meter.at)
        waiting = asyncio.create_task(llm.call(endpoint, ask()))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        assert len(meter.at) == before
        await admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
        await admin.close()
        async with asyncio.timeout(10):
            await waiting


async def test_a_database_whose_clock_was_set_back_holds_up_nobody(database_url: str) -> None:
    meter = Meter(0.0)
    async with canned(meter.script) as server, processes(database_url, 1) as (llm,):
        endpoint = spec(server.base_url, limits=Limits(rpm=600, max_concurrency=4))
        connection = await asyncpg.connect(database_url)
        await connection.execute(
            "INSERT INTO endpoint_limit SELECT $1, 4, now, 0, now + 0.2, 0, now "
            "FROM (SELECT extract(epoch FROM clock_timestamp())::float8 + 3600 AS now) later",
            endpoint.digest,
        )
        await connection.execute(
            "INSERT INTO endpoint_share SELECT endpoint, 'gone', 4, 4, synced_at - 20 FROM endpoint_limit"
        )
        await connection.close()
        async with asyncio.timeout(5):
            await asyncio.gather(*(llm.call(endpoint, ask()) for _ in range(8)))
    assert meter.most <= 4


async def test_faults_are_repeated_once_each_and_nothing_else_is(database_url: str) -> None:
    count, faults = 0, 0

    async def script(writer: asyncio.StreamWriter) -> None:
        nonlocal count, faults
        count += 1
        answer = http(429, "{}", retry_after="1") if count % 20 == 7 else http(500, "{}") if count % 50 == 3 else ANSWER
        faults += answer is not ANSWER
        writer.write(answer)
        await writer.drain()

    async with canned(script) as server, processes(database_url, 2) as workers:
        endpoint = spec(server.base_url)
        await asyncio.gather(*(llm.call(endpoint, ask()) for llm in workers for _ in range(100)))
    assert faults > 10
    assert sum(llm.calls for llm in workers) == count == 200 + faults


async def test_exchanges_are_few_however_many_calls_there_are(database_url: str) -> None:
    async with canned(ANSWER) as server, processes(database_url, 1) as (llm,):
        endpoint = spec(server.base_url, limits=Limits(max_concurrency=16))
        started = monotonic()
        done = await flood(llm, endpoint, 2.0)
        turns: Any = llm._pools[endpoint.digest].turns
        assert turns.exchanges <= 4 + (monotonic() - started) / 0.15
        assert done > 5 * turns.exchanges


async def until(reached: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not reached():  # noqa: ASYNC110 - what is waited for happens in a server
            await asyncio.sleep(0.005)


async def _forever(url: str, base_url: str) -> None:
    async with processes(url, 1, lease_s=2.0) as (llm,):
        llm._limits._process = "the-other"  # type: ignore[attr-defined]
        await flood(llm, spec(base_url, limits=Limits(max_concurrency=8)), 3600.0)


if __name__ == "__main__":
    asyncio.run(_forever(*sys.argv[1:]))
