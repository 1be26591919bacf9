"""A whole run through the service, beside plain loops that make the same calls.

    python -m tests.benchmarks.run_engine [--rounds 3]

1,000 cases on one endpoint, concurrency 64, two cheap scorers, everything stored in SQLite, driven over HTTP. The service, the
endpoint and each loop have a process of their own; rounds alternate, and medians count. Also: how soon a new service answers,
and what memory it holds before its first call. Reads /proc, so it needs Linux. Exits with 1 when a limit is missed.
"""

import argparse
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.loops import CASES, CONCURRENCY, question

ROOT = Path(__file__).parent.parent.parent
LATENCIES_MS = (50, 200)
TICKS = os.sysconf("SC_CLK_TCK")


class Measured(NamedTuple):
    wall_s: float
    cpu_s: float
    most_in_flight: int


class Limit(NamedTuple):
    """`most` for what may not be more, `least` for what may not be less."""

    name: str
    value: float
    most: float | None = None
    least: float | None = None

    @property
    def holds(self) -> bool:
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)


class Service:
    """A running service and a client of its API."""

    def __init__(self, process: subprocess.Popen[str], url: str, token: str) -> None:
        self.pid, self.url, self.token = process.pid, url, token

    def kill(self, number: int) -> None:
        os.kill(self.pid, number)

    def post(self, path: str, body: Any) -> dict[str, Any]:
        return self._send("POST", path, body)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._send("PUT", path, body)

    def get(self, path: str) -> dict[str, Any]:
        return self._send("GET", path, None)

    def _send(self, method: str, path: str, body: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            return dict(json.loads(answer.read()))

    def make(self, kind: str, name: str, content: dict[str, Any]) -> None:
        self.post(f"/api/v1/{kind}/{name}/versions", {"content": content})


@contextmanager
def endpoint(latency_ms: int) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.benchmarks.server", "--latency-ms", str(latency_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


@contextmanager
def serving(home: Path, **more: str) -> Iterator[tuple[Service, float]]:
    """`promptward serve` with a new home, and the seconds from its start to its first 200."""
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


def stats(base_url: str) -> dict[str, int]:
    with urllib.request.urlopen(base_url.removesuffix("/v1") + "/stats?reset", timeout=5) as answer:
        return dict(json.loads(answer.read()))


def family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(p for child in children for p in family(int(child)))]


def cpu_s(pid: int) -> float:
    """User and system seconds of a process and its children."""
    fields = [Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split() for p in family(pid)]
    return sum(int(f[11]) + int(f[12]) for f in fields) / TICKS


def resident_mb(pid: int) -> float:
    pages = [int(Path(f"/proc/{p}/statm").read_text().split()[1]) for p in family(pid)]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


def prepare(service: Service, urls: dict[int, str]) -> None:
    """What is evaluated: made before anything is measured."""
    prompt = {
        "messages": [{"role": "user", "content": "{{ question }}"}],
        "variables": {"question": {"type": "string"}},
    }
    service.make("prompts", "ask", prompt)
    items = [{"id": f"q{n}", "inputs": {"question": question(n)}, "reference": "ok"} for n in range(CASES)]
    service.make("datasets", "questions", {"items": items})
    scorers = [{"use": "exact_match"}, {"use": "contains"}]
    for latency_ms, url in urls.items():
        name = f"wait-{latency_ms}"
        content = {
            "provider": "compatible",
            "base_url": url,
            "model": "bench",
            "limits": {"max_concurrency": CONCURRENCY},
        }
        service.make("endpoints", name, content)
        service.make("suites", name, {"dataset": "questions", "endpoints": [name], "scorers": scorers})


def run(service: Service, latency_ms: int, base_url: str) -> Measured:
    """One run whose answers are all asked for anew: planned, called, scored, stored and summarised."""
    stats(base_url)
    before, started = cpu_s(service.pid), time.perf_counter()
    body = {"suite": f"wait-{latency_ms}", "candidates": [{"prompt": "ask"}], "fresh": True}
    found = service.post("/api/v1/runs?wait=300", body)
    wall, cpu = time.perf_counter() - started, cpu_s(service.pid) - before
    counted = stats(base_url)
    metrics = found["variants"][0]["metrics"]
    scored = {(m["n"], m["missing"], m["mean"]) for m in metrics.values()}
    if (found["status"], counted["calls"], scored, len(metrics)) != ("done", CASES, {(CASES, 0, 1.0)}, 2):
        raise SystemExit(f"the run is not what it should be: {found}, {counted}")
    return Measured(wall, cpu, counted["most_in_flight"])


def loop(name: str, base_url: str) -> Measured:
    stats(base_url)
    command = [sys.executable, "-m", "tests.benchmarks.loops", name, base_url]
    printed = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    return Measured(printed["wall_s"], printed["cpu_s"], stats(base_url)["most_in_flight"])


def median(several: Sequence[Measured]) -> Measured:
    walls, cpus, most = zip(*several, strict=True)
    return Measured(statistics.median(walls), statistics.median(cpus), min(most))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    limits: list[Limit] = []
    with tempfile.TemporaryDirectory() as folder:
        starts, sizes = [], []
        for number in range(rounds):
            with serving(Path(folder, f"start-{number}")) as (service, first_s):
                starts.append(first_s)
                sizes.append(resident_mb(service.pid))
        limits += [
            Limit("start of the service to its first 200, s", statistics.median(starts), 2.0),
            Limit("memory before the first call, MB", statistics.median(sizes), 150.0),
        ]
        with endpoint(50) as fast, endpoint(200) as slow, serving(Path(folder, "home")) as (service, _):
            urls = {50: fast, 200: slow}
            prepare(service, urls)
            print(f"{'':<26}{'wall s':>9}{'CPU s':>9}{'in flight':>11}")
            for latency_ms, url in urls.items():
                measured: dict[str, list[Measured]] = {"service": [], "openai": [], "aiohttp": []}
                for _ in range(rounds):
                    measured["openai"].append(loop("openai", url))
                    measured["service"].append(run(service, latency_ms, url))
                    measured["aiohttp"].append(loop("aiohttp", url))
                medians = {name: median(several) for name, several in measured.items()}
                ideal = CASES * latency_ms / 1000 / CONCURRENCY
                print(f"{f'{latency_ms} ms: ideal':<26}{ideal:>9.2f}")
                for name, m in medians.items():
                    print(f"{f'{latency_ms} ms: {name}':<26}{m.wall_s:>9.2f}{m.cpu_s:>9.2f}{m.most_in_flight:>11}")
                ours, theirs = medians["service"], medians["openai"]
                if latency_ms == 50:
                    limits.append(Limit("50 ms: wall, times the openai loop", ours.wall_s / theirs.wall_s, 1.5))
                else:
                    limits.append(Limit("200 ms: wall, times the ideal", ours.wall_s / ideal, 1.2))
                limits.append(
                    Limit(f"{latency_ms} ms: most calls in flight", ours.most_in_flight, CONCURRENCY, CONCURRENCY)
                )
                limits.append(Limit(f"{latency_ms} ms: CPU, times the openai loop", ours.cpu_s / theirs.cpu_s, 2.5))
    print(f"\n{'':<46}{'measured':>9}{'limit':>9}")
    for limit in limits:
        bound = limit.least if limit.most is None else limit.most
        print(f"{limit.name:<46}{limit.value:>9.2f}{bound:>9g}  {'' if limit.holds else 'MISSED'}")
    return 0 if all(limit.holds for limit in limits) else 1


if __name__ == "__main__":
    sys.exit(main())
