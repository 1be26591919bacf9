"""The grids that the run engine is measured on: each one a dataset, an endpoint, a suite, and loops that make the same calls."""

import json
import subprocess
import sys
import time
from typing import Any, NamedTuple

from tests.benchmarks.loops import question
from tests.benchmarks.processes import ROOT, Measured, Service, cpu_s, stats

SCORERS = [{"use": "exact_match"}, {"use": "contains"}]


class Grid(NamedTuple):
    """`faults` are the endpoint's options; `timeout_s` is how long one call may take."""

    name: str
    cases: int
    concurrency: int
    latency_ms: float
    faults: tuple[str, ...] = ()
    timeout_s: float = 60.0

    @property
    def ideal_s(self) -> float:
        return self.cases * self.latency_ms / 1000 / self.concurrency


FAULTS = ("--spread", "0.5", "--refused", "0.05", "--broken", "0.02")
SPEED = (
    Grid("c64-50ms", 1_000, 64, 50),
    Grid("c64-200ms", 1_000, 64, 200),
    Grid("c256-200ms", 5_000, 256, 200),
)
FAULTY = (
    Grid("faults", 2_000, 64, 50, FAULTS),
    Grid("stall", 2_000, 64, 50, (*FAULTS, "--stalled", "500"), timeout_s=5.0),
)


def prepare(service: Service, grid: Grid, base_url: str, **more: Any) -> None:
    """What is evaluated, and a first small run, so that no import is measured. `more` belongs to the endpoint."""
    prompt = {
        "messages": [{"role": "user", "content": "{{ question }}"}],
        "variables": {"question": {"type": "string"}},
    }
    service.make("prompts", "ask", prompt)
    items = [{"id": f"q{n}", "inputs": {"question": question(n)}, "reference": "ok"} for n in range(grid.cases)]
    service.make("datasets", grid.name, {"items": items})
    content = {
        "provider": "compatible",
        "base_url": base_url,
        "model": "bench",
        "limits": {"max_concurrency": grid.concurrency},
        "timeout_s": grid.timeout_s,
        **more,
    }
    service.make("endpoints", grid.name, content)
    service.make("suites", grid.name, {"dataset": grid.name, "endpoints": [grid.name], "scorers": SCORERS})
    service.post("/api/v1/runs?wait=300", asked(grid) | {"max_cases": 2})


def asked(grid: Grid) -> dict[str, Any]:
    """A run whose answers are all asked for anew."""
    return {"suite": grid.name, "candidates": [{"prompt": "ask"}], "fresh": True}


def run(service: Service, grid: Grid, base_url: str) -> Measured:
    """One run: planned, called, scored, stored and summarised."""
    stats(base_url)
    before, started = cpu_s(service.pid), time.perf_counter()
    found = service.post("/api/v1/runs?wait=300", asked(grid))
    wall, cpu = time.perf_counter() - started, cpu_s(service.pid) - before
    counted = stats(base_url)
    check(found, grid.cases)
    return Measured(wall, cpu, counted["most_in_flight"], counted["calls"], counted["faults"])


def check(found: dict[str, Any], cases: int) -> None:
    """Every cell was answered, scored and counted once."""
    metrics = found["variants"][0]["metrics"]
    scored = {(m["n"], m["missing"], m["mean"]) for m in metrics.values()}
    cells = {name: number for name, number in found["cells"].items() if number}
    wanted = ("done", {"planned": cases, "answered": cases}, {(cases, 0, 1.0)}, len(SCORERS))
    if (found["status"], cells, scored, len(metrics)) != wanted:
        raise SystemExit(f"the run is not what it should be: {found}")


def loop(name: str, grid: Grid, base_url: str) -> Measured:
    """The same calls by a loop in a process of its own; one call comes before those that are measured."""
    stats(base_url)
    options = {"--cases": grid.cases, "--concurrency": grid.concurrency, "--timeout-s": grid.timeout_s}
    command = [sys.executable, "-m", "tests.benchmarks.loops", name, base_url]
    command += [str(part) for option in options.items() for part in option]
    printed = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)
    counted = stats(base_url)
    return Measured(printed["wall_s"], printed["cpu_s"], counted["most_in_flight"], counted["calls"], counted["faults"])
