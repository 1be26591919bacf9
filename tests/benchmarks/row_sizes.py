"""What a cell costs on PostgreSQL: rows, bytes, write-ahead log, transactions and connections.

    python -m tests.benchmarks.row_sizes [--cells 20000] [--workers 2]

Starts the bundled PostgreSQL with its own settings (`fsync` on), a service without a worker and the workers, and makes one run
whose every cell is called, scored twice and stored. The answers are two letters long, so the bytes are those of a row without
its texts. docs/scaling.md counts with what this prints.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from app.runs.queue import Job
from app.runs.shared_queue import SharedQueue
from tests.benchmarks.fleet import Fleet, postgresql
from tests.benchmarks.grids import Grid, asked, check, prepare
from tests.benchmarks.processes import cpu_s, endpoint

TABLES = ("run_cell", "answer", "score", "run_score")
CONCURRENCY, JOBS = 256, 1_000
SIZES = """
SELECT c.relname, pg_table_size(c.oid), pg_indexes_size(c.oid), s.n_tup_upd, s.n_tup_hot_upd
FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid WHERE c.relname = ANY($1::text[])
"""
COUNTS = """
SELECT xact_commit, tup_inserted, tup_updated, tup_deleted, pg_current_wal_lsn() - '0/0'
FROM pg_stat_database WHERE datname = current_database()
"""
OPEN = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@contextmanager
def closing(fleet: Fleet) -> Iterator[None]:
    try:
        yield
    finally:
        fleet.stop()


async def watched(url: str, work: Any) -> tuple[Any, int]:
    """What `work` gives, and the most connections that were open meanwhile."""
    connection = await asyncpg.connect(url)
    task, most = asyncio.ensure_future(asyncio.to_thread(work)), 0
    while not task.done():
        most = max(most, await connection.fetchval(OPEN))
        await asyncio.sleep(0.1)
    await connection.close()
    return await task, most


async def measure(fleet: Fleet, server_pid: int, cells: int, workers: int) -> None:
    grid, url = Grid("rows", cells, CONCURRENCY, 0.0), fleet.url
    names = [f"worker-{n}" for n in range(workers)]
    connection = await asyncpg.connect(url)
    with endpoint(0.0) as base_url, closing(fleet):
        for name in ("service", *names):
            fleet.start(name)
        service = fleet.ready(workers)
        pids = [fleet.processes[name].pid for name in names]
        prepare(service, grid, base_url)
        await connection.execute("CHECKPOINT")
        await asyncio.sleep(2.0)  # statistics are told once a second
        before = await connection.fetchrow(COUNTS)
        database = cpu_s(server_pid)
        cpu, began = sum(cpu_s(pid) for pid in pids), time.perf_counter()
        run = service.post("/api/v1/runs", asked(grid))
        found, most = await watched(url, lambda: service.rest(run["id"]))
        wall, cpu = time.perf_counter() - began, sum(cpu_s(pid) for pid in pids) - cpu
        check(found, cells)
        await asyncio.sleep(2.0)
        after = await connection.fetchrow(COUNTS)
        database = cpu_s(server_pid) - database
        sizes = await connection.fetch(SIZES, list(TABLES))
        rows = {name: await connection.fetchval(f"SELECT count(*) FROM {name}") for name in TABLES}
    await connection.close()
    show(sizes, rows, [int(b) - int(a) for a, b in zip(before, after, strict=True)], cells)
    print(
        f"\n{cells:,} cells, {workers} workers: {cells / wall:,.0f} cells/s; CPU a cell: {cpu / cells * 1000:.2f} ms of the "
        f"workers, {database / cells * 1000:.2f} ms of PostgreSQL"
    )
    print(f"connections: {most} at most, of 1 service and {workers} workers")
    print(f"jobs that do nothing, one process: {await jobs_per_s(url):,.0f} jobs/s")


async def jobs_per_s(url: str) -> float:
    """How fast one process gets jobs of one lane through the queue."""
    done, all_done = 0, asyncio.Event()

    async def work(_: Job) -> bool:
        nonlocal done
        done += 1
        if done == JOBS:
            all_done.set()
        return True

    queue = SharedQueue(url, eager=True)
    await queue.enqueue("lane", [Job("project", "run", 1, [(0, n, 0)]) for n in range(JOBS)])
    began = time.perf_counter()
    queue.start(work)
    await all_done.wait()
    took = time.perf_counter() - began
    await queue.close()
    return JOBS / took


def show(sizes: Sequence[Any], counts: dict[str, int], counted: Sequence[int], cells: int) -> None:
    print(f"\n{'':<12}{'rows':>9}{'heap B':>9}{'index B':>9}{'updates':>9}{'of them HOT':>13}")
    for name, heap, index, updated, hot in sizes:
        rows = counts[name]
        print(f"{name:<12}{rows:>9,}{heap / rows:>9.0f}{index / rows:>9.0f}{updated / rows:>9.2f}{hot / rows:>13.2f}")
    commits, inserted, updated, deleted, wal = counted
    print(
        f"\nper cell: {inserted / cells:.2f} rows inserted, {updated / cells:.2f} updated, {deleted / cells:.2f} deleted; "
        f"{wal / cells:,.0f} B of write-ahead log; {commits / cells:.2f} transactions"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with postgresql() as server, tempfile.TemporaryDirectory(prefix="promptward-benchmark-") as folder:
        server_pid = int((Path(server.pgdata) / "postmaster.pid").read_text().split()[0])
        asyncio.run(measure(Fleet(server, Path(folder), "rows"), server_pid, options.cells, options.workers))
