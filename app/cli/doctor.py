"""`promptward doctor`: what this installation needs, looked at one by one."""

import platform
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import click
from promptward import AsyncClient, PromptwardError

from app.cli.command import Session, common
from app.cli.connection import EMBEDDED_URL
from app.cli.endpoints import PROBE
from app.cli.exits import Exit

NEEDED_PYTHON = (3, 11)
NEEDED_BYTES = 1_000_000_000


class Finding(NamedTuple):
    """One thing that was looked at. `fix` says what to do when it is not in order."""

    check: str
    ok: bool
    found: str
    fix: str = ""


@click.command()
@click.option("--endpoints", is_flag=True, help="Also make one small call to every registered endpoint.")
@common
async def doctor(session: Session, endpoints: bool) -> int:
    """Check Python, disk, database and service; exit code 4 when something is not in order."""
    findings = [_python(), _disk(session.settings.home)]
    try:
        async with session.client() as client:
            findings += await _service(client, session.settings.database_url)
            if endpoints:
                findings += [await _endpoint(client, e["name"]) async for e in client.artifacts("endpoints").each()]
    except PromptwardError as error:
        findings.append(Finding("service", False, error.detail, "see the message"))
    session.out.data([f._asdict() for f in findings])
    session.out.table(["check", "ok", "found", "fix"], [(*f[:3], "" if f.ok else f.fix) for f in findings])
    return Exit.PASS if all(f.ok for f in findings) else Exit.TROUBLE


def _python() -> Finding:
    needed = ".".join(str(n) for n in NEEDED_PYTHON)
    return Finding(
        "python", sys.version_info >= NEEDED_PYTHON, platform.python_version(), f"install Python {needed} or newer"
    )


def _disk(home: Path) -> Finding:
    folder = next(parent for parent in (home, *home.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    return Finding("disk", free >= NEEDED_BYTES, f"{free / 1e9:.1f} GB free at {folder}", "free at least 1 GB")


async def _service(client: AsyncClient, database_url: str) -> list[Finding]:
    where = "inside this process" if client.url == EMBEDDED_URL else client.url
    findings = [Finding("service", True, where)]
    try:
        await client.ready()
        kind = "of the server" if client.url != EMBEDDED_URL else database_url.partition(":")[0]
        findings.append(Finding("database", True, f"{kind}, up to date"))
    except PromptwardError as error:
        findings.append(Finding("database", False, error.detail, "promptward db upgrade"))
    try:
        await client.scorers.list()
        findings.append(Finding("key", True, "accepted"))
    except PromptwardError as error:
        findings.append(Finding("key", False, error.detail, "set PROMPTWARD_API_KEY"))
    return findings


async def _endpoint(client: AsyncClient, name: str) -> Finding:
    try:
        answer = await client.generate(PROBE, name)
    except PromptwardError as error:
        return Finding(f"endpoint {name}", False, error.detail, "see the message")
    return Finding(
        f"endpoint {name}", answer["status"] == "answered", answer["error"] or f"{answer['latency_ms']:.0f} ms"
    )
