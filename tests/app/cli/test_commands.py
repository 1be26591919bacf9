"""What all commands have in common."""

import io
import json
import sys

import pytest
from click.testing import CliRunner

from app.cli.main import COMMANDS, program
from app.cli.output import Output
from tests.app.cli.conftest import CLI


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_explains_itself(name: str) -> None:
    result = CliRunner().invoke(program, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage: promptward" in result.stdout or "Usage:" in result.stdout


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["nowhere"], 2),
        (["run"], 2),
        (["list", "unicorns"], 2),
        (["show", "prompts", "nowhere"], 2),
        (["show", "prompts", "ask@"], 2),
        (["db", "check"], 0),
        (["scorers", "nowhere"], 2),
        (["init", "--from", "langfuse"], 2),
    ],
)
def test_mistakes_end_with_2_and_a_sentence_on_stderr(cli: CLI, args: list[str], code: int) -> None:
    ended = cli(*args)
    assert ended.code == code
    if code:
        assert ended.out == ""
        assert ended.err.startswith("error: ")


def test_an_error_under_json_is_a_problem_on_stderr(cli: CLI) -> None:
    ended = cli("show", "prompts", "nowhere", "--json")
    assert (ended.code, ended.out) == (2, "")
    assert json.loads(ended.err)["type"] == "urn:promptward:not-found"


def test_a_service_that_cannot_be_reached_ends_with_4(cli: CLI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTWARD_URL", "http://127.0.0.1:9")
    ended = cli("list", "prompts")
    assert (ended.code, ended.out) == (4, "")
    assert "http://127.0.0.1:9" in ended.err


def test_a_setting_that_cannot_be_used_ends_with_2(cli: CLI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTWARD_PORT", "many")
    ended = cli("settings")
    assert ended.code == 2
    assert "PROMPTWARD_PORT" in ended.err


def test_a_database_that_is_not_there_is_not_up_to_date(empty: CLI) -> None:
    ended = empty("db", "check")
    assert ended.code == 4
    assert "promptward db upgrade" in ended.err
    assert empty("db", "upgrade", "--json").json == {"upgraded": True}
    assert empty("db", "upgrade", "--json").json == {"upgraded": False}
    assert empty("db", "check", "--json").json == {"up_to_date": True}


def test_secrets_are_masked(cli: CLI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTWARD_API_KEY", "pw_abc_verysecret")
    ended = cli("settings", "--json")
    assert "verysecret" not in ended.out
    assert {s["name"]: s["source"] for s in ended.json}["PROMPTWARD_API_KEY"] == "environment"


def test_a_key_is_printed_once_on_stdout_alone(cli: CLI) -> None:
    made = cli("keys", "create", "ci")
    assert made.out.startswith("pw_")
    assert made.out.strip() not in made.err
    assert made.out.strip() not in cli("keys", "list", "--json").out


def test_scorers_are_listed_and_described(cli: CLI) -> None:
    assert "exact_match" in {s["name"] for s in cli("scorers", "--json").json}
    assert "threshold" in cli("scorers", "contains").out


def test_labels_move_and_differences_are_shown(cli: CLI) -> None:
    cli("sync")
    cli.write(
        "prompts/ask.prompt.yaml", "messages: [{role: user, content: '{{ question }}!'}]\nvariables: {question: {}}\n"
    )
    cli("sync")
    assert cli("label", "prompts", "ask", "beta", "2", "--reason", "tried").code == 0
    assert cli("show", "prompts", "ask@beta", "--json").json["version"] == 2
    assert [m["reason"] for m in cli("history", "prompts", "ask", "--label", "beta", "--json").json] == ["tried"]
    assert cli("label", "prompts", "ask", "production", "2").code == 2
    difference = cli("diff", "prompts", "ask", "1", "beta").out
    assert "{{ question }}!" in difference


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("1", False)])
def test_colours_appear_on_a_terminal_unless_no_color_is_set(
    monkeypatch: pytest.MonkeyPatch, no_color: str | None, coloured: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    Output(as_json=False).styled("done", "green")
    assert "done" in terminal.getvalue()
    assert ("\x1b[" in terminal.getvalue()) is coloured
