"""Schedules by the command line, declared in promptward.yaml."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.cli.conftest import Run

QUESTIONS = [
    {
        "id": f"q{n}",
        "inputs": {"question": f"question {n}"},
        "reference": f"answer {n}",
        "recorded": {"good": {"text": f"answer {n}"}, "bad": {"text": "no idea"}},
    }
    for n in range(20)
]
PROJECT = """
endpoints:
  good: {provider: replay, model: good}
  bad: {provider: replay, model: bad}
schedules:
  nightly:
    cron: "0 3 * * *"
    timezone: Europe/Berlin
    suite: checks
    candidates: [{prompt: ask, endpoint: good}]
    baseline: {prompt: ask, endpoint: bad}
    fresh: true
  newcomers:
    on: new_endpoint
    suites: [checks]
    prompt: ask
    champion: good
"""


@pytest.fixture
def project(folder: Path) -> Path:
    for name in ("prompts", "datasets"):
        (folder / name).mkdir()
    (folder / "promptward.yaml").write_text(PROJECT)
    prompt = "messages: [{role: user, content: '{{ question }}'}]\nvariables: {question: {type: string}}\n"
    (folder / "prompts/ask.prompt.yaml").write_text(prompt)
    (folder / "datasets/questions.jsonl").write_text("\n".join(json.dumps(item) for item in QUESTIONS))
    suite = "dataset: questions\nendpoints: [good]\nscorers: [{use: exact_match, name: right}]\n"
    (folder / "datasets/checks.suite.yaml").write_text(suite)
    return folder


def shown(cli: Run, *arguments: str, code: int = 0) -> Any:
    result = cli(*arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_a_sync_declares_schedules_and_the_commands_show_run_and_switch_them(cli: Run, project: Path) -> None:
    planned = shown(cli, "sync", "--plan")
    assert planned["schedule_changes"] == [
        {"name": "nightly", "action": "create"},
        {"name": "newcomers", "action": "create"},
    ]
    assert "+ schedules     nightly" in cli("sync").stdout
    assert cli("sync", "--plan", "--exit-code").exit_code == 0
    listed = cli("schedules", "list").stdout
    assert "0 3 * * * (Europe/Berlin)" in listed
    assert "a new endpoint" in listed
    ran = cli("schedules", "run", "nightly")
    assert (ran.exit_code, "done" in ran.stdout) == (0, True), ran.output
    assert shown(cli, "schedules", "show", "nightly")["runs"][0]["trigger"] == "now"
    assert "schedules       nightly" not in cli("sync").stdout
    assert cli("schedules", "disable", "nightly").stdout == "nightly: off\n"
    assert shown(cli, "schedules", "show", "nightly")["next_at"] is None
    assert cli("schedules", "enable", "nightly").stdout.startswith("nightly: on; next 20")
    assert cli("schedules", "run", "newcomers").exit_code == 2
    evaluated = shown(cli, "schedules", "run", "newcomers", "--endpoint", "bad")
    assert [(one["endpoint"], one["status"]) for one in evaluated] == [("bad", "done")]
    board = cli("leaderboard", "checks").stdout
    assert board.index("good") < board.index("bad")
    assert "1.000" in board
    drift = cli("drift", "checks")
    assert (drift.exit_code, "nothing to compare with yet" in drift.stdout) == (0, True)
    assert cli("schedules", "delete", "newcomers").exit_code == 0
    assert [one["name"] for one in shown(cli, "schedules", "list")] == ["nightly"]


def test_what_is_wrong_with_a_schedule_is_said_with_its_line_and_nothing_is_synced(cli: Run, project: Path) -> None:
    wrong = PROJECT.replace('"0 3 * * *"', '"0 0 30 2 *"').replace("prompt: ask\n", "prompt: aks\n")
    (project / "promptward.yaml").write_text(wrong)
    result = cli("sync")
    assert result.exit_code == 2
    assert "promptward.yaml#/schedules/nightly/cron: line 7" in result.stderr
    assert "never fires" in result.stderr
    (project / "promptward.yaml").write_text(wrong.replace("0 0 30 2 *", "0 3 * * *"))
    result = cli("sync")
    assert "promptward.yaml#/schedules/newcomers/prompt: line 16" in result.stderr
    assert shown(cli, "schedules", "list") == []


def test_a_schedule_that_is_gone_from_the_file_goes_with_prune(cli: Run, project: Path) -> None:
    assert cli("sync").exit_code == 0
    (project / "promptward.yaml").write_text(PROJECT.partition("  newcomers:")[0])
    assert shown(cli, "sync")["schedule_changes"] == [{"name": "nightly", "action": "unchanged"}]
    assert {one["name"] for one in shown(cli, "schedules", "list")} == {"nightly", "newcomers"}
    pruned = shown(cli, "sync", "--prune")["schedule_changes"]
    assert {"name": "newcomers", "action": "delete"} in pruned
    assert [one["name"] for one in shown(cli, "schedules", "list")] == ["nightly"]
