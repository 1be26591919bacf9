"""Whole runs through the service, beside plain loops that make the same calls.

    python -m tests.benchmarks.run_engine [--rounds 3] [--only c64-50ms --only faults …]

One service on SQLite, driven over HTTP; two cheap scorers, everything stored. The service, the endpoint and each loop have a
process of their own; rounds alternate, and medians count. The parts:

    start        how soon a new service answers, and what memory it holds before its first call
    c64-50ms     1,000 cells, 64 calls at once, 50 ms; c64-200ms the same at 200 ms; c256-200ms 5,000 cells and 256 at once
    faults       2,000 cells, 5 % refused (429, `Retry-After: 1`), 2 % broken (500), latencies spread around 50 ms
    stall        the same, and one call that is not answered for a minute, with a timeout of 5 s
    called       peak memory at 5,000 cells; replayed: at 100,000 recorded answers
    killed       kill -9 half way, and a start on the same home

Reads /proc, so it needs Linux. Exits with 1 when a limit is missed.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks import engine_killed, engine_memory
from tests.benchmarks.grids import FAULTY, SPEED, Grid, loop, prepare, run
from tests.benchmarks.processes import Limit, Measured, endpoint, median, resident_mb, serving, show

GRIDS = {grid.name: grid for grid in (*SPEED, *FAULTY)}
MEMORY = ("called", "replayed")
PARTS = ("start", *GRIDS, *MEMORY, "killed")
WALL, WALL_IDEAL, CPU = 1.2, 1.15, 1.8


def starts(folder: Path, rounds: int) -> list[Limit]:
    firsts, sizes = [], []
    for number in range(rounds):
        with serving(folder / f"start-{number}") as (service, first_s):
            firsts.append(first_s)
            sizes.append(resident_mb(service.pid))
    return [
        Limit("start of the service to its first 200, s", statistics.median(firsts), 2.0),
        Limit("memory before the first call, MB", statistics.median(sizes), 150.0),
    ]


def grids(folder: Path, rounds: int, chosen: Sequence[Grid]) -> list[Limit]:
    """One service for all of them; the loops and the service take turns."""
    limits: list[Limit] = []
    with ExitStack() as stack:
        service, _ = stack.enter_context(serving(folder / "home"))
        print(f"{'':<24}{'wall s':>9}{'CPU s':>9}{'in flight':>11}{'calls':>8}{'faults':>8}")
        for grid in chosen:
            with endpoint(grid.latency_ms, *grid.faults) as base_url:
                prepare(service, grid, base_url)
                loops = ("openai",) if grid.faults else ("openai", "parsed", "aiohttp")
                measured: dict[str, list[Measured]] = {name: [] for name in ("service", *loops)}
                for _ in range(rounds):
                    measured["service"].append(run(service, grid, base_url))
                    for name in loops:
                        measured[name].append(loop(name, grid, base_url))
            print(f"{f'{grid.name}: ideal':<24}{grid.ideal_s:>9.2f}")
            for name, several in measured.items():
                m = median(several)
                row = f"{m.wall_s:>9.2f}{m.cpu_s:>9.2f}{m.most_in_flight:>11}{m.calls:>8}{m.faults:>8}"
                print(f"{f'{grid.name}: {name}':<24}{row}", flush=True)
            limits += judged(grid, measured["service"], median(measured["openai"]))
    return limits


def judged(grid: Grid, ours: Sequence[Measured], theirs: Measured) -> list[Limit]:
    """A grid's figures against the loop of the official client with raw responses."""
    name, middle = grid.name, median(ours)
    limits: list[Limit] = []
    if name == "c64-200ms":
        limits.append(Limit(f"{name}: wall, times the ideal", middle.wall_s / grid.ideal_s, WALL_IDEAL))
    else:
        limits.append(Limit(f"{name}: wall, times the client loop", middle.wall_s / theirs.wall_s, WALL))
    wasted = max(abs(m.calls - m.faults - grid.cases) for m in ours)
    limits.append(Limit(f"{name}: calls beyond cells and faults", wasted, 0))
    if not grid.faults:
        limits.append(Limit(f"{name}: CPU, times the client loop", middle.cpu_s / theirs.cpu_s, CPU))
        limits.append(Limit(f"{name}: most calls in flight", middle.most_in_flight, grid.concurrency, grid.concurrency))
    return limits


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=PARTS, help="May be given several times.")
    given = parser.parse_args()
    parts, rounds = set(given.only or PARTS), given.rounds
    limits: list[Limit] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "start" in parts:
            limits += starts(folder, rounds)
        if chosen := [grid for grid in GRIDS.values() if grid.name in parts]:
            limits += grids(folder, rounds, chosen)
        if some := parts.intersection(MEMORY):
            limits += engine_memory.measured(folder, rounds, some)
        if "killed" in parts:
            limits += engine_killed.measured(folder, rounds)
    return 0 if show(limits) else 1


if __name__ == "__main__":
    sys.exit(main())
