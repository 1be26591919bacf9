from tests.app.cli.conftest import CLI

ALL = {
    ("endpoints", "good"),
    ("endpoints", "weak"),
    ("endpoints", "patchy"),
    ("gate-policies", "exact"),
    ("datasets", "qa"),
    ("prompts", "ask"),
    ("suites", "qa"),
}


def test_a_plan_says_what_would_be_made_and_makes_nothing(cli: CLI) -> None:
    planned = cli("sync", "--plan", "--json").json
    assert {(i["kind"], i["name"]) for i in planned["items"] if i["action"] == "create"} == ALL
    assert cli("list", "prompts", "--json").json == []


def test_the_exit_code_of_a_plan_says_whether_anything_would_change_when_asked(cli: CLI) -> None:
    assert cli("sync", "--plan").code == 0
    assert cli("sync", "--plan", "--exit-code").code == 10
    applied = cli("sync")
    assert (applied.code, applied.out.splitlines()[-1]) == (0, "7 created, 0 unchanged")
    again = cli("sync", "--plan", "--exit-code")
    assert (again.code, again.out) == (0, "7 unchanged\n")


def test_a_changed_file_makes_the_next_version_and_a_removed_one_is_archived_only_by_prune(cli: CLI) -> None:
    cli("sync")
    cli.write(
        "prompts/ask.prompt.yaml",
        "messages: [{role: user, content: 'Say {{ question }}'}]\nvariables: {question: {type: string}}\n",
    )
    (cli.folder / "datasets/qa.suite.yaml").unlink()
    kept = cli("sync", "--message", "shorter")
    assert kept.out.splitlines()[-1] == "1 updated, 5 unchanged"
    version = cli("show", "prompts", "ask", "--json").json
    assert (version["version"], version["message"]) == (2, "shorter")
    assert [s["name"] for s in cli("list", "suites", "--json").json] == ["qa"]
    assert cli("sync", "--prune").out.splitlines()[-1] == "1 archived, 6 unchanged"
    assert cli("list", "suites", "--json").json == []


def test_a_bad_file_is_refused_with_its_place_and_nothing_is_made(cli: CLI) -> None:
    cli.write("prompts/other.prompt.yaml", "messages: [{role: user, content: '{{ x '}]\n")
    refused = cli("sync")
    assert (refused.code, refused.out) == (2, "")
    assert "prompts/other.prompt.yaml" in refused.err
    assert cli("list", "prompts", "--json").json == []


def test_outside_of_a_project_sync_says_what_to_do(empty: CLI) -> None:
    refused = empty("sync")
    assert (refused.code, refused.out) == (2, "")
    assert "promptward init" in refused.err


def test_exit_code_without_plan_is_a_mistake(cli: CLI) -> None:
    assert cli("sync", "--exit-code").code == 2
