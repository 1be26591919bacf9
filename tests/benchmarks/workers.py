"""Workers on one PostgreSQL database: how they scale, how one takes over, and what random kills do to a run.

    python -m tests.benchmarks.workers [--only scale|points|takeover] [--tries 50] [--rounds 3] [--seed 6]

A PostgreSQL server of its own with its durability on, `promptward serve --no-worker`, and workers: all processes. The parts:

    scale        3,000 cells, an endpoint that answers at once: cells per second of two workers against one, on all cores
    takeover     three workers, 200 ms, one killed under load: seconds until its cells are called again
    points       a random worker, or the service, is killed at a random moment and replaced; the run ends whole

Needs Linux. Exits with 1 when a limit is missed.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.fleet import Fleet, postgresql, rows
from tests.benchmarks.grids import Grid, asked, check, prepare
from tests.benchmarks.processes import Limit, Service, endpoint, show, stats

FLUSH = 20
SCALE = Grid("scale", 3_000, 64, 0)
TAKEOVER = Grid("takeover", 1_500, 48, 200)
POINT = Grid("point", 300, 16, 60)
LANES = 3
PRICE = {"price": {"input": 1.0, "output": 1.0}, "params": {"max_tokens": 16}}
BUDGET_USD = 1.0


def scale(server: Any, folder: Path, rounds: int) -> list[Limit]:
    """Rounds of one and of two workers take turns."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    fleet = Fleet(server, folder, "scale")
    fleet.start("service")
    with endpoint(SCALE.latency_ms) as base_url:
        fleet.start("first")
        service = fleet.ready(1)
        prepare(service, SCALE, base_url)
        for _ in range(rounds):
            for workers in (1, 2):
                if workers == 2:
                    fleet.start("second")
                    fleet.ready(2)
                    _warm(service)
                started = time.perf_counter()
                found = service.rest(service.post("/api/v1/runs", asked(SCALE))["id"])
                rates[workers].append(SCALE.cases / (time.perf_counter() - started))
                check(found, SCALE.cases)
                print(f"scale: {workers} worker(s), {rates[workers][-1]:.0f} cells/s", flush=True)
            fleet.stop(["second"])
        fleet.stop()
    one, two = (statistics.median(rates[n]) for n in (1, 2))
    print(f"scale: medians {one:.0f} and {two:.0f} cells/s")
    return [Limit("scale: two workers, times one", two / one, least=1.4)]


def _warm(service: Service) -> None:
    """So that no import of a new worker is measured."""
    for _ in range(2):
        service.rest(service.post("/api/v1/runs", asked(SCALE) | {"max_cases": 300})["id"])


def takeover(server: Any, folder: Path, rounds: int) -> list[Limit]:
    seconds, lost, twice, beyond = [], 0, 0, 0
    for number in range(rounds):
        fleet = Fleet(server, folder, f"takeover_{number}")
        for name in ("service", "first", "second", "third"):
            fleet.start(name)
        with endpoint(TAKEOVER.latency_ms, "--repeats") as base_url:
            service = fleet.ready(3)
            prepare(service, TAKEOVER, base_url)
            stats(base_url)
            run_id = service.post("/api/v1/runs", asked(TAKEOVER))["id"]
            _reached(base_url, TAKEOVER.cases // 3)
            fleet.kill(_busiest(fleet))
            killed_at = time.perf_counter()
            again_s = 0.0
            while service.get(f"/api/v1/runs/{run_id}")["status"] == "running":
                if not again_s and stats(base_url, reset=False)["repeated"]:
                    again_s = time.perf_counter() - killed_at
                time.sleep(0.02)
            ended_s = time.perf_counter() - killed_at
            found = whole(fleet, service, run_id, TAKEOVER.cases)
            repeated = stats(base_url)["repeated"]
            print(f"takeover: called again after {again_s:.1f} s, done after {ended_s:.1f} s, {repeated} repeated")
            fleet.stop()
        seconds.append(again_s or ended_s)
        lost, twice = max(lost, found.lost), max(twice, found.twice)
        beyond = max(beyond, repeated - TAKEOVER.concurrency - FLUSH)
    return [
        Limit("takeover: seconds until its cells are called again", max(seconds), 30),
        Limit("takeover: cells lost", lost, 0),
        Limit("takeover: answers stored twice", twice, 0),
        Limit("takeover: calls repeated beyond concurrency + 20", beyond, 0),
    ]


def _reached(base_url: str, calls: int) -> None:
    """Returns once so many calls have come."""
    deadline = time.perf_counter() + 120
    while stats(base_url, reset=False)["calls"] < calls:
        if time.perf_counter() > deadline:
            raise SystemExit(f"no {calls} calls within two minutes")
        time.sleep(0.01)


def _busiest(fleet: Fleet) -> str:
    """The worker that asks for most answers."""
    query = """SELECT process.pid FROM process JOIN answer_claim ON answer_claim.process = process.id
               GROUP BY process.id ORDER BY count(*) DESC LIMIT 1"""
    pid = rows(fleet.url, query)[0][0]
    return next(name for name, process in fleet.processes.items() if process.pid == pid)


class Found(NamedTuple):
    lost: int
    twice: int


def whole(fleet: Fleet, service: Service, run_id: str, cases: int) -> Found:
    """Every cell in one state, shown once, answered once; nothing left over. Ends the benchmark where something is wrong
    that is not a number of lost cells."""
    found = service.rest(run_id)
    counted = dict(found["cells"])
    planned = counted.pop("planned")
    states = dict(rows(fleet.url, "SELECT status, count(*) FROM run_cell WHERE run_id = $1 GROUP BY 1", run_id))
    answers, keys = rows(fleet.url, "SELECT count(*), count(DISTINCT cell_key) FROM answer WHERE run_id = $1", run_id)[
        0
    ]
    scores = rows(fleet.url, "SELECT metric_no, count(*) FROM run_score WHERE run_id = $1 GROUP BY 1", run_id)
    claims = rows(fleet.url, "SELECT count(*) FROM answer_claim")[0][0]
    purses = rows(
        fleet.url,
        "SELECT coalesce(sum(granted_nano), 0)::bigint, coalesce(sum(spent_nano), 0)::bigint,"
        " coalesce(bool_and(spent_nano <= granted_nano), true) FROM run_purse WHERE run_id = $1",
        run_id,
    )[0]
    jobs = _jobs(fleet, run_id)
    shown = _shown(service, run_id)
    wrong = {
        "status": found["status"] != "done",
        "counters": planned != cases or sum(counted.values()) != planned,
        "cells": states != {name: n for name, n in counted.items() if n},
        "results": len(shown) != cases or len(set(shown)) != cases,
        "scores": any(n != cases for _, n in scores) or len(scores) != 2,
        "claims": claims != 0,
        "purse": purses[0] > BUDGET_USD * 1e9 or not purses[2],
        "queue": jobs != 0,
    }
    if any(wrong.values()):
        told = [name for name, is_wrong in wrong.items() if is_wrong]
        raise SystemExit(f"wrong: {told}: {found}, {states}, {scores}, claims {claims}, purses {purses}, jobs {jobs}")
    return Found(cases - counted["answered"], answers - keys)


def _jobs(fleet: Fleet, run_id: str) -> int:
    """Jobs of the run that are on the queue; those of its end may stay for a moment."""
    query = "SELECT count(*) FROM promptward_queue.pgqueuer WHERE split_part(dedupe_key, '/', 1) = $1"
    deadline = time.perf_counter() + 30
    while (jobs := int(rows(fleet.url, query, run_id)[0][0])) and time.perf_counter() < deadline:
        time.sleep(0.2)
    return jobs


def _shown(service: Service, run_id: str) -> list[tuple[str, int, int]]:
    shown, cursor = [], ""
    while True:
        page = service.get(f"/api/v1/runs/{run_id}/results?limit=500{cursor}")
        shown += [(r["variant"], r["case"], r["repeat"]) for r in page["items"]]
        if page["next_cursor"] is None:
            return shown
        cursor = f"&cursor={page['next_cursor']}"


class Point(NamedTuple):
    """One kill: of whom, when, and what came of it."""

    victim: str
    after_s: float
    ended_s: float
    repeated: int
    found: Found


def points(server: Any, folder: Path, tries: int, seed: int) -> list[Limit]:
    """Several databases at once, each with a service and two workers: most of the time is waiting for a lease to end."""
    shares = [tries // LANES + (n < tries % LANES) for n in range(LANES)]
    with ThreadPoolExecutor(LANES) as pool:
        lanes = [pool.submit(_lane, server, folder, n, share, seed) for n, share in enumerate(shares) if share]
        found = [point for lane in lanes for point in lane.result()]
    for victim in ("worker", "service"):
        of = [p for p in found if p.victim.startswith(victim)]
        if of:
            print(f"points: {len(of)} kills of a {victim}, most repeated {max(p.repeated for p in of)}, "
                  f"ended at most {max(p.ended_s - p.after_s for p in of):.1f} s after it")  # fmt: skip
    return [
        Limit("points: kills", len(found), least=tries),
        Limit("points: cells lost", sum(p.found.lost for p in found), 0),
        Limit("points: answers stored twice", sum(p.found.twice for p in found), 0),
        Limit("points: calls repeated", max(p.repeated for p in found), POINT.concurrency + FLUSH),
    ]


def _lane(server: Any, folder: Path, lane: int, tries: int, seed: int) -> list[Point]:
    rng, found = random.Random(seed * 100 + lane), []
    home = folder / f"lane-{lane}"
    home.mkdir()
    fleet = Fleet(server, home, f"points_{lane}")
    names = ("service", "worker-1", "worker-2")
    for name in names:
        fleet.start(name)
    with endpoint(POINT.latency_ms, "--repeats", "--spread", "0.5") as base_url:
        service = fleet.ready(2)
        prepare(service, POINT, base_url, **PRICE)
        for number in range(tries):
            stats(base_url)
            began = time.perf_counter()
            run_id = service.post("/api/v1/runs", asked(POINT) | {"budget_usd": BUDGET_USD})["id"]
            victim = rng.choices(names, (1, 3, 3))[0]
            _reached(base_url, rng.randrange(POINT.cases))
            time.sleep(rng.uniform(0.0, POINT.latency_ms / 1000))
            after_s = time.perf_counter() - began
            fleet.kill(victim)
            fleet.start(victim)
            service = fleet.ready(0)
            whole_run = whole(fleet, service, run_id, POINT.cases)
            ended_s, repeated = time.perf_counter() - began, stats(base_url, reset=False)["repeated"]
            fleet.ready(2)
            found.append(Point(victim, after_s, ended_s, repeated, whole_run))
            print(f"points: {lane}.{number} {victim} after {after_s:.2f} s, ended after {ended_s:.1f} s, {repeated} repeated", flush=True)  # fmt: skip
    fleet.stop()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("scale", "points", "takeover"))
    parser.add_argument("--tries", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=6)
    given = parser.parse_args(arguments)
    limits: list[Limit] = []
    with postgresql() as server, tempfile.TemporaryDirectory() as name:
        if given.only in (None, "scale"):
            limits += scale(server, Path(name), given.rounds)
        if given.only in (None, "takeover"):
            limits += takeover(server, Path(name), given.rounds)
        if given.only in (None, "points"):
            limits += points(server, Path(name), given.tries, given.seed)
    return 0 if show(limits) else 1


if __name__ == "__main__":
    sys.exit(main())
