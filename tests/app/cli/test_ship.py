"""Shipping and releasing from the command line: the words, and above all the exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.cli.conftest import Run

ITEMS = "\n".join(
    json.dumps(
        {
            "id": f"q{n}",
            "inputs": {"question": f"question {n}"},
            "reference": f"answer {n}",
            "recorded": {
                "good": {"text": f"answer {n}"},
                "also": {"text": f"answer {n}"},
                "bad": {"text": "no idea" if n % 4 else f"answer {n}"},
            },
        }
    )
    for n in range(60)
)
YAML = """
endpoints:
  good: {provider: replay, model: good}
  also: {provider: replay, model: also}
  bad: {provider: replay, model: bad}
  lost: {provider: replay, model: lost}
gate_policies:
  strict:
    extend: {max_repeats: 1}
    rules:
      - {metric: right, no_regression: {margin: 0.10}}
      - {metric: right, floor: 0.60}
environments:
  production:
    prompts: {ask: {suites: [checks], policy: strict}}
"""


@pytest.fixture
def shop(folder: Path) -> Path:
    """A project whose answers are recorded."""
    (folder / "prompts").mkdir()
    (folder / "datasets").mkdir()
    (folder / "promptward.yaml").write_text(YAML)
    prompt = "messages: [{role: user, content: '{{ question }}'}]\nvariables: {question: {type: string}}\n"
    (folder / "prompts" / "ask.prompt.yaml").write_text(prompt)
    (folder / "datasets" / "questions.jsonl").write_text(ITEMS + "\n")
    suite = "dataset: questions\nendpoints: [good]\nscorers: [{use: exact_match, name: right}]\n"
    (folder / "datasets" / "checks.suite.yaml").write_text(suite)
    return folder


def parsed(text: str) -> Any:
    return json.loads(text)


def change(shop: Path, old: str, new: str, name: str = "promptward.yaml") -> None:
    file = shop / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_ship_opens_the_door_once_and_says_so_the_second_time(cli: Run, shop: Path) -> None:
    first = cli("ship", "--wait", "--notes", "the first")
    assert first.exit_code == 0, first.stderr
    assert "ask@1 on good@1: live" in first.stdout
    assert "checks@1 by strict@1: pass" in first.stdout
    again = cli("ship", "--wait")
    assert (again.exit_code, again.stdout) == (0, "ask@1 on good is live in production already\n")
    assert "1 unchanged" in cli("sync").stdout or cli("sync").exit_code == 0
    shown = parsed(cli("release", "list", "--json").stdout)["items"]
    assert [(r["state"], r["notes"]) for r in shown] == [("live", "the first")]
    assert "whole: " in cli("audit", "verify").stdout
    assert "release.started" in cli("audit", "list", "--action", "release").stdout


def test_ship_ends_like_check(cli: Run, shop: Path) -> None:
    assert cli("ship", "--wait", "--endpoint", "bad").exit_code == 1
    lost = cli("ship", "--wait", "--endpoint", "lost")
    assert lost.exit_code == 4, lost.stdout
    assert cli("ship", "--endpoint", "good").exit_code == 0
    assert cli("ship", "nothing", "--wait").exit_code == 2
    assert cli("ship", "--env", "staging", "--wait").exit_code == 2
    assert cli("ship", "--endpoint", "unknown", "--wait").exit_code == 2
    change(shop, "policy: strict}}", "policy: strict}}\n    approvals: 1")
    waiting = cli("ship", "--wait", "--endpoint", "also")
    assert waiting.exit_code == 3
    assert "awaiting_approval" in waiting.stdout
    assert "approvals 0 of 1 (nobody yet)" in waiting.stdout


def test_ship_names_another_release_that_is_rolling_out_beside_what_is_live(cli: Run, shop: Path) -> None:
    cli("ship")
    made = parsed(cli("release", "create", "ask@1", "--endpoint", "also", "--step", "0.2", "--json").stdout)
    again = cli("ship")
    assert again.exit_code == 3
    assert "ask@1 on good is live in production already, but" in again.stdout
    assert f"release {made['id']} (ask@1 on also@1) is rolling out at 20 %" in again.stdout
    assert f"`promptward release promote {made['id']}` or `promptward release rollback {made['id']}`" in again.stdout
    [told] = parsed(cli("ship", "--json").stdout)["prompts"]
    assert (told["outcome"], told["other"], told["release"]) == ("held", made["id"], None)
    cli("release", "rollback", made["id"])
    assert (cli("ship").exit_code, cli("ship").stdout) == (0, "ask@1 on good is live in production already\n")


def test_ship_of_what_is_rolling_out_is_about_that_release(cli: Run, shop: Path) -> None:
    cli("ship")
    change(shop, "policy: strict}}", "policy: strict}}\n    rollout: {steps: [0.2]}")
    first = parsed(cli("ship", "--endpoint", "also", "--json").stdout)
    assert [(p["outcome"], p["code"]) for p in first["prompts"]] == [("released", 0)]
    again = cli("ship", "--endpoint", "also", "--json")
    assert again.exit_code == 0
    found = parsed(again.stdout)
    assert [(p["outcome"], p["release"]) for p in found["prompts"]] == [("on_its_way", first["releases"][0]["id"])]
    assert [(r["state"], r["share"]) for r in found["releases"]] == [("rolling_out", 0.2)]
    cli("release", "pause", first["releases"][0]["id"])
    assert cli("ship", "--endpoint", "also").exit_code == 3
    assert len(parsed(cli("release", "list", "--json").stdout)["items"]) == 2


def test_a_prompt_that_is_refused_keeps_no_other_from_being_shipped(cli: Run, shop: Path) -> None:
    text = (shop / "prompts" / "ask.prompt.yaml").read_text()
    for name in ("beg", "pray"):
        (shop / "prompts" / f"{name}.prompt.yaml").write_text(text)
    (shop / "datasets" / "empty.suite.yaml").write_text(
        "dataset: questions\nscorers: [{use: exact_match, name: right}]\n"
    )
    rules = "{suites: [checks], policy: strict}"
    change(shop, f"prompts: {{ask: {rules}}}", f"prompts: {{ask: {rules}, beg: {rules}, pray: {rules}}}")
    cli("ship", "ask")
    held = parsed(cli("release", "create", "ask@1", "--endpoint", "also", "--step", "0.2", "--json").stdout)
    change(
        shop,
        "messages: [{role: user, content: '{{ question }}'}]",
        "messages: [{role: user, content: 'So {{ question }}'}]",
        "prompts/ask.prompt.yaml",
    )
    found = cli("ship")
    assert found.exit_code == 3, found.stderr
    assert "ask@2 on good was not asked for: release" in found.stdout
    assert f"`promptward release rollback {held['id']}`" in found.stdout
    assert "beg@1 on good@1: live" in found.stdout
    assert "pray@1 on good@1: live" in found.stdout
    change(shop, "beg: {suites: [checks], policy: strict}", "beg: {suites: [empty], policy: strict}")
    mixed = cli("ship")
    assert mixed.exit_code == 2
    assert "error: beg@1: no suite of 'beg' names an endpoint" in mixed.stderr
    assert "pray@1 on good is live in production already" in mixed.stdout
    failing = parsed(cli("ship", "--endpoint", "bad", "--json").stdout)["prompts"]
    assert [(p["prompt"], p["outcome"], p["code"]) for p in failing] == [
        ("ask@2", "held", 3),
        ("beg@1", "released", 1),
        ("pray@1", "released", 1),
    ]
    assert cli("ship", "--endpoint", "bad").exit_code == 1


def test_a_long_reason_is_said_once(cli: Run, shop: Path) -> None:
    made = parsed(cli("ship", "--endpoint", "bad", "--json").stdout)["releases"][0]
    headline = made["verdicts"][0]["headline"]
    assert headline in made["reason"]
    shown = cli("release", "show", made["id"]).stdout
    assert shown.count(headline) == 1
    reason = "a word about it that is long enough to be read only once, which is all that it needs"
    cli("release", "reject", made["id"], "--reason", reason)
    assert cli("release", "show", made["id"]).stdout.count(reason) == 1


def test_a_release_is_steered_by_hand(cli: Run, shop: Path) -> None:
    cli("ship", "--wait")
    made = parsed(cli("release", "create", "ask@1", "--endpoint", "also", "--step", "0.2", "--wait", "--json").stdout)
    assert (made["state"], made["share"]) == ("rolling_out", 0.2)
    name = made["id"]
    assert cli("release", "pause", name, "--reason", "lunch").stdout == f"{name} is paused (20 %)\n"
    refused = cli("release", "promote", name)
    assert (refused.exit_code, "resume it first" in refused.stderr) == (2, True)
    assert cli("release", "resume", name).exit_code == 0
    assert cli("release", "promote", name).stdout == f"{name} is live (100 %)\n"
    assert cli("release", "rollback", name, "--reason", "complaints").stdout == f"{name} is rolled_back (0 %)\n"
    shown = cli("release", "show", name).stdout
    assert "rolling_out -> paused" in shown
    assert "complaints" in shown
    assert cli("release", "approve", name).exit_code == 2
    assert cli("release", "create", "ask", "--endpoint", "also", "--step", "0.5", "--at-once").exit_code == 2
    blocked = parsed(cli("release", "create", "ask", "--endpoint", "bad", "--wait", "--json").stdout)
    assert cli("release", "evaluate", blocked["id"]).exit_code == 1
    assert cli("release", "reject", blocked["id"], "--json").exit_code == 0


def test_environments_are_shown_and_ratings_are_given(cli: Run, shop: Path) -> None:
    cli("ship", "--wait")
    assert "ask: suites checks; policy strict" in cli("environments").stdout
    assert parsed(cli("environments", "production", "--json").stdout)["name"] == "production"
    for n, value in enumerate((1, 0, 1)):
        rated = cli("feedback", "add", "thumbs", str(value), "--id", f"m{n}", "--prompt", "ask", "--rater", f"r{n}")
        assert "thumbs" in rated.stdout, rated.stderr
    [row] = parsed(cli("feedback", "summary", "ask", "--json").stdout)["items"]
    assert (row["key"], row["n"], round(row["mean"], 3), row["method"]) == ("ask@1", 3, 0.667, "wilson")
    assert cli("feedback", "add", "thumbs", "7", "--id", "m9", "--prompt", "ask").exit_code == 2
    assert cli("feedback", "add", "thumbs", "1").exit_code == 2
