"""Trying prompts and evaluating suites from the command line, against a development model over a socket."""

import csv
import json
import signal
import time
import urllib.request
from pathlib import Path

from tests.app.cli.conftest import Run
from tests.served import command, environment, running, stop

FILE = "prompts/shop.prompt.yaml"
QUESTION = "question=On which days is the shop open?"
ANSWER = "The shop is open from Tuesday to Saturday, from 9:00 to 18:00.\n"


def test_try_shows_the_answer_on_stdout_and_what_it_took_on_stderr(cli: Run, project: Path) -> None:
    result = cli("try", FILE, "--var", QUESTION, "--endpoint", "dev/large")
    assert (result.exit_code, result.stdout) == (0, ANSWER)
    assert "dev-large" in result.stderr
    assert "tokens" in result.stderr
    assert cli("list", "prompts", "--json").stdout == "[]\n"


def test_try_asks_several_endpoints_side_by_side(cli: Run, project: Path) -> None:
    result = cli("try", FILE, "--var", QUESTION, "--endpoint", "dev/large", "--endpoint", "dev/small")
    assert result.stdout == f"== dev/large\n{ANSWER}== dev/small\n{ANSWER}"
    answers = json.loads(cli("try", FILE, "--var", QUESTION, "--endpoint", "dev/large", "--json").stdout)
    assert [(a["endpoint"], a["text"] + "\n") for a in answers] == [("dev/large", ANSWER)]


def test_try_says_what_is_missing(cli: Run, project: Path) -> None:
    assert "one of dev/large, dev/small" in cli("try", FILE, "--var", QUESTION).stderr
    missing = cli("try", FILE, "--endpoint", "dev/large")
    assert (missing.exit_code, "question" in missing.stderr) == (2, True)
    assert cli("try", FILE, "--var", "question", "--endpoint", "dev/large").exit_code == 2
    assert cli("try", FILE, "--var", "question:={", "--endpoint", "dev/large").exit_code == 2
    assert cli("try", "prompts/none.prompt.yaml", "--endpoint", "dev/large").exit_code == 2
    unknown = cli("try", "none", "--endpoint", "dev/large")
    assert (unknown.exit_code, "there is no prompt 'none'" in unknown.stderr) == (2, True)


def test_an_endpoint_that_is_down_is_trouble(cli: Run, project: Path) -> None:
    file = project / "promptward.yaml"
    text = file.read_text()
    url = text.partition('base_url: "')[2].partition('"')[0]
    file.write_text(text.replace(url, "http://127.0.0.1:1/v1"))
    several = cli("try", FILE, "--var", QUESTION, "--endpoint", "dev/large", "--endpoint", "dev/small")
    assert several.exit_code == 4
    assert several.stderr.count("error: ") == 2
    cli("sync")
    probe = cli("endpoints", "test", "dev/large")
    assert (probe.exit_code, probe.stdout) == (4, "")
    run = cli("run", "shop", "--candidate", "shop", "--max-cases", "1")
    assert run.exit_code == 4
    assert "2 errored" in run.stdout


def test_a_file_is_evaluated_as_it_is_and_makes_no_version(cli: Run, project: Path) -> None:
    result = cli("run", "shop", "--candidate", FILE)
    assert result.exit_code == 0, result.stderr
    assert "c1:dev/large" in result.stdout
    assert "done: 24 cells (24 answered)" in result.stdout
    assert "run run_" in result.stderr
    assert cli("list", "prompts", "--json").stdout == "[]\n"
    again = json.loads(cli("run", "datasets/shop.suite.yaml", "--candidate", FILE, "--json").stdout)
    assert again["cells"] == {
        "planned": 24, "cached": 24, "answered": 0, "failed": 0, "errored": 0, "cancelled": 0
    }  # fmt: skip


def test_a_run_is_read_compared_exported_and_scored_again(cli: Run, project: Path) -> None:
    cli("sync")
    parts = "prompt=shop,endpoint=dev/large,rag_config=none"
    baseline = "prompt=shop,endpoint=dev/small"
    run = json.loads(
        cli(
            "run", "shop", "--candidate", parts, "--baseline", baseline, "--max-cases", "5", "--repeats", "2", "--json"
        ).stdout
    )
    assert (run["status"], run["cells"]["planned"], run["repeats"]) == ("done", 20, 2)
    assert run["comparisons"][0]["candidate"] == "c1"
    number = run["id"]
    assert [r["id"] for r in json.loads(cli("runs", "list", "--json").stdout)] == [number]
    assert cli("runs", "show", number).exit_code == 0
    results = json.loads(cli("results", number, "--variant", "c1:dev/large", "--json").stdout)
    assert len(results) == 10
    assert {r["scores"]["correct"]["value"] for r in results} == {1.0}
    limited = cli("results", number, "--limit", "3")
    assert "only the first 3" in limited.stderr
    assert json.loads(cli("results", number, "--failed", "--json").stdout) == []
    beside = json.loads(cli("results", number, "--side-by-side", "--limit", "2", "--json").stdout)
    assert len(beside) == 2
    assert all(len(case["cells"]) == 2 * len({c["variant"] for c in case["cells"]}) for case in beside)
    assert beside[0]["case"] in cli("results", number, "--side-by-side", "--case", beside[0]["case"]).stdout
    summed = json.loads(cli("results", number, "--by", "tag", "--json").stdout)
    assert {one["slice"] for one in summed["slices"]} == {None, *summed["cases"]}
    assert "few cases" in cli("results", number, "--by", "tag").stdout
    assert cli("results", number, "--by", "tag", "--failed").exit_code == 2
    compared = cli("compare", number)
    assert (compared.exit_code, "c1 against baseline" in compared.stdout) == (0, True)
    for ending in ("jsonl", "csv", "parquet"):
        assert cli("export", number, f"out.{ending}").exit_code == 0
    assert len(list(csv.reader((project / "out.csv").read_text().splitlines()))) == 21
    assert len((project / "out.jsonl").read_text().splitlines()) == 20
    assert (project / "out.parquet").read_bytes()[:4] == b"PAR1"
    assert cli("runs", "rescore", number).exit_code == 0


def test_an_export_that_fails_leaves_no_file(cli: Run, folder: Path) -> None:
    assert cli("export", "run_none", "out.csv").exit_code == 2
    assert cli("export", "run_none", "out.txt").exit_code == 2
    assert cli("export", "run_none", "nowhere/out.csv").exit_code == 2
    assert not [p for p in folder.iterdir() if p.name != ".promptward"]


def test_a_candidate_that_makes_no_sense_is_named(cli: Run, project: Path) -> None:
    for candidate in ("prompt=", "endpoint=dev/large", "prompt=a,prompt=b", "prompt=a,colour=b", "none", "x.yaml"):
        result = cli("run", "shop", "--candidate", candidate)
        assert (result.exit_code, result.stdout) == (2, ""), candidate


def terminal(*arguments: str, cwd: Path) -> str:
    """What a command writes on a terminal of 100 columns."""
    import os
    import pty
    import subprocess
    import sys

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", *arguments],
        cwd=cwd,
        env=environment(TERM="xterm-256color", COLUMNS="100"),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:  # the other end is closed: Linux says it this way
        pass
    finally:
        os.close(ours)
    assert process.wait(timeout=60) == 0, written
    return written.decode()


def test_on_a_terminal_there_is_a_progress_bar_and_answers_stand_side_by_side(project: Path) -> None:
    written = terminal("run", "shop", "--candidate", FILE, cwd=project)
    assert "━" in written
    assert "24/24" in written
    assert "done: 24 cells" in written
    written = terminal(
        "try", FILE, "--var", QUESTION, "--endpoint", "dev/large", "--endpoint", "dev/small", cwd=project
    )
    assert any("dev/large" in line and "dev/small" in line for line in written.splitlines())
    assert written.count("Tuesday") >= 2


def test_a_budget_that_is_used_up_ends_with_5(cli: Run, project: Path) -> None:
    file = project / "promptward.yaml"
    file.write_text(
        file.read_text().replace("model: dev-large", "price: {input: 1000, output: 1000}, model: dev-large")
    )
    result = cli("run", "shop", "--candidate", f"prompt={FILE},endpoint=dev/large", "--budget", "0.5")
    assert result.exit_code == 5, result.stderr
    refused = cli("run", "shop", "--candidate", f"prompt={FILE},endpoint=dev/large", "--budget", "0", "--fresh")
    assert refused.exit_code == 5


def wait_for_calls(devmodel_url: str, calls: int) -> None:
    for _ in range(600):
        with urllib.request.urlopen(devmodel_url.removesuffix("/v1") + "/stats") as answer:
            if json.load(answer)["calls"] >= calls:
                return
        time.sleep(0.05)
    raise AssertionError(f"the development model was not called {calls} times within 30 s")


def test_ctrl_c_keeps_what_was_answered_and_says_how_to_go_on(cli: Run, project: Path, tmp_path: Path) -> None:
    file = project / "promptward.yaml"
    file.write_text(file.read_text().replace("dev-large}", "dev-large, limits: {max_concurrency: 1}}"))
    with running("devmodel", "--port", "0", "--latency-ms", "200", cwd=tmp_path) as slow:
        text = file.read_text()
        url = text.partition('base_url: "')[2].partition('"')[0]
        file.write_text(text.replace(url, slow))
        arguments = ("run", "shop", "--candidate", f"prompt={FILE},endpoint=dev/large")
        with command(*arguments, cwd=project) as process:
            assert process.stderr is not None
            number = next(line.split()[1] for line in process.stderr if line.startswith("run "))
            wait_for_calls(slow, 3)  # one at a time: two of them have been answered
            output, errors = stop(process, signal.SIGINT)
        assert (process.returncode, output) == (130, "")
        assert f"promptward runs resume {number}" in errors
        assert "Traceback" not in errors
        (listed,) = json.loads(cli("runs", "list", "--json").stdout)
        assert listed["status"] == "cancelled"
        assert 2 <= listed["cells"]["answered"] < 12
        resumed = cli("runs", "resume", number)
    assert resumed.exit_code == 0, resumed.stderr
    assert "done: 12 cells" in resumed.stdout
