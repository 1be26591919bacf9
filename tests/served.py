"""A served instance in a process of its own, as users run it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
START_S = 30.0


def environment(**more: str) -> dict[str, str]:
    """This process's own, without settings of Promptward, with the checkout on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PROMPTWARD_")}
    return {**kept, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'client'}", "PYTHONWARNINGS": "ignore", **more}


@contextmanager
def command(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, which is gone when the block ends, however that ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", *arguments],
        cwd=cwd,
        env=dict(env or environment()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()


def address(process: subprocess.Popen[str]) -> str:
    """The URL that a server prints under `--json` once it answers."""
    assert process.stdout is not None
    text = ""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        if not line:
            raise AssertionError(f"ended with {process.wait()}: {process.stderr.read() if process.stderr else ''}")
        text += line
        try:
            return str(json.loads(text)["url"])
        except json.JSONDecodeError:
            continue
    raise AssertionError(f"no address within {START_S} s: {text}")


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[str, str]:
    """Ends a process that we started; what it still printed."""
    if process.poll() is None:
        process.send_signal(number)
    return process.communicate(timeout=60)


@contextmanager
def running(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """A server command, for as long as the block lasts; yields its URL."""
    with command(*arguments, "--json", cwd=cwd, env=env) as process:
        yield address(process)
        stop(process)
