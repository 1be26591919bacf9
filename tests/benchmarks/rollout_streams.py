"""How often ratings decide a rollout rightly.

    python -m tests.benchmarks.rollout_streams [--streams 500] [--http 20]

Simulated votes (base rate 0.80, 20 % of the units get the candidate, margin 5 points, a look every 50 votes, 10,000 votes at
most), judged by the product's own `judge_rollout`; ramps of 5, 25 and 50 % during which everybody's satisfaction falls; how long
a verdict on 100,000 votes takes; then further streams through the whole service over HTTP, where every vote is the rating of an
answer that the gateway served. Exits with 1 when a figure misses its limit.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np

from app.feedback.schemas import Tally
from app.gates.rollout.judge import judge_rollout
from app.registry.kinds.gate_policy import GatePolicy
from tests.benchmarks.processes import Limit, Service, endpoint, serving
from tests.benchmarks.serving import Client

BASE, SHARE, MARGIN, EVERY, VOTES, DROP = 0.80, 0.20, 0.05, 50, 10_000, 0.10
RAMP, RAMP_VOTES = ((0.05, 0.85), (0.25, 0.80), (0.50, 0.75)), 3_000
"""Share and everybody's satisfaction in each phase, and the votes of a phase."""
RULES = [{"feedback": {"signal": "thumbs", "no_worse_by": MARGIN}}]
POLICY = msgspec.convert({"rules": [{"metric": "m", "floor": 0.5}], "rollout_rules": RULES}, GatePolicy)
NOW = datetime(2027, 1, 1, tzinfo=UTC)


def stream(seed: int, drop: float) -> tuple[str, int]:
    """How one rollout ends (`advance`, `pause` or `hold`), and after how many votes."""
    rng = np.random.default_rng([seed, round(100 * drop)])
    arms = rng.random(VOTES) < SHARE
    good = rng.random(VOTES) < np.where(arms, BASE - drop, BASE)
    for seen in range(EVERY, VOTES + 1, EVERY):
        tallies = []
        for arm, mine in (("candidate", arms[:seen]), ("baseline", ~arms[:seen])):
            n, up = int(mine.sum()), int(good[:seen][mine].sum())
            tallies += [Tally(0, arm, "thumbs", 100, up, up, up), Tally(0, arm, "thumbs", 0, n - up, 0, 0)]  # type: ignore[arg-type]
        verdict = judge_rollout(POLICY, tallies, {0: SHARE}, share=0.5, started_at=NOW, now=NOW)
        if verdict.action != "hold":
            return verdict.action, seen
    return "hold", VOTES


def simulated(streams: int) -> list[Limit]:
    limits = []
    with ProcessPoolExecutor(2) as pool:
        for drop in (0.0, DROP):
            ends = list(pool.map(stream, range(streams), [drop] * streams, chunksize=10))
            counts = Counter(action for action, _ in ends)
            votes = sum(seen for _, seen in ends) / streams
            print(f"drop {100 * drop:g}: {dict(counts)} of {streams} streams, {votes:,.0f} votes in the mean")
            share = 100 * counts["pause"] / streams
            name = f"drop {100 * drop:g}, {streams} streams: decided against it, %"
            limits.append(Limit(name, share, most=2.0) if drop == 0 else Limit(name, share, least=99.0))
    return limits


def ramp(seed: int) -> str:
    """How a ramp at no change ends: `pause` if it was ever paused, else the last look's action."""
    rng = np.random.default_rng([seed, 7])
    shares = {phase: share for phase, (share, _) in enumerate(RAMP)}
    before: list[Tally] = []
    action = "hold"
    for phase, (share, base) in enumerate(RAMP):
        arms, good = rng.random(RAMP_VOTES) < share, rng.random(RAMP_VOTES) < base
        now: list[Tally] = []
        for seen in range(EVERY, RAMP_VOTES + 1, EVERY):
            now = []
            for arm, mine in (("candidate", arms[:seen]), ("baseline", ~arms[:seen])):
                n, up = int(mine.sum()), int(good[:seen][mine].sum())
                now += [Tally(phase, arm, "thumbs", 100, up, up, up), Tally(phase, arm, "thumbs", 0, n - up, 0, 0)]  # type: ignore[arg-type]
            tallies = before + now
            verdict = judge_rollout(POLICY, tallies, shares, share=share, started_at=NOW, now=NOW, flips=False)
            action = verdict.action
            if action in ("pause", "roll_back"):
                return "pause"
        before += now
    return action


def ramps(streams: int) -> list[Limit]:
    with ProcessPoolExecutor(2) as pool:
        ends = Counter(pool.map(ramp, range(streams), chunksize=10))
    print(f"ramp with falling satisfaction, no change: {dict(ends)} of {streams} streams")
    return [
        Limit(f"ramp, no change, {streams} streams: decided against it, %", 100 * ends["pause"] / streams, most=2.0)
    ]


def timed() -> list[Limit]:
    """A verdict on 100,000 votes in three phases: as after every commit, and with its flip cost as when it is read."""
    slowest = {False: 0.0, True: 0.0}
    for drop in (0.0, 0.02, 0.10):
        tallies = []
        for phase in range(3):
            for arm, base in (("candidate", BASE - drop), ("baseline", BASE)):
                n, up = 100_000 // 6, round(100_000 // 6 * base)
                tallies += [Tally(phase, arm, "thumbs", 100, up, up, up), Tally(phase, arm, "thumbs", 0, n - up, 0, 0)]  # type: ignore[arg-type]
        for flips in slowest:
            taken = []
            for _ in range(30):
                began = time.perf_counter()
                judge_rollout(POLICY, tallies, {}, share=0.5, started_at=NOW, now=NOW, flips=flips)
                taken.append(1000 * (time.perf_counter() - began))
            slowest[flips] = max(slowest[flips], float(np.median(taken)))
    print(f"verdict on 100,000 votes with its flip cost: {slowest[True]:.1f} ms (median, slowest of three drops)")
    return [Limit("verdict on 100,000 votes without flip cost, median ms", slowest[False], most=10.0)]


def prepare(service: Service, base_url: str) -> None:
    items = [{"id": f"q{n}", "inputs": {"question": f"question {n}"}, "reference": "ok"} for n in range(40)]
    service.make("datasets", "questions", {"items": items})
    for name in ("one", "two"):
        service.make("endpoints", name, {"provider": "compatible", "base_url": base_url, "model": name})
    rules = {"rules": [{"metric": "exact_match", "floor": 0.6}], "extend": {"max_repeats": 1}, "rollout_rules": RULES}
    service.make("gate-policies", "people", rules)
    scorers = [{"use": "exact_match"}]
    service.make("suites", "checks", {"dataset": "questions", "endpoints": ["one"], "scorers": scorers})


def release(service: Service, number: int) -> str:
    """A prompt of its own, live, and a second release of it that a fifth of the units get."""
    name = f"ask{number}"
    content = {
        "messages": [{"role": "user", "content": "{{ question }}"}],
        "variables": {"question": {"type": "string"}},
    }
    service.make("prompts", name, content)
    made: dict[str, Any] = {}
    for endpoint_name in ("one", "two"):
        body = {"environment": "production", "prompt": name, "endpoint": endpoint_name, "rollout": {"steps": [SHARE]}}
        made = service.post("/api/v1/releases?wait=60", body)
    if made["state"] != "rolling_out":
        raise SystemExit(f"the release is not rolling out: {made}")
    return str(made["id"])


async def over_http(service: Service, client: Client, number: int, drop: float) -> str:
    """How one rollout ends: its release's state."""
    released = await asyncio.to_thread(release, service, number)
    rng = np.random.default_rng([number, round(100 * drop)])

    async def answered(unit: int) -> dict[str, Any]:
        body = {
            "model": f"ask{number}@production",
            "messages": [],
            "unit": f"unit {unit}",
            "variables": {"question": "?"},
        }
        found = await client.post("/v1/chat/completions", body)
        return dict(found["promptward"])

    for start in range(0, VOTES, EVERY):
        ours = await asyncio.gather(*(answered(unit) for unit in range(start, start + EVERY)))
        votes = [
            {
                "receipt": one["receipt"],
                "signal": "thumbs",
                "value": int(rng.random() < (BASE - drop if one["release"] == released else BASE)),
            }
            for one in ours
        ]
        await client.post("/api/v1/feedback", votes, 201)
        found = await asyncio.to_thread(service.get, f"/api/v1/releases/{released}")
        if found["state"] != "rolling_out":
            return str(found["state"])
    return "rolling_out"


async def served(service: Service, streams: int) -> list[Limit]:
    prompts = {f"ask{n}": {"suites": ["checks"], "policy": "people"} for n in range(streams)}
    await asyncio.to_thread(service.put, "/api/v1/environments/production", {"prompts": prompts})
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120), connector=connector) as session:
        client = Client(session, service.url, service.token)
        ends: dict[float, Counter[str]] = {0.0: Counter(), DROP: Counter()}
        for number in range(0, streams, 2):
            # Two at a time: their looks interleave, as they would in a service with several prompts.
            pair = await asyncio.gather(
                over_http(service, client, number, 0.0), over_http(service, client, number + 1, DROP)
            )
            ends[0.0][pair[0]] += 1
            ends[DROP][pair[1]] += 1
    print(f"over HTTP: no change {dict(ends[0.0])}, drop {100 * DROP:g} {dict(ends[DROP])}")
    half = streams // 2
    return [
        Limit(f"over HTTP, no change, {half} streams: paused", ends[0.0]["paused"], most=0.0),
        Limit(f"over HTTP, drop {100 * DROP:g}, {half} streams: paused", ends[DROP]["paused"], least=float(half)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--http", type=int, default=20)
    given = parser.parse_args()
    limits = [*simulated(given.streams), *ramps(given.streams), *timed()] if given.streams else []
    if given.http:
        with tempfile.TemporaryDirectory() as folder, endpoint(0) as url, serving(Path(folder, "home")) as (service, _):
            prepare(service, url)
            limits += asyncio.run(served(service, given.http))
    for limit in limits:
        bound = f"at most {limit.most:g}" if limit.most is not None else f"at least {limit.least:g}"
        print(f"{'ok  ' if limit.holds else 'MISS'}  {limit.name}: {limit.value:g} ({bound})")
    return 0 if all(limit.holds for limit in limits) else 1


if __name__ == "__main__":
    sys.exit(main())
