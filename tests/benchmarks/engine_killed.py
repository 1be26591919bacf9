"""A run whose service is killed half way and started again: when it goes on, what is lost, what is asked twice."""

import signal
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.grids import Grid, asked, check, prepare
from tests.benchmarks.processes import Limit, Service, endpoint, serving, stats

GRID = Grid("killed", 2_000, 64, 200)
FLUSH = 20
SOON_S = 30.0


class Killed(NamedTuple):
    """`resumed_s` is from the first 200 of the new service to its first call, and 0 when the call came first. `in_flight` is what
    the endpoint had not answered; the service was still waiting for some more, whose answers it had not read."""

    resumed_s: float
    lost: int
    stored_twice: int
    in_flight: int
    repeated: int


class Resumption:
    """Looks for the first call after a kill while the service starts."""

    def __init__(self, base_url: str, calls: int) -> None:
        self._base_url, self._calls = base_url, calls
        self.at: float | None = None
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        deadline = time.perf_counter() + SOON_S
        while time.perf_counter() < deadline:
            if stats(self._base_url, reset=False)["calls"] > self._calls:
                self.at = time.perf_counter()
                return
            time.sleep(0.01)

    def after(self, ready: float) -> float:
        self._thread.join()
        return SOON_S if self.at is None else max(0.0, self.at - ready)


def killed(home: Path, base_url: str) -> Killed:
    """One run, one kill when half of its calls were made, one restart."""
    with serving(home) as (service, _):
        prepare(service, GRID, base_url)
        stats(base_url)
        run_id = service.post("/api/v1/runs", asked(GRID))["id"]
        _until(lambda: stats(base_url, reset=False)["calls"] >= GRID.cases // 2)
        service.kill(signal.SIGKILL)
        counted = stats(base_url, reset=False)
    # Calls that were on their way to the endpoint when it was asked are counted a moment later.
    time.sleep(0.5)
    before = stats(base_url, reset=False)["calls"]
    resumption = Resumption(base_url, before)
    with serving(home) as (service, _):
        resumed_s = resumption.after(time.perf_counter())
        found = service.rest(run_id)
        check(found, GRID.cases)
        stored, keys = _stored(service, home, run_id)
    calls = stats(base_url, reset=False)["calls"]
    in_flight = counted["in_flight"] + before - counted["calls"]
    return Killed(resumed_s, GRID.cases - keys, stored - keys, in_flight, calls - GRID.cases)


def measured(folder: Path, rounds: int) -> list[Limit]:
    with endpoint(GRID.latency_ms) as base_url:
        several = [killed(folder / f"killed-{number}", base_url) for number in range(rounds)]
    for each in several:
        print(f"killed: {each.in_flight} calls in flight, {each.repeated} repeated, on after {each.resumed_s:.2f} s")
    return [
        Limit("killed: from the first 200 to the next call, s", statistics.median(e.resumed_s for e in several), 2.0),
        Limit("killed: answers lost", max(e.lost for e in several), 0),
        Limit("killed: answers stored twice", max(e.stored_twice for e in several), 0),
        Limit("killed: calls repeated", max(e.repeated for e in several), GRID.concurrency + FLUSH),
    ]


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + 120
    while not holds():
        if time.perf_counter() > deadline:
            raise SystemExit("the run did not get half way")
        time.sleep(0.005)


def _stored(service: Service, home: Path, run_id: str) -> tuple[int, int]:
    """How many results the API shows for the run, and how many answers with different keys the database holds."""
    shown, cursor = 0, ""
    while True:
        page = service.get(f"/api/v1/runs/{run_id}/results?limit=500{cursor}")
        shown += len(page["items"])
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    query = "select count(distinct cell_key) from answer where run_id = ?"
    with closing(sqlite3.connect(home / "promptward" / "promptward.db")) as database:
        (keys,) = database.execute(query, (run_id,)).fetchone()
    return shown, int(keys)
