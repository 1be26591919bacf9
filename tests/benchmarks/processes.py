"""The service and the endpoints of a benchmark, each in a process of its own, and what they use. Reads /proc."""

import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent.parent
TICKS = os.sysconf("SC_CLK_TCK")


class Limit(NamedTuple):
    """`most` for what may not be more, `least` for what may not be less."""

    name: str
    value: float
    most: float | None = None
    least: float | None = None

    @property
    def holds(self) -> bool:
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)


class Measured(NamedTuple):
    """What a run or a loop took, and what its endpoint counted."""

    wall_s: float
    cpu_s: float
    most_in_flight: int
    calls: int
    faults: int


def median(several: Sequence[Measured]) -> Measured:
    """The medians of seconds; the worst of the others."""
    walls, cpus, most, calls, faults = zip(*several, strict=True)
    return Measured(statistics.median(walls), statistics.median(cpus), min(most), max(calls), max(faults))


def show(limits: Sequence[Limit]) -> bool:
    """Prints them, and says whether all hold."""
    width = max(len(limit.name) for limit in limits) + 2
    print(f"\n{'':<{width}}{'measured':>9}{'limit':>9}")
    for limit in limits:
        bound = limit.least if limit.most is None else limit.most
        print(f"{limit.name:<{width}}{limit.value:>9.2f}{bound:>9g}  {'' if limit.holds else 'MISSED'}".rstrip())
    return all(limit.holds for limit in limits)


class Service:
    """A running service and a client of its API."""

    def __init__(self, process: subprocess.Popen[str], url: str, token: str) -> None:
        self.pid, self.url, self.token = process.pid, url, token

    def kill(self, number: int) -> None:
        os.kill(self.pid, number)

    def post(self, path: str, body: Any) -> dict[str, Any]:
        return self._send("POST", path, json.dumps(body).encode())

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._send("PUT", path, json.dumps(body).encode())

    def get(self, path: str) -> dict[str, Any]:
        return self._send("GET", path, None)

    def upload(self, path: str, lines: bytes) -> dict[str, Any]:
        return self._send("POST", path, lines, "application/x-ndjson")

    def _send(self, method: str, path: str, body: bytes | None, kind: str = "application/json") -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=330) as answer:
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            error.msg += f" {error.read().decode()}"
            raise

    def make(self, kind: str, name: str, content: dict[str, Any]) -> None:
        self.post(f"/api/v1/{kind}/{name}/versions", {"content": content})

    def rest(self, run_id: str, within_s: float = 600) -> dict[str, Any]:
        """The run once it rests."""
        deadline = time.perf_counter() + within_s
        while (found := self.get(f"/api/v1/runs/{run_id}"))["status"] in ("queued", "running"):
            if time.perf_counter() > deadline:
                raise SystemExit(f"the run did not end: {found['cells']}, {found['errors']}")
            time.sleep(0.1)
        return found


@contextmanager
def endpoint(latency_ms: float, *more: str) -> Iterator[str]:
    """The base URL of an endpoint; `more` are the server's options."""
    command = [sys.executable, "-m", "tests.benchmarks.server", "--latency-ms", str(latency_ms), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


@contextmanager
def serving(home: Path, **more: str) -> Iterator[tuple[Service, float]]:
    """`promptward serve` with this home, and the seconds from its start to its first 200."""
    token, url = f"pw_{home.name.replace('-', '')}_{secrets.token_hex(16)}", f"http://127.0.0.1:{free_port()}"
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PROMPTWARD_HOME": str(home / "promptward"),
        "PROMPTWARD_PORT": url.rpartition(":")[2],
        "PROMPTWARD_ADMIN_KEY": token,
        **more,
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", "serve"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environ,
    )
    try:
        while not answers(f"{url}/health/ready"):
            if process.poll() is not None:
                raise SystemExit(f"the service ended: {process.communicate()[1]}")
            time.sleep(0.01)
        first = time.perf_counter() - started
        yield Service(process, url, token), first
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def stats(base_url: str, *, reset: bool = True) -> dict[str, int]:
    """What an endpoint has counted; `reset` begins its counts again."""
    address = base_url.removesuffix("/v1") + ("/stats?reset" if reset else "/stats")
    with urllib.request.urlopen(address, timeout=30) as answer:
        return dict(json.loads(answer.read()))


def family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(p for child in children for p in family(int(child)))]


def cpu_s(pid: int) -> float:
    """User and system seconds of a process and its children, those that have ended included."""
    fields = [Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split() for p in family(pid)]
    return sum(int(used) for f in fields for used in f[11:15]) / TICKS


def resident_mb(pid: int) -> float:
    pages = [int(Path(f"/proc/{p}/statm").read_text().split()[1]) for p in family(pid)]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


def peak_mb(pid: int) -> float:
    """The most that a process and its children ever held, each by itself."""
    peaks = [
        int(line.split()[1])
        for p in family(pid)
        for line in Path(f"/proc/{p}/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    ]
    return sum(peaks) / 1024
