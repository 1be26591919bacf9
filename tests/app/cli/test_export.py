"""`promptward export` into a folder that is a project already."""

from pathlib import Path

import pytest

from tests.app.cli.conftest import Run

PROJECT = """\
# mine
folders: {prompts: texts, datasets: data}
endpoints:
  # the small one
  m: {provider: compatible, base_url: "http://127.0.0.1:9/v1", model: small}
gate_policies:
  gate: {rules: [{metric: exact_match, floor: 0.5}]}
"""
SUITE = "dataset: d\nendpoints: [m]\nscorers: [{use: exact_match}]\n"


@pytest.fixture
def synced(cli: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with folders of its own and a dataset as a table."""
    monkeypatch.setenv("PROMPTWARD_HOME", str(folder / "home"))
    mine = folder / "mine"
    monkeypatch.chdir(_project(mine))
    assert cli("sync").exit_code == 0
    return mine


def _project(mine: Path) -> Path:
    for name in ("texts", "data"):
        (mine / name).mkdir(parents=True)
    (mine / "promptward.yaml").write_text(PROJECT)
    (mine / "texts/ask.prompt.yaml").write_text("# why\nmessages: [{role: user, content: hello}]\n")
    (mine / "data/d.csv").write_text("id,inputs.q\n1,x\n")
    (mine / "data/s.suite.yaml").write_text(SUITE)
    return mine


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_table_stays_the_one_file_of_its_dataset(cli: Run, synced: Path) -> None:
    before = _files(synced)
    same = cli("export")
    assert (same.exit_code, _files(synced)) == (0, before), same.stderr
    (synced.parent / "more.csv").write_text("id,inputs.q\n1,x\n2,y\n")
    assert cli("datasets", "upload", "d", "../more.csv").exit_code == 0
    changed = cli("export")
    assert (changed.exit_code, _files(synced)) == (0, before), changed.stderr
    assert (synced / "data/d.csv").read_text().splitlines()[1:] == ["1,x", "2,y"]
    assert cli("sync").exit_code == 0
    assert cli("sync", "--plan", "--exit-code").exit_code == 0


def test_a_table_that_cannot_hold_the_items_is_left_and_the_way_on_is_said(cli: Run, synced: Path) -> None:
    (synced.parent / "more.jsonl").write_text('{"id": "1", "inputs": {"q": {"a": 1.5}}, "reference": 3}\n')
    assert cli("datasets", "upload", "d", "../more.jsonl").exit_code == 0
    table = (synced / "data/d.csv").read_text()
    refused = cli("export")
    assert (refused.exit_code, "data/d.csv cannot hold" in refused.stderr) == (2, True)
    assert (synced / "data/d.csv").read_text() == table
    (synced / "data/d.csv").unlink()
    assert cli("export").exit_code == 0
    assert (synced / "data/d.jsonl").is_file()
    assert cli("sync").exit_code == 0


def test_what_the_files_do_not_have_goes_into_the_project_s_own_folders(cli: Run, synced: Path) -> None:
    (synced.parent / "greet.md").write_text("Hello {{ name }}")
    assert cli("import", "text", "../greet.md").exit_code == 0
    done = cli("export")
    assert done.exit_code == 0, done.stderr
    assert (synced / "texts/greet.prompt.yaml").is_file()
    assert cli("sync", "--plan", "--exit-code").exit_code == 0
    assert cli("export", "promptward", "../new").exit_code == 0
    assert {"prompts/ask.prompt.yaml", "prompts/greet.prompt.yaml", "datasets/d.jsonl"} < _files(synced.parent / "new")


def test_entries_of_the_project_file_that_did_not_change_keep_their_text(
    cli: Run, synced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = _project(synced.parent / "other")
    (other / "promptward.yaml").write_text(PROJECT.replace("0.5", "0.7"))
    monkeypatch.chdir(other)
    assert cli("sync").exit_code == 0
    monkeypatch.chdir(synced)
    own = "  # not synced yet\n  own: {rules: [{metric: exact_match, floor: 0.9}]}\n"
    (synced / "promptward.yaml").write_text(PROJECT + own)
    done = cli("export")
    assert done.exit_code == 0, done.stderr
    text = (synced / "promptward.yaml").read_text()
    assert text.startswith(PROJECT[: PROJECT.index("  gate:")]), "comments and the endpoint are as they were"
    assert "floor: 0.7" in text
    assert text.endswith(own), "what was never synced is not lost"


def test_a_section_in_one_line_is_merged_too(cli: Run, synced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "gate_policies: {gate: {rules: [{metric: exact_match, floor: 0.5}]}, "
    text = PROJECT[: PROJECT.index("gate_policies:")] + line
    own = "own: {description: 'no', rules: [{metric: exact_match, floor: 0.9}]}"
    monkeypatch.chdir(synced)
    other = _project(synced.parent / "other")
    (other / "promptward.yaml").write_text(PROJECT.replace("0.5", "0.7"))
    monkeypatch.chdir(other)
    assert cli("sync").exit_code == 0
    monkeypatch.chdir(synced)
    (synced / "promptward.yaml").write_text(f"{text}{own}}}\n")
    done = cli("export")
    assert done.exit_code == 0, done.stderr
    written = (synced / "promptward.yaml").read_text()
    assert ("floor: 0.7" in written, own in written) == (True, True)
    assert cli("sync").exit_code == 0


def test_rules_of_environments_change_by_force_alone(cli: Run, synced: Path) -> None:
    rules = "environments:\n  staging: {prompts: {ask: {suites: [s]}}, approvals: 1}\n"
    (synced / "promptward.yaml").write_text(PROJECT + rules)
    assert cli("sync").exit_code == 0
    mine = PROJECT + rules.replace("approvals: 1", "approvals: 2")
    (synced / "promptward.yaml").write_text(mine)
    kept = cli("export")
    assert (kept.exit_code, "the environment staging has other rules" in kept.stderr) == (0, True), kept.stderr
    assert (synced / "promptward.yaml").read_text() == mine
    assert cli("export", "--force").exit_code == 0
    assert "approvals: 1" in (synced / "promptward.yaml").read_text()
    assert cli("sync", "--plan", "--exit-code").exit_code == 0


def test_a_suite_whose_dataset_is_newer_is_not_taken_for_a_changed_file(cli: Run, synced: Path) -> None:
    (synced / "data/d.csv").write_text("id,inputs.q\n1,changed\n")
    refused = cli("export")
    assert (refused.exit_code, "s.suite" in refused.stderr, "data/d.csv was changed here" in refused.stderr) == (
        2,
        False,
        True,
    )


def test_after_an_export_and_a_sync_the_files_are_edited_on_without_force(cli: Run, synced: Path) -> None:
    (synced.parent / "more.csv").write_text("id,inputs.q\n1,x\n2,y\n")
    assert cli("datasets", "upload", "d", "../more.csv").exit_code == 0
    assert "take it into the file" in cli("sync").stderr
    assert cli("export").exit_code == 0
    assert cli("sync").exit_code == 0
    (synced / "data/d.csv").write_text("id,inputs.q\n1,x\n2,y\n3,z\n")
    edited = cli("sync")
    assert edited.exit_code == 0, edited.stderr
    assert cli("datasets", "upload", "d", "../more.csv").exit_code == 0
    assert "take it into the file" in cli("sync").stderr, "what was made since is a conflict again"


def test_the_file_of_an_archived_name_is_pointed_out(cli: Run, synced: Path) -> None:
    assert cli("archive", "prompts", "ask").exit_code == 0
    done = cli("export")
    assert (done.exit_code, "texts/ask.prompt.yaml has it" in done.stderr) == (0, True), done.stderr
    (synced / "texts/ask.prompt.yaml").unlink()
    assert "archived" not in cli("export").stderr


def test_a_column_without_a_place_or_named_twice_is_refused(cli: Run, synced: Path) -> None:
    (synced / "odd.csv").write_text("Question\nx\n")
    for given in (("Question",), ("Question:id", "Question:reference")):
        refused = cli("datasets", "upload", "odd", "odd.csv", *(word for text in given for word in ("--map", text)))
        assert (refused.exit_code, "write COLUMN:PART once per column" in refused.stderr) == (2, True)


def test_a_project_file_with_windows_line_endings_keeps_them(
    cli: Run, synced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = b"\xef\xbb\xbf" + PROJECT.replace("\n", "\r\n").encode()
    (synced / "promptward.yaml").write_bytes(mine)
    assert "0 written" in cli("export").stdout
    assert (synced / "promptward.yaml").read_bytes() == mine
    other = _project(synced.parent / "other")
    (other / "promptward.yaml").write_text(PROJECT.replace("0.5", "0.7"))
    monkeypatch.chdir(other)
    assert cli("sync").exit_code == 0
    monkeypatch.chdir(synced)
    assert "1 written" in cli("export").stdout
    written = (synced / "promptward.yaml").read_bytes()
    assert (b"floor: 0.7" in written, written.count(b"\n") == written.count(b"\r\n")) == (True, True)
