"""`promptward calibrate`: labels from files, on real judgements too."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.cli.conftest import Run

RUBRIC = """\
instructions: "Is the answer right?\\n\\n{{ inputs.question }}"
endpoint: judge
labels: {"yes": 1, "no": 0}
"""
PROJECT = """\
endpoints:
  judge: {provider: compatible, base_url: "http://127.0.0.1:9/v1", model: j}
environments: {}
"""


@pytest.fixture
def rubric(cli: Run, folder: Path) -> Run:
    """The command in a project with one rubric, `right`."""
    (folder / "prompts").mkdir()
    (folder / "prompts" / "right.rubric.yaml").write_text(RUBRIC)
    (folder / "promptward.yaml").write_text(PROJECT)
    synced = cli("sync")
    assert synced.exit_code == 0, synced.stderr
    return cli


def test_gpt_4_on_open_questions_is_measured_from_a_file_of_recorded_verdicts(
    rubric: Run, folder: Path, shared_data: Path
) -> None:
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "cluster", "human_correct", "gpt4", "output"])
        for line in (shared_data / "nq_open_qa.jsonl").read_text().splitlines():
            row = json.loads(line)
            for model, output in row["outputs"].items():
                verdict = (output.get("gpt4_judge") or {}).get("verdict")
                writer.writerow([f"{row['id']} {model}", row["id"], output["human_correct"], verdict, output["text"]])
    arguments = ["calibrate", "right", "--labels", "labels.csv", "--column", "human_correct", "--judge-column", "gpt4"]
    found = rubric(*arguments, "--json")
    assert found.exit_code == 0, found.stderr
    figures: dict[str, Any] = json.loads(found.stdout)["figures"]
    assert (figures["n"], figures["unjudged"]) == (592, 8)
    assert round(100 * figures["accuracy"]["value"], 2) == 85.98
    assert figures["kappa"]["value"] == pytest.approx(0.6875, abs=5e-5)
    shown = rubric(*arguments, "--min-kappa", "0.6")
    assert (shown.exit_code, "0.6875" in shown.stdout, "0.8598" in shown.stdout) == (0, True, True)
    strict = rubric(*arguments, "--min-kappa", "0.68")
    assert (strict.exit_code, "its lower bound is 0.6" in strict.stderr) == (3, True)


def test_json_lines_are_read_and_what_cannot_be_is_named(rubric: Run, folder: Path) -> None:
    rows = [{"id": f"a{n}", "human": n % 2 == 0, "judge": "yes" if n % 3 else "no"} for n in range(12)]
    (folder / "labels.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    found = rubric("calibrate", "right@1", "--labels", "labels.jsonl", "--split", "dev")
    assert found.exit_code == 0, found.stderr
    assert "figures are over dev" in found.stdout
    for arguments, said in (
        (("--labels", "labels.jsonl", "--column", "people"), "no column 'people'"),
        (("--labels", "labels.txt"), "cannot be read"),
        ((), "say where the labels are"),
    ):
        wrong = rubric("calibrate", "right", *arguments)
        assert (wrong.exit_code, said in wrong.stderr) == (2, True), wrong.stderr
    (folder / "labels.jsonl").write_text('{"id": "a", "human"')
    broken = rubric("calibrate", "right", "--labels", "labels.jsonl")
    assert (broken.exit_code, "labels.jsonl, line 1" in broken.stderr) == (2, True)
    (folder / "labels.csv").write_text("id,human,judge\na,maybe,yes\n")
    unknown = rubric("calibrate", "right", "--labels", "labels.csv")
    assert (unknown.exit_code, "'maybe' is none of the labels" in unknown.stderr) == (2, True)


def test_one_answer_given_twice_is_refused_with_the_way_out(rubric: Run, folder: Path) -> None:
    (folder / "labels.csv").write_text("output,human,judge\nParis,yes,yes\nParis,no,yes\n")
    twice = rubric("calibrate", "right", "--labels", "labels.csv")
    assert twice.exit_code == 2
    assert "the same answer to the same inputs is labelled by /labels/0 already" in twice.stderr
    assert "or each its own `id`" in twice.stderr


def test_nothing_is_said_of_drift_when_no_answer_is_common_with_the_last_time(rubric: Run, folder: Path) -> None:
    for name in ("a", "b"):
        rows = [{"id": f"{name}{n}", "human": n % 2 == 0, "judge": n % 3 == 0} for n in range(12)]
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    arguments = ["calibrate", "right", "--labels"]
    first, other, again = (rubric(*arguments, f"{name}.jsonl") for name in ("a", "b", "b"))
    assert (first.exit_code, other.exit_code, again.exit_code) == (0, 0, 0), other.stderr
    assert "common answers" not in other.stdout
    assert "on 12 common answers" in again.stdout


def test_answers_are_drawn_written_for_a_spreadsheet_filled_in_and_calibrated_by(rubric: Run, folder: Path) -> None:
    (folder / "datasets").mkdir()
    items = [
        {
            "id": f"q{n}",
            "inputs": {"question": f"{n}?"},
            "reference": "yes",
            "recorded": {"m": {"text": "=HYPERLINK(1)" if n == 0 else "yes"}},
        }
        for n in range(6)
    ]
    (folder / "datasets" / "d.jsonl").write_text("\n".join(json.dumps(item) for item in items))
    suite = "dataset: d\nendpoints: [recorded]\nscorers: [{use: exact_match, name: exact}, {use: token_f1, name: f1}]\n"
    (folder / "datasets" / "s.suite.yaml").write_text(suite)
    prompt = "messages: [{role: user, content: '{{ question }}'}]\nvariables: {question: {type: string}}\n"
    (folder / "prompts" / "ask.prompt.yaml").write_text(prompt)
    recorded = PROJECT.replace("endpoints:\n", "endpoints:\n  recorded: {provider: replay, model: m}\n")
    (folder / "promptward.yaml").write_text(recorded)
    assert rubric("sync").exit_code == 0
    ran = rubric("run", "s", "--candidate", "ask", "--json")
    assert ran.exit_code == 0, ran.stderr
    run = json.loads(ran.stdout)["id"]
    drawn = rubric("calibrate", "right", "--queue", run, "--n", "6", "--export", "label.csv")
    assert drawn.exit_code == 0, drawn.stderr
    assert "6 of 6 answers were drawn by random" in drawn.stdout
    with (folder / "label.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["output"] for row in rows if row["case"] == "q0"] == ["'=HYPERLINK(1)"]
    assert all(row["human"] == "" for row in rows)
    unfilled = rubric("calibrate", "right", "--import", "label.csv")
    assert (unfilled.exit_code, "fill in its column `human`" in unfilled.stderr) == (2, True)
    for row in rows:
        row["human"] = "no" if row["case"] == "q0" else "Yes"
    with (folder / "label.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    unreached = rubric("calibrate", "right", "--import", "label.csv")
    assert unreached.exit_code == 4  # the labels are kept, and the judge of this project cannot be reached
    assert "6 labels were kept" in unreached.stderr
    divided = rubric("calibrate", "right", "--queue", run, "--by", "disagreement")
    assert (divided.exit_code, "the run has no metric by right" in divided.stderr) == (2, True)
