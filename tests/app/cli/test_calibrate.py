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
