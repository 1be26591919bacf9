"""Recorded answers from file to verdict: a project of `replay` endpoints, so that every figure is known beforehand."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from click.testing import Result

from tests.app.cli.conftest import Run

FILE = "prompts/ask.prompt.yaml"
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
    FILE: """\
messages: [{role: user, content: "{{ question }}"}]
variables: {question: {type: string}}
""",
    "datasets/qa.suite.yaml": "dataset: qa\nendpoints: [good]\nscorers: [{use: exact_match}]\n",
}
CASES = {"one": "1", "two": "2", "three": "3", "four": "4"}


def item(case: str, digit: str) -> dict[str, Any]:
    """`good` is always right; `weak` is wrong about three; `patchy` has no answer to four."""
    answers = {"good": digit, "weak": "?" if case == "three" else digit}
    if case != "four":
        answers["patchy"] = digit
    recorded = {model: {"text": text} for model, text in answers.items()}
    return {"id": case, "inputs": {"question": case}, "reference": digit, "recorded": recorded}


@pytest.fixture(autouse=True)
def tiny(folder: Path) -> Path:
    """The project's files."""
    for path, text in FILES.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    items = [item(case, digit) for case, digit in CASES.items()]
    (folder / "datasets/qa.jsonl").write_text("".join(json.dumps(one) + "\n" for one in items))
    return folder


def read(result: Result) -> Any:
    """What a command printed under --json."""
    assert result.stdout, result.stderr
    return json.loads(result.stdout)


def run(cli: Run, *args: str) -> Result:
    return cli("run", "qa", "--candidate", FILE, *args)


def test_a_file_is_evaluated_as_it_is_and_no_version_is_made(cli: Run) -> None:
    found = read(run(cli, "--json"))
    assert (found["status"], found["cells"]["planned"], found["cells"]["answered"]) == ("done", 4, 4)
    (variant,) = found["variants"]
    assert variant["metrics"]["exact_match"]["mean"] == 1
    assert "@sha256:" in variant["prompt"]
    assert read(cli("list", "prompts", "--json")) == []


def test_names_mean_the_registry_when_no_file_is_given(cli: Run) -> None:
    cli("sync")
    found = read(cli("run", "qa", "--candidate", "ask", "--json"))
    assert [v["prompt"] for v in found["variants"]] == ["ask@1"]


def test_candidates_are_compared_with_the_baseline_case_by_case(cli: Run) -> None:
    found = read(run(cli, "--candidate", f"prompt={FILE},endpoint=weak", "--baseline", FILE, "--json"))
    means = {v["id"]: v["metrics"]["exact_match"]["mean"] for v in found["variants"]}
    assert means == {"baseline:good": 1, "c1:good": 1, "c2:weak": 0.75}
    weak = next(m for c in found["comparisons"] if c["candidate"].startswith("c2") for m in c["metrics"])
    assert (weak["n"], weak["difference"]) == (4, -0.25)
    (flip,) = next(c["flips"] for c in found["comparisons"] if c["candidate"].startswith("c2"))
    assert (flip["case"], flip["from"], flip["to"]) == ("three", 1, 0)


def test_results_go_to_stdout_and_progress_to_stderr(cli: Run) -> None:
    done = run(cli, "--baseline", FILE)
    assert done.exit_code == 0
    assert "exact_match" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("done: 8 cells")
    lines = done.stderr.splitlines()
    assert any(line.startswith("run run_") for line in lines)
    assert "8 of 8 cells" in lines[-1]


def test_a_case_without_an_answer_is_no_score_and_the_run_ends_with_4(cli: Run) -> None:
    ended = cli("run", "qa", "--candidate", f"prompt={FILE},endpoint=patchy", "--json")
    assert ended.exit_code == 4
    found = read(ended)
    (variant,) = found["variants"]
    metric = variant["metrics"]["exact_match"]
    assert (metric["n"], metric["mean"], metric["missing"]) == (3, 1, 1)
    assert found["cells"]["errored"] == 1
    (cell,) = read(cli("results", found["id"], "--status", "errored", "--json"))
    assert (cell["case"], cell["answer"]) == ("four", None)


def test_a_run_takes_as_many_cases_and_repeats_as_it_is_told(cli: Run) -> None:
    found = read(run(cli, "--max-cases", "2", "--repeats", "3", "--json"))
    assert found["cells"]["planned"] == 6
    assert found["variants"][0]["metrics"]["exact_match"]["n"] == 2


def test_candidates_that_cannot_be_read_are_refused_before_anything_runs(cli: Run) -> None:
    for given, said in [
        ("prompts/nowhere.prompt.yaml", "there is no file"),
        ("prompt=ask,model=x", "model=x"),
        ("endpoint=good", "no prompt="),
    ]:
        ended = cli("run", "qa", "--candidate", given)
        assert (ended.exit_code, ended.stdout) == (2, ""), given
        assert said in ended.stderr
    assert read(cli("runs", "list", "--json")) == []


def test_cells_are_found_by_variant_failure_flip_and_text(cli: Run) -> None:
    found = read(run(cli, "--candidate", f"prompt={FILE},endpoint=weak", "--json"))

    def cases(*args: str) -> list[tuple[str, str]]:
        return [(r["variant"], r["case"]) for r in read(cli("results", found["id"], *args, "--json"))]

    assert len(cases()) == 8
    assert cases("--variant", "c2", "--metric", "exact_match", "--not-passed") == [("c2:weak", "three")]
    assert cases("--failed") == [("c2:weak", "three")]
    flipped = ["--variant", "c2:weak", "--flipped-against", "c1:good", "--metric", "exact_match"]
    assert cases(*flipped) == [("c2:weak", "three")]
    assert cases("--q", "?") == [("c2:weak", "three")]
    limited = cli("results", found["id"], "--limit", "3", "--json")
    assert len(read(limited)) == 3
    assert "--limit" in limited.stderr
    compared = read(cli("compare", found["id"], "--candidate", "c2:weak", "--baseline", "c1:good", "--json"))
    assert [flip["case"] for flip in compared["flips"]] == ["three"]


def test_an_export_has_every_cell_in_the_format_that_the_ending_says(cli: Run, tiny: Path) -> None:
    found = read(run(cli, "--json"))
    cases = set(CASES)
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        assert cli("export", found["id"], name).exit_code == 0
    with (tiny / "a.csv").open(newline="") as file:
        assert {row["case"] for row in csv.DictReader(file)} == cases
    assert {json.loads(line)["case"] for line in (tiny / "a.jsonl").read_text().splitlines()} == cases
    assert set(pyarrow.parquet.read_table(tiny / "a.parquet")["case"].to_pylist()) == cases
    refused = cli("export", found["id"], "a.xlsx")
    assert (refused.exit_code, (tiny / "a.xlsx").exists()) == (2, False)


def test_a_run_is_listed_shown_and_gone_on_with(cli: Run) -> None:
    found = read(run(cli, "--json"))
    assert [r["id"] for r in read(cli("runs", "list", "--json"))] == [found["id"]]
    assert read(cli("runs", "show", found["id"], "--json"))["variants"] == found["variants"]
    assert read(cli("runs", "resume", found["id"], "--json"))["status"] == "done"
    assert cli("runs", "show", "run_nowhere").exit_code == 2


def test_a_valid_policy_is_said_to_be_valid_wherever_it_stands(cli: Run, tiny: Path) -> None:
    (tiny / "mine.yaml").write_text("rules:\n  - {metric: exact_match, floor: 0.5}\n")
    assert cli("gate", "lint", "mine.yaml").stdout == "mine.yaml: valid, 1 rule\n"
    assert cli("gate", "lint", "promptward.yaml").stdout == "exact: valid, 1 rule\n"
    cli("sync")
    assert cli("gate", "lint", "exact").stdout == "exact@1: valid, 1 rule\n"


def test_a_bad_policy_is_refused_by_the_name_of_its_file_and_nothing_is_kept(cli: Run, tiny: Path) -> None:
    (tiny / "mine.yaml").write_text("rules:\n  - {metric: exact_match, flor: 0.5}\n")
    refused = cli("gate", "lint", "mine.yaml")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "mine.yaml" in refused.stderr
    assert "flor" in refused.stderr
    assert "policy.policy.yaml" not in refused.stderr
    assert read(cli("list", "gate-policies", "--json")) == []


def test_a_policy_that_is_nowhere_is_a_usage_error(cli: Run) -> None:
    assert "there is no file other.yaml" in cli("gate", "lint", "other.yaml").stderr
    assert cli("gate", "lint", "other").exit_code == 2


def test_a_backtest_says_how_often_each_gate_would_have_blocked_a_change(cli: Run) -> None:
    cli("sync")
    started = read(cli("run", "qa", "--candidate", "ask", "--candidate", "prompt=ask,endpoint=weak", "--json"))
    sides = ("c2:weak", "c1:good")
    drawn = ("--suites", "20", "--size", "10")
    asked = ("gate", "backtest", started["id"], "exact_match", "--change", *sides, "--neutral", *sides, *drawn)
    found = read(cli(*asked, "--json"))
    changes = {row["change"]: row["true_change"] for row in found["rows"]}
    assert changes == {"c2:weak against c1:good": -0.25, "c2:weak and c1:good in both orders": 0}
    assert all(row["blocked"] + row["passed"] + row["inconclusive"] == 20 for row in found["rows"])
    assert read(cli(*asked, "--json")) == found
    assert "20 suites of 10 cases" in cli(*asked).stdout
    assert cli("gate", "backtest", started["id"], "exact_match").exit_code == 2
