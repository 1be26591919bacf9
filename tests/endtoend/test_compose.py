"""compose.yaml and the Dockerfile: what they promise, and a run by exactly their commands."""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
import yaml

from tests import served
from tests.app.runs.conftest import Project
from tests.app.runs.endpoint import Endpoint, endpoint
from tests.benchmarks.processes import free_port
from tests.conftest import ROOT, PostgreSQL, database

KEY = "pw_first_" + "k" * 40
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "service", "worker")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROGRAMS = {"promptward": [sys.executable, "-m", "app.cli.main"], "python": [sys.executable]}
"""What the image has on its path, here."""

_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


@pytest.fixture
async def asked() -> AsyncIterator[Endpoint]:
    async with endpoint(latency_s=0.02) as found:
        yield found


@pytest.fixture
async def url(tmp_path: Path, sqlite_template: Path, postgresql: PostgreSQL | None) -> AsyncIterator[str]:
    async with database("postgresql", tmp_path, sqlite_template, postgresql) as found:
        yield found


def interpolated(value: str, given: dict[str, str]) -> str:
    """A value as Compose reads it: `${NAME:-default}`, or `${NAME:?what to do}` for one that must be given."""

    def replaced(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if found := given.get(name):
            return found
        assert kind == "-", f"{name} is not set: {rest}"
        return str(rest)

    return _VARIABLE.sub(replaced, value)


def environment(name: str, given: dict[str, str], **more: str) -> dict[str, str]:
    """The environment of a service of the file; `more` is what no container shares with another: addresses and folders."""
    own = {key: interpolated(str(value), given) for key, value in SERVICES[name]["environment"].items()}
    return served.environment(**{**own, **more})


def arguments(command: list[str]) -> list[str]:
    program, *rest = command
    return [*PROGRAMS[program], *rest]


def healthy(name: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    kind, *command = SERVICES[name]["healthcheck"]["test"]
    assert kind == "CMD"
    done = arguments(command)
    return subprocess.run(done, env=environ, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_every_container_is_without_privileges_and_writes_only_where_it_must() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("privileged", False) is False, name
    assert SERVICES["database"]["user"] == "postgres"
    assert "ports" not in SERVICES["database"]
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["service"]["ports"])
    assert "volumes" not in SERVICES["worker"]
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    users = re.findall(r"^USER (.+)$", last, re.MULTILINE)
    assert users == ["10001:10001"]
    assert "HEALTHCHECK" in last


def test_what_lives_on_is_looked_after_begun_again_and_given_time_to_drain() -> None:
    for name in ("database", "service", "worker"):
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD", name
        assert SERVICES[name]["restart"] == "unless-stopped", name
    for name in ("service", "worker"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > 30, name
        assert SERVICES[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}, name
    assert SERVICES["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert SERVICES["worker"]["deploy"]["replicas"] == 2


def test_no_secret_stands_in_the_file_and_one_that_is_missing_is_asked_for() -> None:
    for name, service in SERVICES.items():
        for key, value in service["environment"].items():
            if re.search("PASSWORD|KEY|SECRET|TOKEN|URL", key):
                bare = re.sub(r"\$\{\w+(:\?[^}]*|:-)\}", "", str(value))
                assert bare in ("", "postgresql://promptward:@database/promptward"), f"{name}: {key}"
    with pytest.raises(AssertionError, match="POSTGRES_PASSWORD is not set"):
        environment("worker", {})
    with pytest.raises(AssertionError, match="PROMPTWARD_ADMIN_KEY is not set"):
        environment("service", {"POSTGRES_PASSWORD": "x"})
    assert not (ROOT / "endpoints.env").exists()
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {".env", "*.env"} <= {*ignored} & {*(ROOT / ".dockerignore").read_text().split()}


async def test_its_commands_migrate_serve_run_a_suite_on_two_workers_and_end_when_told(
    url: str, tmp_path: Path, asked: Endpoint
) -> None:
    given = {
        "POSTGRES_PASSWORD": "given",
        "PROMPTWARD_ADMIN_KEY": KEY,
        "PROMPTWARD_ALLOW_HOSTS": "127.0.0.1",
    }
    port = free_port()

    def environ(name: str, home: str) -> dict[str, str]:
        assert "given@database" in environment(name, given)["PROMPTWARD_DATABASE_URL"]
        return environment(
            name,
            given,
            PROMPTWARD_DATABASE_URL=url,
            PROMPTWARD_PORT=str(port),
            PROMPTWARD_HOME=str(tmp_path / home),
            TMPDIR=str(tmp_path),
        )

    service, worker = environ("service", "service-home"), environ("worker", "worker-home")
    migrated = await anyio.to_thread.run_sync(
        lambda: subprocess.run(
            arguments(SERVICES["migrate"]["command"]),
            env=environ("migrate", "migrate-home"),
            cwd=ROOT,
            check=False,
            timeout=60,
        )
    )
    assert migrated.returncode == 0
    assert healthy("service", service).returncode != 0
    assert healthy("worker", worker).returncode != 0
    with ExitStack() as stack:
        begun = [("service", service), *[("worker", worker)] * SERVICES["worker"]["deploy"]["replicas"]]
        processes = []
        for name, env in begun:
            program, *rest = SERVICES[name]["command"]
            assert program == "promptward"
            processes.append(stack.enter_context(served.command(*rest, cwd=ROOT, env=env)))
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {KEY}"}, timeout=60
        ) as client:
            project = Project(client)
            await living(project, 3)
            await project.suite(asked, 400, limits={"max_concurrency": 16})
            run = await project.run()
            assert (run["status"], run["cells"]["answered"]) == ("done", 400)
            assert asked.calls == 400
        for name, env in begun[:2]:
            done = await anyio.to_thread.run_sync(healthy, name, env)
            assert done.returncode == 0, (name, done.stdout, done.stderr)
        began = time.monotonic()
        for process in processes:
            process.terminate()
        for process in processes:
            out, err = await anyio.to_thread.run_sync(process.communicate)
            assert process.returncode == 0, (out, err)
        assert time.monotonic() - began < 30
    assert not (tmp_path / "worker-home").exists()


async def living(project: Project, count: int) -> None:
    """Returns once so many processes give signs of life."""
    async with asyncio.timeout(60):
        while True:
            try:
                found = (await project.get("/api/v1/workers"))["processes"]
            except httpx2.TransportError:  # it does not listen yet
                found = []
            if sum(process["alive"] for process in found) >= count:
                return
            await asyncio.sleep(0.2)
