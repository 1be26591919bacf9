"""`promptward check` in a git repository, on a model endpoint on a socket; how a report and a refusal leave a real process."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import Result

from tests.app.cli.conftest import Run
from tests.conftest import ROOT
from tests.served import environment

LIVE = "prompts/docs/answer.prompt.yaml"


class Repository:
    """The example project in a git repository of its own."""

    def __init__(self, root: Path, url: str, cli: Run) -> None:
        self.root, self.url, self._cli = root, url, cli

    def git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *identity, *arguments], cwd=self.root, check=True, capture_output=True)

    def check(self, *options: str) -> Result:
        """In this process: a start of its own takes longer than most checks."""
        return self._cli("check", *options)

    def check_as_ci(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "app.cli.main", "check", *options]
        env = environment(PROMPTWARD_DEVMODEL_URL=self.url)
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False, timeout=120)

    def use(self, other: str) -> None:
        """The live prompt becomes the other one."""
        shutil.copy(self.root / f"prompts/docs/{other}.prompt.yaml", self.root / LIVE)


@pytest.fixture
def repository(folder: Path, cli: Run, devmodel_url: str, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("PROMPTWARD_DEVMODEL_URL", devmodel_url)
    for name in ("prompts", "datasets"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "promptward.yaml", folder)
    (folder / ".gitignore").write_text(".promptward/\n")
    found = Repository(folder, devmodel_url, cli)
    found.git("init", "-q", "-b", "main")
    found.git("add", "-A")
    found.git("commit", "-qm", "one")
    found.git("checkout", "-qb", "feature")
    return found


def test_a_regression_of_one_kind_of_question_is_exit_1_in_every_report(repository: Repository) -> None:
    repository.use("answer-confident")
    done = repository.check_as_ci("--json", "r.json", "--junit", "r.xml", "--markdown", "r.md")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL (exit 1)" in done.stdout
    report = json.loads((repository.root / "r.json").read_text())
    assert (report["verdict"], report["exit_code"]) == ("fail", 1)
    (found,) = report["checks"]
    assert [r["slice"] for r in found["verdict"]["rules"] if r["verdict"] == "fail"] == ["kind=unanswerable"]
    assert found["flips"][0]["baseline_answer"] != found["flips"][0]["candidate_answer"]
    suite = ElementTree.parse(repository.root / "r.xml").getroot()[0]
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("1", "0")
    assert (
        "| no\\_regression" in (repository.root / "r.md").read_text()
        or "| no_regression" in (repository.root / "r.md").read_text()
    )


def test_an_improvement_passes_and_the_second_check_makes_no_call(repository: Repository) -> None:
    repository.use("answer-better")
    first = repository.check("--json", "-")
    assert first.exit_code == 0, first.stdout + first.stderr
    second = json.loads(repository.check("--json", "-").stdout)
    assert (second["verdict"], second["checks"][0]["cost_usd"]) == ("pass", 0)


def test_nothing_changed_is_nothing_to_judge(repository: Repository) -> None:
    (repository.root / "README.txt").write_text("not a prompt")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "two")
    done = repository.check()
    assert (done.exit_code, "nothing to judge" in done.stdout) == (0, True), done.stderr


def test_a_saved_baseline_stands_in_for_git(repository: Repository) -> None:
    saved = repository.check("--save-baseline", "base.json")
    assert saved.exit_code == 0, saved.stderr
    repository.use("answer-confident")
    done = repository.check("--against", "base.json")
    assert done.exit_code == 1, done.stdout + done.stderr


def test_an_endpoint_that_is_down_is_exit_4_and_named(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTWARD_DEVMODEL_URL", "http://127.0.0.1:9/v1")
    repository.use("answer-better")
    done = repository.check("--suite", "docs")
    assert done.exit_code == 4, done.stdout + done.stderr
    assert "dev/large" in done.stdout
    assert "refuses connections" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_what_somebody_waits_for_goes_before_what_runs_at_night(repository: Repository) -> None:
    repository.use("answer-better")
    assert repository.check("--budget", "0.02").exit_code == 5
    with closing(sqlite3.connect(repository.root / ".promptward/promptward.db")) as database:
        assert database.execute("SELECT DISTINCT priority FROM run").fetchall() == [(2,)]


def test_a_budget_that_runs_out_is_exit_5(repository: Repository) -> None:
    repository.use("answer-better")
    done = repository.check("--budget", "0.02")
    assert done.exit_code == 5, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--suite", "nothing"], "no such suite"),
        (["--against", "docs/none@7"], "neither a file nor a version"),
        (["--base", "no-such-branch"], "git knows no such commit"),
        (["--environment", "moon"], "names no prompts"),
        (["--against", "live", "--base", "main"], "not both"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_the_fix(repository: Repository, options: list[str], says: str) -> None:
    done = repository.check(*options)
    assert (done.exit_code, says in done.stderr) == (2, True), done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_file_is_exit_2_and_named_with_its_place(repository: Repository) -> None:
    path = repository.root / LIVE
    path.write_text(path.read_text().replace("{{ question }}", "{{ qestion }}"))
    done = repository.check_as_ci()
    assert done.returncode == 2
    assert f"{LIVE}#/messages/1/content" in done.stderr
