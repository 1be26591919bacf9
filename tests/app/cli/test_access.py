"""`promptward projects` and `promptward keys`, by the owner of the home."""

import json

from tests.app.cli.conftest import Run


def test_a_project_is_made_listed_archived_and_restored(cli: Run) -> None:
    made = cli("projects", "create", "Search team", "--id", "search")
    assert made.exit_code == 0, made.stderr
    assert made.stdout.startswith("pw_")
    assert "only time" in made.stderr
    assert cli("projects", "archive", "search").stdout == "archived search\n"
    listed = json.loads(cli("projects", "list", "--json").stdout)
    assert [(p["id"], p["name"], p["archived_at"] is None) for p in listed] == [
        ("default", "default", True),
        ("search", "Search team", False),
    ]
    assert cli("projects", "restore", "search").exit_code == 0
    assert all(p["archived_at"] is None for p in json.loads(cli("projects", "list", "--json").stdout))
    assert made.stdout.strip() not in cli("projects", "list").stdout


def test_what_cannot_be_is_said_with_the_fix(cli: Run) -> None:
    refused = cli("projects", "create", "Search", "--id", "Search!")
    assert refused.exit_code != 0
    assert "no project id" in refused.stderr
    kept = cli("projects", "archive", "default")
    assert kept.exit_code != 0
    assert "'default'" in kept.stderr


def test_a_key_is_made_with_a_clearance_and_listed_with_it(cli: Run) -> None:
    assert cli("keys", "create", "dashboards", "--role", "reader", "--clearance", "public").exit_code == 0
    assert cli("keys", "create", "review", "--role", "engineer").exit_code == 0
    listed = {key["name"]: key["clearance"] for key in json.loads(cli("keys", "list", "--json").stdout)}
    assert listed == {"dashboards": "public", "review": "confidential"}
    assert "clearance" in cli("keys", "list").stdout


def test_the_setting_of_the_rate_limit_is_shown(cli: Run) -> None:
    shown = {s["name"]: s["value"] for s in json.loads(cli("settings", "--json").stdout)}
    assert shown["PROMPTWARD_RATE_LIMIT"] == "0"
