"""The audit from the command line: listed, exported, and checked where there is neither service nor database."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.app.cli.conftest import Run


@pytest.fixture
def chain(cli: Run, folder: Path) -> Path:
    """An export of three changes; the folder's own home holds the database."""
    for name in ("one", "two", "three"):
        assert cli("keys", "create", name, "--role", "reader").exit_code == 0
    done = cli("audit", "export", "audit.jsonl")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("wrote audit.jsonl (3 entries)\ncheckpoint 3:sha256:")
    return folder / "audit.jsonl"


def head_of(file: Path) -> str:
    end = json.loads(file.read_bytes().splitlines()[-1])["checkpoint"]
    return f"{end['no']}:{end['hash']}"


def test_an_export_is_checked_without_service_and_database(cli: Run, chain: Path, folder: Path) -> None:
    head = head_of(chain)
    signed = cli("audit", "verify", "--file", "audit.jsonl", "--signed")
    assert (signed.exit_code, signed.stdout[:17]) == (0, "whole: 3 entries,")
    shutil.rmtree(folder / ".promptward")
    whole = cli("audit", "verify", "--file", "audit.jsonl", "--head", head)
    assert (whole.exit_code, whole.stdout) == (0, f"whole: 3 entries, head {head[2:]}\n")
    assert not (folder / ".promptward").exists()
    lost = cli("audit", "verify", "--file", "audit.jsonl", "--signed")
    assert (lost.exit_code, "no signing key" in lost.stderr) == (2, True)
    assert not (folder / ".promptward").exists()


def test_a_broken_export_ends_with_4_and_names_the_entry(cli: Run, chain: Path) -> None:
    chain.write_bytes(chain.read_bytes().replace(b'"two"', b'"TWO"'))
    broken = cli("audit", "verify", "--file", "audit.jsonl")
    assert (broken.exit_code, broken.stdout) == (4, "broken at entry 2: entry 2 is not what was written\n")
    as_data = cli("audit", "verify", "--file", "audit.jsonl", "--json")
    assert as_data.exit_code == 4
    assert json.loads(as_data.stdout)["first_bad"] == 2


def test_another_key_or_another_checkpoint_ends_with_4(cli: Run, chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = head_of(chain)
    monkeypatch.setenv("PROMPTWARD_SECRET_KEY", "another key of another service, long enough")
    assert cli("audit", "verify", "--file", "audit.jsonl", "--signed").exit_code == 4
    assert cli("audit", "verify", "--file", "audit.jsonl", "--head", f"3:sha256:{'0' * 64}").exit_code == 4
    assert cli("audit", "verify", "--head", kept).exit_code == 0
    assert cli("audit", "verify", "--head", f"2:{kept[2:]}").exit_code == 4
    assert cli("audit", "verify", "--head", f"9:{kept[2:]}").exit_code == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ("--head", "nonsense"),
        ("--signed",),
        ("--file", "nothing.jsonl"),
        ("--file", "audit.jsonl", "--head", "3"),
    ],
)
def test_what_is_asked_wrongly_is_usage_and_no_verdict(cli: Run, chain: Path, arguments: tuple[str, ...]) -> None:
    assert cli("audit", "verify", *arguments).exit_code == 2


def test_a_chain_that_was_altered_in_the_database_ends_with_4(cli: Run, chain: Path, folder: Path) -> None:
    assert cli("audit", "verify").exit_code == 0
    database = sqlite3.connect(folder / ".promptward" / "promptward.db")
    with database:
        database.execute("UPDATE audit_entry SET actor = 'nobody' WHERE no = 2")
    database.close()
    broken = cli("audit", "verify")
    assert (broken.exit_code, broken.stdout) == (4, "broken at entry 2: entry 2 is not what was written\n")
    assert cli("audit", "export", "again.jsonl").exit_code == 0
    assert cli("audit", "verify", "--file", "again.jsonl").exit_code == 4
    assert cli("audit", "verify", "--file", "audit.jsonl").exit_code == 0


def test_an_export_goes_on_from_the_one_before_it(cli: Run, chain: Path) -> None:
    assert cli("keys", "create", "four", "--role", "reader").exit_code == 0
    assert "(1 entries)" in cli("audit", "export", "more.jsonl", "--since-no", "4").stdout
    assert cli("audit", "verify", "--file", "more.jsonl").exit_code == 4
    assert cli("audit", "verify", "--file", "more.jsonl", "--head", head_of(chain)).exit_code == 0


def test_changes_are_listed_page_by_page_or_all(cli: Run, chain: Path) -> None:
    first = json.loads(cli("audit", "list", "--limit", "2", "--json").stdout)
    assert [e["no"] for e in first["items"]] == [3, 2]
    rest = json.loads(cli("audit", "list", "--limit", "2", "--cursor", first["next_cursor"], "--json").stdout)
    assert ([e["no"] for e in rest["items"]], rest["next_cursor"]) == ([1], None)
    assert [e["no"] for e in json.loads(cli("audit", "list", "--all", "--json").stdout)["items"]] == [3, 2, 1]
    assert "--all" in cli("audit", "list", "--limit", "1").stderr
    assert json.loads(cli("audit", "list", "--until", "2020-01-01T00:00:00Z", "--json").stdout)["items"] == []
    since = cli("audit", "list", "--since", "2020-01-01T00:00:00Z", "--action", "key", "--json")
    assert len(json.loads(since.stdout)["items"]) == 3
    assert cli("audit", "list", "--all", "--limit", "3").exit_code == 2
    assert cli("audit", "list", "--since", "yesterday").exit_code == 2


def test_an_entry_that_cannot_be_shown_is_named(cli: Run, chain: Path, folder: Path) -> None:
    database = sqlite3.connect(folder / ".promptward" / "promptward.db")
    with database:
        database.execute("UPDATE audit_entry SET details = 'garbage' WHERE no = 2")
    database.close()
    listed = cli("audit", "list")
    assert (listed.exit_code, "entry 2 was altered" in listed.stderr) == (0, True)
