"""The command line in a folder of its own: a project whose answers are recorded, so that no model is needed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli.main import program

ROOT = Path(__file__).parents[3]
WAIT_S = 60.0
FILES = {
    "promptward.yaml": """\
project: tiny
endpoints:
  good: {provider: replay, model: good}
  weak: {provider: replay, model: weak}
  patchy: {provider: replay, model: patchy}
gate_policies:
  exact: {rules: [{metric: exact_match, floor: 0.5}]}
""",
    "prompts/ask.prompt.yaml": """\
messages: [{role: user, content: "{{ question }}"}]
variables: {question: {type: string}}
""",
    "datasets/qa.suite.yaml": "dataset: qa\nendpoints: [good]\nscorers: [{use: exact_match}]\n",
}
CASES = [("one", "1"), ("two", "2"), ("three", "3"), ("four", "4")]


def _recorded(word: str, digit: str) -> dict[str, Any]:
    """`good` is always right; `weak` is wrong about three; `patchy` has no answer to four."""
    answers = {"good": digit, "weak": "?" if word == "three" else digit}
    if word != "four":
        answers["patchy"] = digit
    return {model: {"text": text} for model, text in answers.items()}


def _dataset() -> str:
    items = [
        {"id": word, "inputs": {"question": word}, "reference": digit, "recorded": _recorded(word, digit)}
        for word, digit in CASES
    ]
    return "".join(json.dumps(item) + "\n" for item in items)


class Ended:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        assert self.code in (0, 4, 10), self.err
        return json.loads(self.out)


class CLI:
    """Runs commands in `folder`: in this process, or as a process of their own where signals or the home matter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / ".promptward"

    def __call__(self, *args: str) -> Ended:
        result = CliRunner().invoke(program, args)
        return Ended(result.exit_code, result.stdout, result.stderr)

    def write(self, path: str, text: str) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def process(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", *args],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "client")])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def running(self, *args: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """A process that serves, and its first line, which says where; ended with SIGTERM when the block has not."""
        process = self.process(*args, "--port", "0")
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=WAIT_S)


def address(line: str) -> str:
    """The URL in what a server said first."""
    return next(word.rstrip(".") for word in line.split() if word.startswith("http://"))


def until(said: str, process: subprocess.Popen[str]) -> None:
    """Reads stderr up to a line with `said`."""
    assert process.stderr is not None
    end = time.monotonic() + WAIT_S
    for line in process.stderr:
        if said in line:
            return
        assert time.monotonic() < end
    pytest.fail(f"the process ended without having said {said!r}")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CLI:
    """A folder without anything in it."""
    for name in [name for name in os.environ if name.startswith("PROMPTWARD_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return CLI(folder)


@pytest.fixture
def cli(empty: CLI, sqlite_template: Path) -> CLI:
    """The tiny project, with an empty database."""
    for path, text in {**FILES, "datasets/qa.jsonl": _dataset()}.items():
        empty.write(path, text)
    empty.home.mkdir()
    shutil.copy(sqlite_template, empty.home / "promptward.db")
    return empty
