"""Making a project, bringing it into the registry, and looking at what is there: embedded, in a home of its own."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.app.cli.conftest import Run

PROMPT = Path("prompts/shop.prompt.yaml")


def test_init_writes_a_whole_project_and_overwrites_nothing(cli: Run, folder: Path) -> None:
    result = cli("init")
    assert result.exit_code == 0
    written = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert written == [
        "datasets/shop.jsonl",
        "datasets/shop.suite.yaml",
        "prompts/shop.prompt.yaml",
        "promptward.yaml",
    ]
    (folder / PROMPT).write_text("mine")
    again = cli("init")
    assert again.exit_code == 2
    assert "exists" in again.stderr
    assert (folder / PROMPT).read_text() == "mine"


LEFT = {
    "promptfoo": (
        "promptfooconfig.yaml",
        "prompts: ['Say {{word}}']\nproviders: ['openai:gpt-5-mini']\ntests:\n- vars: {word: hi}\n"
        "  assert: [{type: icontains, value: hi}, {type: python, value: 'len(output) < 9'}]\n",
    ),
    "langfuse": (
        "export.json",
        '[{"name": "greet", "version": 1, "type": "text", "prompt": "Hi {{name}}", "labels": [], "tags": []}]',
    ),
    "openai": ("prompt.json", '{"id": "pmpt_1", "name": "greet", "instructions": "Greet {{name}}."}'),
    "prompts": ("notes/greet.md", "Greet {{name}}."),
}


@pytest.mark.parametrize("source", LEFT)
def test_init_from_another_tool_leaves_a_project_that_syncs(cli: Run, folder: Path, source: str) -> None:
    path, text = LEFT[source]
    elsewhere = folder / "left"
    (elsewhere / path).parent.mkdir(parents=True)
    (elsewhere / path).write_text(text)
    made = cli("init", "--from", source, "left")
    assert made.exit_code == 0, made.stderr
    assert (folder / "promptward.yaml").is_file()
    assert list(folder.rglob("*.prompt.yaml"))
    assert ("not carried over: promptfooconfig.yaml" in made.stderr) == (source == "promptfoo")
    done = cli("sync")
    assert done.exit_code == 0, done.stderr
    assert cli("sync", "--plan", "--exit-code").exit_code == 0
    again = cli("init", "--from", source, "left")
    assert (again.exit_code, "exists" in again.stderr) == (2, True)


def test_a_folder_without_anything_to_take_over_says_so(cli: Run, folder: Path) -> None:
    nothing = cli("init", "--from", "openai")
    assert (nothing.exit_code, "holds no file" in nothing.stderr) == (2, True)
    assert list(folder.iterdir()) == []


def test_sync_plans_applies_and_finds_nothing_left_to_do(cli: Run, project: Path) -> None:
    plan = cli("sync", "--plan", "--exit-code")
    assert plan.exit_code == 10
    assert "+ prompts       shop" in plan.stdout
    assert plan.stdout.endswith("6 to create, 0 unchanged\n")
    assert cli("list", "prompts", "--json").stdout == "[]\n"
    assert cli("sync", "--plan").exit_code == 0
    applied = cli("sync", "--message", "first", "--commit", "abc123")
    assert (applied.exit_code, applied.stdout.splitlines()[-1]) == (0, "6 created, 0 unchanged")
    assert cli("sync", "--plan", "--exit-code").exit_code == 0
    assert cli("sync").stdout == "6 unchanged\n"
    shown = json.loads(cli("show", "prompts", "shop", "--json").stdout)
    assert (shown["version"], shown["message"], shown["source"]["commit"]) == (1, "first", "abc123")


def test_sync_prunes_only_when_asked(cli: Run, project: Path) -> None:
    cli("sync")
    (project / "prompts/other.prompt.yaml").write_text((project / PROMPT).read_text())
    cli("sync")
    (project / "prompts/other.prompt.yaml").unlink()
    assert cli("sync").stdout.endswith("unchanged\n")
    pruned = cli("sync", "--prune", "--json")
    assert [(i["name"], i["action"]) for i in json.loads(pruned.stdout)["items"] if i["action"] != "unchanged"] == [
        ("other", "archive")
    ]


def test_a_fault_in_a_file_names_file_line_and_place_and_stores_nothing(cli: Run, project: Path) -> None:
    (project / PROMPT).write_text("description: x\nmessages:\n  - {role: nobody, content: hello}\n")
    result = cli("sync")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "prompts/shop.prompt.yaml#/messages/0/role: line 3" in result.stderr
    assert cli("list", "endpoints", "--json").stdout == "[]\n"


def test_commands_of_a_project_say_where_one_is_missing(cli: Run, folder: Path) -> None:
    result = cli("sync")
    assert result.exit_code == 2
    assert "promptward init" in result.stderr


def test_an_artifact_is_listed_shown_compared_and_labelled(cli: Run, project: Path) -> None:
    cli("sync")
    file = project / PROMPT
    file.write_text(file.read_text().replace("one sentence", "two sentences"))
    assert "~ prompts       shop                             1 -> 2    messages changed" in cli("sync").stdout
    assert [p["version"] for p in json.loads(cli("list", "prompts", "bicycle", "--json").stdout)] == [2]
    assert "no such word" not in cli("list", "prompts", "no such word").stdout
    shown = cli("show", "prompts", "shop@1").stdout
    assert "version     1\n" in shown
    assert "    You are the assistant of a bicycle shop. Answer from the context only, in one sentence.\n" in shown
    assert "in two sentences.\n" in cli("diff", "prompts", "shop", "1", "2").stdout
    assert cli("label", "prompts", "shop", "beta", "2", "--reason", "try").stdout == "shop@beta is now version 2\n"
    assert [v["labels"] for v in json.loads(cli("history", "prompts", "shop", "--json").stdout)] == [["beta"], []]
    moves = json.loads(cli("history", "prompts", "shop", "--label", "beta", "--json").stdout)
    assert [(m["from"], m["to"], m["reason"]) for m in moves] == [(None, 2, "try")]
    assert cli("label", "prompts", "shop", "beta", "--remove").exit_code == 0
    assert cli("label", "prompts", "shop", "beta").exit_code == 2
    refused = cli("label", "prompts", "shop", "production", "2")
    assert (refused.exit_code, "by a release alone" in refused.stderr) == (2, True)
    assert cli("show", "prompts", "shop@").exit_code == 2


def test_keys_are_shown_once_and_then_never_again(cli: Run) -> None:
    created = cli("keys", "create", "bot", "--role", "ci")
    assert created.exit_code == 0
    key = created.stdout.strip()
    listed = cli("keys", "list", "--json")
    (row,) = json.loads(listed.stdout)
    assert key.startswith(f"pw_{row['id']}_")
    assert key not in listed.stdout
    assert cli("keys", "revoke", row["id"]).exit_code == 0
    assert json.loads(cli("keys", "list", "--json").stdout)[0]["revoked_at"] is not None
    assert cli("keys", "create", "bot", "--role", "king").exit_code == 2


def test_scorers_are_listed_and_described(cli: Run) -> None:
    assert "exact_match" in cli("scorers").stdout
    shown = cli("scorers", "regex").stdout
    assert "pattern" in shown
    result = cli("scorers", "exact_mach")
    assert (result.exit_code, "did you mean 'exact_match'" in result.stderr) == (2, True)


GOOD = "rules:\n  - metric: correct\n    floor: 0.6\n"
BAD = "rules:\n  - metric: correct\n    no_regression: {margin: -1}\n"


def test_gate_lint_takes_a_policy_or_a_project_and_keeps_nothing(cli: Run, folder: Path) -> None:
    (folder / "mine.yaml").write_text(GOOD)
    assert cli("gate", "lint", "mine.yaml").stdout == "mine.yaml: valid, 1 rule\n"
    (folder / "promptward.yaml").write_text(f"gate_policies:\n  p:\n    {GOOD.replace(chr(10), chr(10) + '    ')}\n")
    assert cli("gate", "lint", "promptward.yaml").stdout == "p: valid, 1 rule\n"
    assert cli("list", "gate-policies", "--json").stdout == "[]\n"


def test_gate_lint_names_the_users_file_and_its_line(cli: Run, folder: Path) -> None:
    (folder / "mine.yaml").write_text(BAD)
    result = cli("gate", "lint", "mine.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "mine.yaml#/rules/0/no_regression/margin: line 3" in result.stderr
    (folder / "empty.yaml").write_text("")
    assert cli("gate", "lint", "empty.yaml").exit_code == 2
    (folder / "latin.yaml").write_bytes(b"rules: \xff")
    assert cli("gate", "lint", "latin.yaml").exit_code == 2


def test_the_database_is_brought_up_to_date_and_checked_without_a_service(cli: Run) -> None:
    missing = cli("db", "check")
    assert (missing.exit_code, "promptward db upgrade" in missing.stderr) == (4, True)
    assert cli("db", "upgrade").stdout == "upgraded\n"
    assert cli("db", "upgrade").stdout == "already up to date\n"
    assert cli("db", "check").stdout == "up to date\n"


def test_doctor_looks_at_everything_and_at_endpoints_when_asked(
    cli: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("sync")
    found = {f["check"]: f["ok"] for f in json.loads(cli("doctor", "--json").stdout)}
    assert found == dict.fromkeys(["python", "disk", "service", "database", "key"], True)
    found = {f["check"]: f["ok"] for f in json.loads(cli("doctor", "--endpoints", "--json").stdout)}
    assert {"endpoint dev/large", "endpoint dev/small"} <= found.keys()
    monkeypatch.setenv("PROMPTWARD_URL", "http://127.0.0.1:1")
    result = cli("doctor")
    assert result.exit_code == 4
    assert "cannot be reached" in result.stdout


def test_a_renamed_file_keeps_the_history_that_git_has(cli: Run, folder: Path) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *arguments], cwd=folder / "texts", check=True, capture_output=True)

    (folder / "texts").mkdir()
    git("init", "-q")
    text = "".join(f"Rule {number}: be {{{{ mood }}}}.\n" for number in range(9))
    for name, content in (("old.md", text), ("old.md", f"{text}And brief.\n")):
        (folder / "texts" / name).write_text(content)
        git("add", "-A")
        git("commit", "-qm", f"of {len(content)}")
    git("mv", "old.md", "new.md")
    git("commit", "-qm", "renamed")
    done = cli("import", "git", "texts")
    assert done.exit_code == 0, done.stderr
    versions = json.loads(cli("history", "prompts", "new", "--json").stdout)
    assert [version["source"]["author"] for version in versions] == ["Ann", "Ann"]
