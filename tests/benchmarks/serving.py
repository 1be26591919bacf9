"""What is live, over real HTTP: fetched, called, and rated.

    python -m tests.benchmarks.serving [--rounds 3]

The service has a process of its own, and so has the model endpoint; this process is the load. Ratios compare routes of the
same server in the same run, in alternating rounds; medians count. Exits with 1 when a limit is missed.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from tests.benchmarks.processes import Limit, Service, endpoint, serving

CONNECTIONS, FETCHES = 16, 4_000
RATE, SECONDS, UPSTREAM_MS = 100, 10, 50
RATERS, RATINGS, STORED, LATER = 64, 4_000, 100_000, 300
LIVE = "/api/v1/environments/production/prompts/ask"
MODEL = "ask@production"

Send = Callable[[int], Awaitable[None]]


class Load(NamedTuple):
    """Requests per second, and latencies in milliseconds."""

    per_s: float
    p50: float
    p99: float


def load(seconds: float, latencies_ms: Sequence[float]) -> Load:
    ordered = sorted(latencies_ms)
    return Load(len(ordered) / seconds, ordered[len(ordered) // 2], ordered[int(0.99 * len(ordered))])


async def closed(send: Send, count: int, workers: int) -> Load:
    """Each worker sends its next request when the last one is answered."""
    taken: list[float] = []
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            started = time.perf_counter()
            await send(number)
            taken.append(1000 * (time.perf_counter() - started))

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(workers)))
    return load(time.perf_counter() - began, taken)


async def opened(send: Send, per_s: int, seconds: int) -> Load:
    """Requests at their times, whether or not earlier ones are answered."""
    taken: list[float] = []

    async def one(number: int, due: float) -> None:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        started = time.perf_counter()
        await send(number)
        taken.append(1000 * (time.perf_counter() - started))

    began = time.perf_counter()
    await asyncio.gather(*(one(n, began + n / per_s) for n in range(per_s * seconds)))
    return load(time.perf_counter() - began, taken)


class Client:
    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session, self._url = session, url
        self._headers = {"Authorization": f"Bearer {token}"}

    async def get(self, path: str) -> bytes:
        async with self._session.get(self._url + path, headers=self._headers) as answer:
            body = await answer.read()
            if answer.status != 200:
                raise SystemExit(f"{path}: {answer.status} {body!r}")
            return body

    async def post(self, path: str, body: Any, *status: int) -> dict[str, Any]:
        async with self._session.post(self._url + path, json=body, headers=self._headers) as answer:
            found = await answer.read()
            if answer.status not in (status or (200, 201)):
                raise SystemExit(f"{path}: {answer.status} {found!r}")
            return dict(json.loads(found))


def prepare(service: Service, base_url: str) -> None:
    """A released prompt, and a second release of which half of the units get the candidate."""
    content = {
        "messages": [{"role": "user", "content": "{{ question }}"}],
        "variables": {"question": {"type": "string"}},
    }
    service.make("prompts", "ask", content)
    items = [{"id": f"q{n}", "inputs": {"question": f"question {n}"}, "reference": "ok"} for n in range(40)]
    service.make("datasets", "questions", {"items": items})
    for name in ("one", "two"):
        service.make("endpoints", name, {"provider": "compatible", "base_url": base_url, "model": name})
    rules = {"rules": [{"metric": "exact_match", "floor": 0.6}], "extend": {"max_repeats": 1}}
    people = [{"feedback": {"signal": "thumbs", "no_worse_by": 0.05}}, {"errors": {"max_rate": 0.02}}]
    service.make("gate-policies", "easy", {**rules, "rollout_rules": people})
    service.make(
        "suites", "checks", {"dataset": "questions", "endpoints": ["one"], "scorers": [{"use": "exact_match"}]}
    )
    service.put("/api/v1/environments/production", {"prompts": {"ask": {"suites": ["checks"], "policy": "easy"}}})
    release(service, "one", "live")


def release(service: Service, name: str, state: str, **more: Any) -> None:
    body = {"environment": "production", "prompt": "ask", "endpoint": name, **more}
    made = service.post("/api/v1/releases?wait=60", body)
    if made["state"] != state:
        raise SystemExit(f"the release is not {state}: {made}")


async def fetching(client: Client, rounds: int) -> list[Limit]:
    bare: list[Load] = []
    live: list[Load] = []
    for _ in range(rounds):
        bare.append(await closed(lambda _: _of(client.get("/health/live")), FETCHES, CONNECTIONS))
        live.append(await closed(lambda _: _of(client.get(LIVE)), FETCHES, CONNECTIONS))
    (per_s, p50, p99), (bare_per_s, bare_p50, bare_p99) = _median(live), _median(bare)
    print(f"{'':<34}{'per s':>9}{'p50 ms':>9}{'p99 ms':>9}")
    print(f"{'bare JSON route':<34}{bare_per_s:>9.0f}{bare_p50:>9.2f}{bare_p99:>9.2f}")
    print(f"{'live prompt, with a key':<34}{per_s:>9.0f}{p50:>9.2f}{p99:>9.2f}")
    return [
        Limit("live prompt: requests/s, times the bare route", per_s / bare_per_s, least=0.5),
        Limit("live prompt: p50, times the bare route", p50 / bare_p50, most=2.0),
        Limit("live prompt: p99, times the bare route", p99 / bare_p99, most=3.0),
    ]


def _median(loads: Sequence[Load]) -> Load:
    return Load(*(statistics.median(values) for values in zip(*loads, strict=True)))


async def _of(awaited: Awaitable[Any]) -> None:
    await awaited


def asked(number: int) -> dict[str, Any]:
    return {"model": MODEL, "messages": [], "variables": {"question": f"question {number}"}, "unit": f"unit {number}"}


async def gateway(client: Client, upstream: Client) -> list[Limit]:
    direct_body = {"model": "one", "messages": [{"role": "user", "content": "question"}]}
    await closed(lambda n: _of(client.post("/v1/chat/completions", asked(n))), 50, 16)  # what the first calls import
    direct = await opened(lambda _: _of(upstream.post("/chat/completions", direct_body)), RATE, SECONDS)
    through = await opened(lambda n: _of(client.post("/v1/chat/completions", asked(n))), RATE, SECONDS)
    print(f"{f'upstream, {RATE} requests/s':<34}{direct.per_s:>9.0f}{direct.p50:>9.2f}{direct.p99:>9.2f}")
    print(f"{f'through the gateway, {RATE}/s':<34}{through.per_s:>9.0f}{through.p50:>9.2f}{through.p99:>9.2f}")
    return [Limit("gateway: p99 over the upstream's median, ms", through.p99 - direct.p50, most=15.0)]


async def rating(client: Client, service: Service) -> list[Limit]:
    """Ratings one by one, during a rollout whose rules are looked at after each."""
    receipts: list[str] = []

    async def answer(number: int) -> None:
        found = await client.post("/v1/chat/completions", asked(number))
        receipts.append(found["promptward"]["receipt"])

    served = await closed(answer, RATINGS + LATER, RATERS)

    async def rate(number: int) -> None:
        body = {"receipt": receipts[number], "signal": "thumbs", "value": int(number % 10 < 8)}
        await client.post("/api/v1/feedback", body, 201)

    rated = await closed(rate, RATINGS, RATERS)
    for start in range(0, STORED - RATINGS, 1_000):
        votes = [
            {"id": f"elsewhere {n}", "prompt": "ask", "signal": "thumbs", "value": 1, "rater": f"person {n}"}
            for n in range(start, start + 1_000)
        ]
        await asyncio.to_thread(service.post, "/api/v1/feedback", votes)
    later = await closed(lambda n: rate(RATINGS + n), LATER, 1)
    print(f"{f'answers served, {RATERS} at once':<34}{served.per_s:>9.0f}{served.p50:>9.2f}{served.p99:>9.2f}")
    print(f"{f'ratings, {RATERS} at once':<34}{rated.per_s:>9.0f}{rated.p50:>9.2f}{rated.p99:>9.2f}")
    print(f"{f'a rating with {STORED:,} stored':<34}{later.per_s:>9.0f}{later.p50:>9.2f}{later.p99:>9.2f}")
    return [
        Limit("ratings/s, durable on SQLite", rated.per_s, least=500.0),
        Limit(f"a rating and its verdict with {STORED:,} stored, p50 ms", later.p50, most=10.0),
    ]


async def measure(service: Service, url: str, token: str, upstream_url: str, fast_url: str, rounds: int) -> list[Limit]:
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)  # less than the server's, which would cut in
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        client, upstream = Client(session, url, token), Client(session, upstream_url, "")
        limits = await fetching(client, rounds)
        limits += await gateway(client, upstream)
        # An endpoint that answers at once, so that the ratings' receipts are soon there.
        await asyncio.to_thread(
            service.make, "endpoints", "two", {"provider": "compatible", "base_url": fast_url, "model": "two"}
        )
        await asyncio.to_thread(release, service, "two", "rolling_out", rollout={"steps": [0.5]})
        limits += await rating(client, service)
        rolling = await opened(lambda n: _of(client.post("/v1/chat/completions", asked(n))), RATE, SECONDS)
        print(
            f"{f'the same during a rollout, {RATE}/s':<34}{rolling.per_s:>9.0f}{rolling.p50:>9.2f}{rolling.p99:>9.2f}"
        )
        return [*limits, Limit("gateway during a rollout, upstream at once: p99, ms", rolling.p99, most=15.0)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with (
        tempfile.TemporaryDirectory() as folder,
        endpoint(UPSTREAM_MS) as upstream,
        endpoint(0) as fast,
        serving(Path(folder, "home")) as (service, _),
    ):
        prepare(service, upstream)
        import uvloop

        limits = uvloop.run(measure(service, service.url, service.token, upstream, fast, rounds))
    for limit in limits:
        bound = f"at most {limit.most:g}" if limit.most is not None else f"at least {limit.least:g}"
        print(f"{'ok  ' if limit.holds else 'MISS'}  {limit.name}: {limit.value:.2f} ({bound})")
    return 0 if all(limit.holds for limit in limits) else 1


if __name__ == "__main__":
    sys.exit(main())
