"""Reading what runs stored, over real HTTP: pages of 1,000,000 cells, comparisons, files; scoring and finding what is stored.

    python -m tests.benchmarks.results [--only pages|comparison|export|rescoring] [--database SQLite|PostgreSQL] [--cases 100000]

The service has a process of its own. Suites and datasets are made through the API; the cells of the large runs are put into
the database by SQL, under keys as scattered as digests are. `pages`: ten variants of 100,000 cases, answers of 300 bytes, two
scores each; `comparison`: two variants of 100,000 cases, five scores each; `rescoring`: 100,000 recorded answers scored again,
and a run of 10,000 cells that are all known. Every figure is a median of rounds, beside the slowest. Exits with 1 when a limit
is missed. Reads /proc, so it needs Linux.
"""

import argparse
import asyncio
import hashlib
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from tests.benchmarks.processes import Limit, Service, serving
from tests.benchmarks.registry import Uploader, databases, rss_mb, with_client

VARIANTS, ROUNDS = 10, 7
FILLER = " ".join(["Each of these words stands for a part of what a model answered when it was asked."] * 3)
SCORERS = {
    "pages": [{"use": "contains", "name": "right"}, {"use": "fuzz_ratio", "name": "near"}],
    "comparison": [
        {"use": "contains", "name": "right"},
        {"use": "fuzz_ratio", "name": "near"},
        {"use": "token_f1", "name": "words"},
        {"use": "exact_match", "name": "same"},
        {"use": "levenshtein", "name": "long"},
    ],
}

CELLS = """
INSERT INTO run_cell (project_id, run_id, variant_no, case_no, repeat, cell_key, status, error_kind, error)
SELECT 'default', '{run}', v.n, c.n, 0, md5('{run}' || v.n || '/' || c.n) || md5('k' || v.n || '/' || c.n),
  CASE WHEN v.n = {last} AND c.n % 1000 = 999 THEN 'errored' WHEN v.n = 3 AND c.n % 5000 = 7 THEN 'failed' ELSE 'answered' END,
  CASE WHEN v.n = {last} AND c.n % 1000 = 999 THEN 'timeout' END, NULL
FROM bench v, bench c WHERE v.n < {variants} AND c.n < {cases}
"""
ANSWERS = """
INSERT INTO answer (project_id, cell_key, run_id, status, text, parsed, tool_calls, finish_reason, prompt_tokens,
  completion_tokens, cost_nano, latency_ms, model, created_at)
SELECT 'default', cell_key, '{run}', CASE status WHEN 'failed' THEN 'failed' ELSE 'answered' END,
  'Answer ' || case_no || ' of variant ' || variant_no || CASE WHEN case_no = {cases} - 7 THEN ' names Zanzibar. ' ELSE '. ' END
  || '{filler}', 'null', 'null', 'stop', 200, 70, 90000, 200 + (case_no * 7919) % 800, 'm', '2026-01-01 00:00:00'
FROM run_cell WHERE run_id = '{run}' AND status <> 'errored'
"""
SCORES = """
INSERT INTO run_score (project_id, run_id, variant_no, metric_no, case_no, repeat, value, passed, status, score_key, cached)
SELECT 'default', '{run}', v.n, m.n, c.n, 0, {value}, {passed},
  'ok', md5('s{run}' || v.n || '/' || c.n || '/' || m.n) || md5('t' || v.n || '/' || c.n || '/' || m.n), {false}
FROM bench v, bench m, bench c WHERE v.n < {variants} AND m.n < {metrics} AND c.n < {cases}
"""
KEPT = """
INSERT INTO score (project_id, key, cell_key, scorer, value, passed, status, explanation, evidence, cost_nano, tokens, created_at)
SELECT 'default', s.score_key, c.cell_key, 'right@1', s.value, s.passed, 'ok', 'the reference is in the answer', 'null', 0, 0,
  '2026-01-01 00:00:00'
FROM run_score s JOIN run_cell c ON c.project_id = s.project_id AND c.run_id = s.run_id AND c.variant_no = s.variant_no
  AND c.case_no = s.case_no AND c.repeat = s.repeat WHERE s.run_id = '{run}'
"""
# Nearly all pass; one case in a thousand changes sides between neighbours, and one in fifty is worse by far.
BAD = "((c.n + v.n * 37) % 1000 = 0)"
VALUE = f"CASE WHEN m.n IN (0, 3) THEN CASE WHEN {BAD} THEN 0.0 ELSE 1.0 END ELSE ((c.n * 7919 + v.n * 104729 + m.n * 31) % 1000) / 1000.0 END"


async def migrated(url: str) -> None:
    from app.kit.db import make_engine
    from app.migrations import runner

    engine = make_engine(url)
    await runner.upgrade(engine)
    await engine.dispose()


async def fill(url: str, statements: list[str], cases: int) -> None:
    """Runs the statements beside `bench`, a table of the numbers from 0 to `cases`."""
    if url.startswith("sqlite"):
        await asyncio.to_thread(_fill_sqlite, url.removeprefix("sqlite:///"), statements, cases)
        return
    import asyncpg

    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE TEMP TABLE bench AS SELECT n FROM generate_series(0, {cases} - 1) n")
    for statement in statements:
        await connection.execute(statement)
    await connection.execute("ANALYZE")
    await connection.close()


def _fill_sqlite(path: str, statements: list[str], cases: int) -> None:
    connection = sqlite3.connect(path, timeout=60)
    connection.create_function("md5", 1, lambda text: hashlib.md5(text.encode()).hexdigest(), deterministic=True)
    for pragma in ("cache_size=-1500000", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TEMP TABLE bench (n INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO bench VALUES (?)", [(n,) for n in range(cases)])
    for statement in statements:
        connection.execute(statement)
        connection.commit()
    connection.execute("ANALYZE")
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def items(cases: int) -> bytes:
    return b"\n".join(
        msgspec.json.encode(
            {
                "id": f"q{n}",
                "inputs": {"question": f"What is number {n} of the things that are counted?"},
                "reference": f"Answer {n}",
                "tags": (["odd"] if n % 2 else ["even"]) + (["rare"] if n % 1000 == 500 else []),
                "metadata": {"source": "made", "tenth": n % 10},
            }
        )
        for n in range(cases)
    )


async def prepare(client: Uploader, cases: int) -> None:
    content = {
        "messages": [{"role": "user", "content": "{{ question }}"}],
        "variables": {"question": {"type": "string"}},
    }
    await client.post("/api/v1/prompts/ask/versions", {"content": content})
    await client.send("/api/v1/datasets/large/versions", items(cases))
    for n in range(VARIANTS):
        endpoint = {"provider": "compatible", "base_url": "http://127.0.0.1:9/v1", "model": f"m{n}"}
        await client.post(f"/api/v1/endpoints/e{n}/versions", {"content": endpoint})
    for name, scorers in SCORERS.items():
        endpoints = [f"e{n}" for n in range(VARIANTS if name == "pages" else 2)]
        await client.post(
            f"/api/v1/suites/{name}/versions",
            {"content": {"dataset": "large", "endpoints": endpoints, "scorers": scorers}},
        )


async def large_run(client: Uploader, url: str, suite: str, cases: int) -> str:
    """A run of one case, whose cells cannot be answered, made large in the database."""
    body = {"suite": suite, "candidates": [{"prompt": "ask"}], "max_cases": 1}
    run = await client.post("/api/v1/runs?wait=1", body, 200, 202)
    await client.post(f"/api/v1/runs/{run['id']}/cancel", {}, 200)
    await enlarge(url, run["id"], cases)
    variants, metrics = (VARIANTS, 2) if suite == "pages" else (2, 5)
    fields = {
        "run": run["id"], "cases": cases, "variants": variants, "last": variants - 1, "metrics": metrics, "filler": FILLER,
        "value": VALUE, "passed": f"NOT {BAD}", "false": "false",
    }  # fmt: skip
    statements = [CELLS, SCORES] + ([ANSWERS, KEPT] if suite == "pages" else [])
    began = time.perf_counter()
    clean = [f"DELETE FROM {table} WHERE run_id = '{run['id']}'" for table in ("run_cell", "run_score")]
    await fill(url, clean + [statement.format(**fields) for statement in statements], cases)
    print(f"{f'  {suite}: {variants * cases:,} cells put in':<64}{time.perf_counter() - began:>9.1f} s")
    return str(run["id"])


async def enlarge(url: str, run_id: str, cases: int) -> None:
    """Gives a run of one case all of its dataset's."""
    from sqlalchemy import select, update
    from sqlmodel import col

    from app.datasets.service import Datasets
    from app.kit.db import core, make_engine, make_sessions
    from app.runs.spec import Case, encode_cases
    from app.runs.tables import RunCasesRow, RunRow, RunVariantRow

    engine = make_engine(url)
    async with make_sessions(engine).begin() as session:
        spec = (await session.scalars(select(col(RunRow.spec)).where(col(RunRow.id) == run_id))).one()
        datasets = Datasets(session, "default")
        latest = await datasets.registry.resolve("dataset", "large@latest")
        found = [Case(e.id, e.digest, list(e.tags)) for e in await datasets.entries(latest)]
        await session.execute(
            update(core(RunRow)).where(col(RunRow.id) == run_id).values(status="done", spec={**spec, "cases": cases})
        )
        changed = update(core(RunCasesRow)).where(col(RunCasesRow.run_id) == run_id)
        await session.execute(changed.values(cases=encode_cases(found)))
        counters = {"planned": cases, "answered": cases, "errored": 0, "failed": 0, "cancelled": 0}
        await session.execute(update(core(RunVariantRow)).where(col(RunVariantRow.run_id) == run_id).values(counters))
        last = (col(RunVariantRow.run_id) == run_id, col(RunVariantRow.variant_no) == len(spec["variants"]) - 1)
        await session.execute(update(core(RunVariantRow)).where(*last).values(errored=cases // 1000))
        third = (col(RunVariantRow.run_id) == run_id, col(RunVariantRow.variant_no) == 3)
        await session.execute(update(core(RunVariantRow)).where(*third).values(failed=cases // 5000))
    await engine.dispose()


async def timed(work: Callable[[], Any], rounds: int = ROUNDS) -> tuple[float, float, bytes]:
    """Milliseconds, the median and the most of some rounds after a first one; and what came last."""
    taken, body = [], b""
    await work()
    for _ in range(rounds):
        began = time.perf_counter()
        body = await work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken), max(taken), body


def looks(cases: int, cursor: str) -> dict[str, dict[str, Any]]:
    return {
        "the first page": {},
        "one after 700,000 cells": {"cursor": cursor},
        "a variant": {"variant": "c1:e5"},
        "a case": {"case": f"q{cases - 3}"},
        "a tag of half": {"tag": "odd"},
        "a rare tag": {"tag": "rare"},
        "status answered": {"status": "answered"},
        "status failed": {"status": "failed"},
        "status errored, in the last variant": {"status": "errored"},
        "status cancelled, which none is": {"status": "cancelled"},
        "failed": {"failed": "true"},
        "not failed": {"failed": "false"},
        "a metric passed": {"metric": "right", "passed": "true"},
        "a metric did not pass": {"metric": "near", "passed": "false"},
        "flipped": {"variant": "c1:e1", "flipped_against": "c1:e0"},
        "text in many": {"q": "words stands"},
        "text in one case": {"q": "zanzibar"},
        "text in none": {"q": "nowhere to be found"},
        "a rare tag that failed": {"tag": "rare", "failed": "true"},
    }


async def pages(client: Uploader, service: Service, database: str, url: str, cases: int) -> list[Limit]:
    from app.kit.pages import encode_cursor

    run = await large_run(client, url, "pages", cases)
    limits = []
    for name, filters in looks(cases, encode_cursor(7, 100, 0)).items():
        path = f"/api/v1/runs/{run}/results?{urlencode({'limit': 100, **filters}, quote_via=quote)}"
        median, most, body = await timed(lambda path=path: client.get(path))
        page = json.loads(body)
        label = f"{database}: {name}"
        more = "" if page["next_cursor"] is None else ", and more"
        print(f"{label:<64}{median:>9.1f}{most:>9.1f} ms   {len(page['items'])} cells{more}", flush=True)
        limits.append(Limit(f"{label}, a page of 100, ms", median, most=100.0))
    median, most, _ = await timed(lambda: client.get(f"/api/v1/runs/{run}"))
    print(f"{f'{database}: the run itself':<64}{median:>9.1f}{most:>9.1f} ms")
    return [*limits, Limit(f"{database}: GET /runs/{{id}}, ms", median, most=20.0)]


async def comparison(client: Uploader, service: Service, database: str, url: str, cases: int) -> list[Limit]:
    run = await large_run(client, url, "comparison", cases)
    before = rss_mb(service.pid)
    path = f"/api/v1/runs/{run}/comparison?candidate=c1:e1&baseline=c1:e0"
    median, most, body = await timed(lambda: client.get(path), 3)
    found = json.loads(body)
    growth = rss_mb(service.pid, "VmHWM") - before
    print(
        f"{f'{database}: two variants, 5 metrics':<64}{median:>9.0f}{most:>9.0f} ms   {len(found['flips'])} flips, {growth:.0f} MB more"
    )
    return [Limit(f"{database}: comparison of 2 x {cases:,} cells x 5 metrics, s", median / 1000, most=3.0)]


async def export(client: Uploader, service: Service, database: str, url: str, cases: int) -> list[Limit]:
    run = await large_run(client, url, "comparison", cases)
    limits = []
    for kind in ("jsonl", "csv", "parquet"):
        before = rss_mb(service.pid)
        began = time.perf_counter()
        size = await drained(client, f"/api/v1/runs/{run}/export?format={kind}")
        taken = time.perf_counter() - began
        growth = rss_mb(service.pid, "VmHWM") - before
        print(
            f"{f'{database}: {2 * cases:,} cells as {kind}':<64}{taken:>9.1f} s   {size / 1e6:.0f} MB, {growth:.0f} MB more memory"
        )
        limits.append(Limit(f"{database}: {kind}, MB of memory more", growth, most=150.0))
    return limits


async def drained(client: Uploader, path: str) -> int:
    size = 0
    async with client._session.get(client._url + path, headers=client._headers) as answer:
        async for piece in answer.content.iter_chunked(1 << 16):
            size += len(piece)
    return size


PARTS: dict[str, Callable[..., Any]] = {"pages": pages, "comparison": comparison, "export": export}


async def measure(
    client: Uploader, service: Service, database: str, url: str, only: str | None, cases: int
) -> list[Limit]:
    began = time.perf_counter()
    await prepare(client, cases)
    print(f"{f'{database}: made':<64}{time.perf_counter() - began:>9.1f} s", flush=True)
    limits = []
    for name, part in PARTS.items():
        if only in (None, name):
            limits += await part(client, service, database, url, cases)
    return limits


def main() -> int:
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(PARTS))
    parser.add_argument("--database", choices=["SQLite", "PostgreSQL"])
    parser.add_argument("--cases", type=int, default=100_000)
    given = parser.parse_args()
    limits: list[Limit] = []
    with tempfile.TemporaryDirectory() as temporary, databases(Path(temporary)) as found:
        for name, url in found.items():
            if given.database in (None, name):
                asyncio.run(migrated(url))
                with serving(Path(temporary) / name, PROMPTWARD_DATABASE_URL=url) as (service, _):
                    work = lambda c, s=service, n=name, u=url: measure(c, s, n, u, given.only, given.cases)  # noqa: E731
                    limits += uvloop.run(with_client(service, work))
    for limit in limits:
        bound = f"at most {limit.most:g}" if limit.most is not None else f"at least {limit.least:g}"
        print(f"{'ok  ' if limit.holds else 'MISS'}  {limit.name}: {limit.value:.2f} ({bound})")
    return 0 if all(limit.holds for limit in limits) else 1


if __name__ == "__main__":
    sys.exit(main())
