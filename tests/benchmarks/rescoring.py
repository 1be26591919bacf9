"""What is stored scored again, and found again, over real HTTP: 100,000 recorded answers and 10,000 cells that are all known.

    python -m tests.benchmarks.rescoring [--database SQLite|PostgreSQL] [--cells 100000] [--known 10000] [--rounds 3]

The answers are recorded in a dataset, which a `replay` endpoint answers with, so no model is called. Medians count; exits with 1
when a limit is missed. Reads /proc, so it needs Linux.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks.processes import Limit, Service, serving
from tests.benchmarks.registry import Uploader, databases, rss_mb, with_client
from tests.benchmarks.results import migrated

QUESTION = {"messages": [{"role": "user", "content": "{{ question }}"}], "variables": {"question": {"type": "string"}}}


def items(cells: int, name: str) -> bytes:
    filler = "Each of these words stands for a part of what a model answered when it was asked. " * 3
    return b"\n".join(
        msgspec.json.encode(
            {
                "id": f"q{n}",
                "inputs": {"question": f"What is number {n} of {name}?"},
                "reference": f"number {n} ",
                "recorded": {"m": {"text": f"It is number {n} of all. {filler}"}},
            }
        )
        for n in range(cells)
    )


async def suite(client: Uploader, name: str, *scorers: str) -> None:
    content = {"dataset": name, "endpoints": ["recorded"], "scorers": [{"use": scorer} for scorer in scorers]}
    await client.post(f"/api/v1/suites/{name}/versions", {"content": content})


async def finished(client: Uploader, run: dict[str, Any], began: float) -> float:
    """Seconds until the run rests; raises where it does not rest as done."""
    while run["status"] in ("queued", "running"):
        await asyncio.sleep(0.05)
        run = msgspec.json.decode(await client.get(f"/api/v1/runs/{run['id']}"))
    if run["status"] != "done":
        raise SystemExit(f"the run ended as {run['status']}: {run['reason']}")
    return time.perf_counter() - began


async def run(client: Uploader, name: str) -> tuple[str, float]:
    began = time.perf_counter()
    made = await client.post("/api/v1/runs", {"suite": name, "candidates": [{"prompt": "ask"}]}, 202)
    return made["id"], await finished(client, made, began)


async def rescored(client: Uploader, run_id: str) -> float:
    began = time.perf_counter()
    return await finished(client, await client.post(f"/api/v1/runs/{run_id}/rescore", {}, 202), began)


async def measure(
    client: Uploader, service: Service, database: str, cells: int, known: int, rounds: int
) -> list[Limit]:
    await client.post("/api/v1/prompts/ask/versions", {"content": QUESTION})
    await client.post("/api/v1/endpoints/recorded/versions", {"content": {"provider": "replay", "model": "m"}})
    for name, count in (("few", known), ("many", cells)):
        await client.send(f"/api/v1/datasets/{name}/versions", items(count, name))
        await suite(client, name, "contains")
    _, first = await run(client, "few")
    again = [(await run(client, "few"))[1] for _ in range(rounds)]
    found = statistics.median(again)
    print(f"{database}: {known:,} cells replayed {first:.1f} s, all known {found:.2f} s", flush=True)
    before = rss_mb(service.pid)
    run_id, first = await run(client, "many")
    print(
        f"{database}: {cells:,} cells replayed {first:.1f} s, {rss_mb(service.pid, 'VmHWM') - before:.0f} MB more",
        flush=True,
    )
    taken = []
    for scorer in ("contains_all", "starts_with", "ends_with")[:rounds]:
        await suite(client, "many", scorer)
        taken.append(await rescored(client, run_id))
    anew = statistics.median(taken)
    print(
        f"{database}: {cells:,} answers scored again by a new scorer {', '.join(f'{s:.1f}' for s in taken)} s",
        flush=True,
    )
    kept = await rescored(client, run_id)
    print(
        f"{database}: {cells:,} answers whose scores are known {kept:.1f} s, peak {rss_mb(service.pid, 'VmHWM'):.0f} MB",
        flush=True,
    )
    return [
        Limit(f"{database}: a run of {known:,} known cells, s", found, most=3.0),
        Limit(f"{database}: {cells:,} answers scored again, s", anew, most=20.0),
        Limit(f"{database}: peak memory of the service, MB", rss_mb(service.pid, "VmHWM"), most=600.0),
    ]


def main() -> int:
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["SQLite", "PostgreSQL"])
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--known", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    limits: list[Limit] = []
    with tempfile.TemporaryDirectory() as temporary, databases(Path(temporary)) as found:
        for name, url in found.items():
            if given.database in (None, name):
                asyncio.run(migrated(url))
                with serving(Path(temporary) / name, PROMPTWARD_DATABASE_URL=url) as (service, _):
                    sizes = (given.cells, given.known, given.rounds)
                    limits += uvloop.run(
                        with_client(service, lambda c, s=service, n=name, z=sizes: measure(c, s, n, *z))
                    )
    for limit in limits:
        print(f"{'ok  ' if limit.holds else 'MISS'}  {limit.name}: {limit.value:.2f} (at most {limit.most:g})")
    return 0 if all(limit.holds for limit in limits) else 1


if __name__ == "__main__":
    sys.exit(main())
