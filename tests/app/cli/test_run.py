import csv
import json

import pyarrow.parquet

from tests.app.cli.conftest import CASES, CLI, Ended

FILE = "prompts/ask.prompt.yaml"


def run(cli: CLI, *args: str) -> Ended:
    return cli("run", "qa", "--candidate", FILE, *args)


def test_a_file_is_evaluated_as_it_is_and_no_version_is_made(cli: CLI) -> None:
    found = run(cli, "--json").json
    assert (found["status"], found["cells"]["planned"], found["cells"]["answered"]) == ("done", 4, 4)
    (variant,) = found["variants"]
    assert variant["metrics"]["exact_match"]["mean"] == 1
    assert "@sha256:" in variant["prompt"]
    assert cli("list", "prompts", "--json").json == []


def test_names_mean_the_registry_when_no_file_is_given(cli: CLI) -> None:
    cli("sync")
    found = cli("run", "qa", "--candidate", "ask", "--json").json
    assert [v["prompt"] for v in found["variants"]] == ["ask@1"]


def test_candidates_are_compared_with_the_baseline_case_by_case(cli: CLI) -> None:
    found = run(cli, "--candidate", f"prompt={FILE},endpoint=weak", "--baseline", FILE, "--json").json
    means = {v["id"]: v["metrics"]["exact_match"]["mean"] for v in found["variants"]}
    assert means == {"baseline:good": 1, "c1:good": 1, "c2:weak": 0.75}
    weak = next(m for c in found["comparisons"] if c["candidate"].startswith("c2") for m in c["metrics"])
    assert (weak["n"], weak["difference"]) == (4, -0.25)
    (flip,) = next(c["flips"] for c in found["comparisons"] if c["candidate"].startswith("c2"))
    assert (flip["case"], flip["from"], flip["to"]) == ("three", 1, 0)


def test_results_go_to_stdout_and_progress_to_stderr(cli: CLI) -> None:
    done = run(cli, "--baseline", FILE)
    assert done.code == 0
    assert "exact_match" in done.out
    assert done.out.rstrip().splitlines()[-1].startswith("done: 8 cells")
    lines = done.err.splitlines()
    assert lines[0].startswith("run run_")
    assert "8 of 8 cells" in lines[-1]


def test_a_case_without_an_answer_is_no_score_and_the_run_ends_with_4(cli: CLI) -> None:
    ended = cli("run", "qa", "--candidate", f"prompt={FILE},endpoint=patchy", "--json")
    assert ended.code == 4
    (variant,) = ended.json["variants"]
    metric = variant["metrics"]["exact_match"]
    assert (metric["n"], metric["mean"], metric["missing"]) == (3, 1, 1)
    assert ended.json["cells"]["errored"] == 1
    (cell,) = cli("results", ended.json["id"], "--status", "errored", "--json").json
    assert (cell["case"], cell["answer"]) == ("four", None)


def test_a_run_takes_as_many_cases_and_repeats_as_it_is_told(cli: CLI) -> None:
    found = run(cli, "--max-cases", "2", "--repeats", "3", "--json").json
    assert found["cells"]["planned"] == 6
    assert found["variants"][0]["metrics"]["exact_match"]["n"] == 2


def test_candidates_that_cannot_be_read_are_refused_before_anything_runs(cli: CLI) -> None:
    for given, said in [
        ("prompts/nowhere.prompt.yaml", "there is no file"),
        ("prompt=ask,model=x", "model=x"),
        ("endpoint=good", "no prompt="),
        ("ask,endpoint=good,ask", "ask"),
    ]:
        ended = cli("run", "qa", "--candidate", given)
        assert (ended.code, ended.out) == (2, ""), given
        assert said in ended.err
    assert cli("runs", "list", "--json").json == []


def test_cells_are_found_by_variant_failure_flip_and_text(cli: CLI) -> None:
    found = run(cli, "--candidate", f"prompt={FILE},endpoint=weak", "--json").json

    def cases(*args: str) -> list[tuple[str, str]]:
        return [(r["variant"], r["case"]) for r in cli("results", found["id"], *args, "--json").json]

    assert len(cases()) == 8
    assert cases("--variant", "c2", "--metric", "exact_match", "--not-passed") == [("c2:weak", "three")]
    assert cases("--failed") == [("c2:weak", "three")]
    flipped = ["--variant", "c2:weak", "--flipped-against", "c1:good", "--metric", "exact_match"]
    assert cases(*flipped) == [("c2:weak", "three")]
    assert cases("--q", "?") == [("c2:weak", "three")]
    limited = cli("results", found["id"], "--limit", "3", "--json")
    assert len(limited.json) == 3
    assert "--limit" in limited.err
    compared = cli("compare", found["id"], "--candidate", "c2:weak", "--baseline", "c1:good", "--json").json
    assert [flip["case"] for flip in compared["flips"]] == ["three"]


def test_an_export_has_every_cell_in_the_format_that_the_ending_says(cli: CLI) -> None:
    found = run(cli, "--json").json
    cases = {word for word, _ in CASES}
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        assert cli("export", found["id"], name).code == 0
    with (cli.folder / "a.csv").open(newline="") as file:
        assert {row["case"] for row in csv.DictReader(file)} == cases
    assert {json.loads(line)["case"] for line in (cli.folder / "a.jsonl").read_text().splitlines()} == cases
    assert set(pyarrow.parquet.read_table(cli.folder / "a.parquet")["case"].to_pylist()) == cases
    refused = cli("export", found["id"], "a.xlsx")
    assert (refused.code, (cli.folder / "a.xlsx").exists()) == (2, False)


def test_a_run_is_listed_shown_and_gone_on_with(cli: CLI) -> None:
    found = run(cli, "--json").json
    assert [r["id"] for r in cli("runs", "list", "--json").json] == [found["id"]]
    assert cli("runs", "show", found["id"], "--json").json["variants"] == found["variants"]
    assert cli("runs", "resume", found["id"], "--json").json["status"] == "done"
    assert cli("runs", "show", "run_nowhere").code == 2
