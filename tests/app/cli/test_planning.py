"""What a run will take is said before it begins; above a limit it is asked about."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.main import program  # noqa: F401 - the commands are loaded once, before the first test is timed
from tests.app.cli.conftest import Run

FILE = "prompts/shop.prompt.yaml"


def price(project: Path, limit: str = "") -> None:
    """Makes the large model dear, and sets the project's limit."""
    file = project / "promptward.yaml"
    text = file.read_text().replace("model: dev-large", "price: {input: 5000, output: 5000}, model: dev-large")
    file.write_text(text + limit)


def test_a_plan_is_printed_alone_and_nothing_begins(cli: Run, project: Path) -> None:
    result = cli("run", "shop", "--candidate", FILE, "--plan")
    assert result.exit_code == 0, result.stderr
    assert "dev/large" in result.stdout
    assert "plan: 24 cells, 0 known, 24 calls" in result.stdout
    plan = json.loads(cli("run", "shop", "--candidate", FILE, "--plan", "--json").stdout)
    assert [(row["endpoint"], row["calls"]) for row in plan["endpoints"]] == [("dev/large", 12), ("dev/small", 12)]
    assert json.loads(cli("runs", "list", "--json").stdout) == []


def test_a_run_says_its_plan_on_stderr_first_and_known_answers_in_one_line(cli: Run, project: Path) -> None:
    first = cli("run", "shop", "--candidate", FILE, "--json")
    assert json.loads(first.stdout)["cells"]["answered"] == 24
    assert first.stderr.index("plan: 24 cells, 0 known, 24 calls") < first.stderr.index("run run_")
    again = cli("run", "shop", "--candidate", FILE)
    assert again.stderr.startswith("plan: 24 cells, 24 known, 0 calls")


def test_a_dear_run_needs_a_word_where_nobody_can_be_asked(cli: Run, project: Path) -> None:
    price(project)
    dear = ("run", "shop", "--candidate", f"prompt={FILE},endpoint=dev/large", "--max-cases", "2")
    refused = cli(*dear)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--yes" in refused.stderr
    assert "--budget" in refused.stderr
    assert json.loads(cli("runs", "list", "--json").stdout) == []
    assert cli(*dear, "--plan").exit_code == 0
    begun = cli(*dear, "--yes")
    assert (begun.exit_code, "2 answered" in begun.stdout) == (0, True), begun.stderr
    assert cli(*dear).exit_code == 0  # every answer is known
    assert cli(*dear, "--fresh", "--budget", "50").exit_code == 0


def test_the_projects_own_limit_counts(cli: Run, project: Path) -> None:
    price(project, "\nbudgets: {confirm_above_usd: 1000}\n")
    dear = ("run", "shop", "--candidate", f"prompt={FILE},endpoint=dev/large", "--max-cases", "1")
    assert cli(*dear).exit_code == 0
    file = project / "promptward.yaml"
    file.write_text(file.read_text().replace("1000}", "-1}"))
    result = cli(*dear)
    assert (result.exit_code, "confirm_above_usd" in result.stderr) == (2, True)


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 130), (b"y\n", 0)])
def test_on_a_terminal_a_dear_run_is_asked_about(project: Path, answer: bytes, code: int) -> None:
    price(project)
    arguments = ("run", "shop", "--candidate", f"prompt={FILE},endpoint=dev/large", "--max-cases", "1")
    ours, theirs = pty.openpty()
    os.write(ours, answer)
    process = subprocess.run(
        [str(Path(sys.executable).parent / "promptward"), *arguments],
        cwd=project, stdin=theirs, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code, process.stderr
    assert b"Go on? [y/N]" in process.stderr


def test_a_matrix_of_options_filters_and_a_seed(cli: Run, project: Path) -> None:
    arguments = (
        "run", "shop", "--prompt", FILE, "--rag", "none", "--endpoint", "dev/large", "--endpoint", "dev/small",
        "--params", '{"temperature": 0}', "--params", '{"temperature": 0.7}', "--max-cases", "3", "--seed", "5",
    )  # fmt: skip
    run = json.loads(cli(*arguments, "--json").stdout)
    assert [variant["id"] for variant in run["variants"]] == [
        "c1:dev/large",
        "c2:dev/large",
        "c3:dev/small",
        "c4:dev/small",
    ]
    assert (run["cells"]["planned"], run["cases"]) == (12, 3)
    results = json.loads(cli("results", run["id"], "--variant", "c1:dev/large", "--json").stdout)
    case = results[0]["case"]
    one = json.loads(cli("run", "shop", "--candidate", FILE, "--case", case, "--json").stdout)
    assert one["cases"] == 1
    assert cli("run", "shop", "--candidate", FILE, "--match", "no such text").exit_code == 2
    for wrong in (
        ("run", "shop"),
        ("run", "shop", "--endpoint", "dev/large"),
        ("run", "shop", "--prompt", FILE, "--params", "{"),
        ("run", "shop", "--prompt", FILE, "--params", "[1]"),
    ):
        result = cli(*wrong)
        assert (result.exit_code, result.stdout) == (2, ""), wrong


def test_a_run_is_extended_cloned_and_its_errors_retried(cli: Run, project: Path) -> None:
    candidate = f"prompt={FILE},endpoint=dev/large"
    run = json.loads(cli("run", "shop", "--candidate", candidate, "--max-cases", "2", "--json").stdout)
    more = json.loads(cli("runs", "extend", run["id"], "--max-cases", "4", "--repeats", "2", "--json").stdout)
    assert (more["id"], more["cases"], more["cells"]["answered"]) == (run["id"], 4, 8)
    assert cli("runs", "extend", run["id"]).exit_code == 2
    cloned = json.loads(cli("runs", "clone", run["id"], "--set", "repeats=1", "--json").stdout)
    assert (cloned["id"] != run["id"], cloned["cells"]["cached"], cloned["repeats"]) == (True, 4, 1)
    assert cli("runs", "clone", run["id"], "--set", "repeats=0").exit_code == 2
    assert cli("runs", "resume", run["id"], "--errors").exit_code == 0
