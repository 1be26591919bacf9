"""The most memory that the service's processes hold while they perform a run, from their start on."""

import json
import statistics
from pathlib import Path

from tests.benchmarks.grids import SCORERS, SPEED, check, prepare, run
from tests.benchmarks.loops import question
from tests.benchmarks.processes import Limit, endpoint, peak_mb, serving

CALLED, REPLAYED = SPEED[-1], 100_000


def called(home: Path) -> float:
    """MB of a run whose calls are made."""
    with endpoint(CALLED.latency_ms) as base_url, serving(home) as (service, _):
        prepare(service, CALLED, base_url)
        run(service, CALLED, base_url)
        return peak_mb(service.pid)


def replayed(home: Path) -> float:
    """MB of a run of recorded answers: the import of its dataset, 100,000 lines, included."""
    with serving(home) as (service, _):
        prompt = {"messages": [{"role": "user", "content": "{{ question }}"}], "variables": {"question": {}}}
        service.make("prompts", "ask", prompt)
        service.upload("/api/v1/datasets/replayed/versions", b"\n".join(_line(n) for n in range(REPLAYED)))
        service.make("endpoints", "recordings", {"provider": "replay", "model": "bench"})
        suite = {"dataset": "replayed", "endpoints": ["recordings"], "scorers": SCORERS}
        service.make("suites", "replayed", suite)
        imported = peak_mb(service.pid)
        body = {"suite": "replayed", "candidates": [{"prompt": "ask"}]}
        found = service.rest(service.post("/api/v1/runs", body)["id"])
        check(found, REPLAYED)
        peak = peak_mb(service.pid)
    took = f"{found['started_at'][11:19]} to {found['finished_at'][11:19]}"
    print(
        f"{REPLAYED:,} replayed cells: {imported:.0f} MB once the dataset is stored, {peak:.0f} MB at the end; {took}"
    )
    return peak


def measured(folder: Path, rounds: int, parts: set[str]) -> list[Limit]:
    """`parts`: called, replayed."""
    limits = []
    if "called" in parts:
        peaks = [called(folder / f"called-{number}") for number in range(rounds)]
        limits.append(Limit(f"{CALLED.cases:,} cells: peak memory, MB", statistics.median(peaks), 250.0))
    if "replayed" in parts:
        peaks = [replayed(folder / f"replayed-{number}") for number in range(rounds)]
        limits.append(Limit(f"{REPLAYED:,} replayed cells: peak memory, MB", statistics.median(peaks), 600.0))
    return limits


def _line(number: int) -> bytes:
    item = {
        "id": f"q{number}",
        "inputs": {"question": question(number)},
        "reference": "ok",
        "recorded": {"bench": {"text": "ok", "usage": {"prompt_tokens": 20, "completion_tokens": 1}}},
    }
    return json.dumps(item).encode()
