"""The command as a whole: help, exit codes, errors, colours."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from promptward import ConnectionFailedError, FieldProblem, PromptwardError

from app.cli.exits import Exit, UserError, exit_code, report
from app.cli.main import COMMANDS, program
from app.cli.output import Output
from tests.app.cli.conftest import Run
from tests.served import command, environment, stop

HAND_MADE_JSON = ("check",)
"""Their --json names a file."""


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name in group.list_commands(context):
        one = group.get_command(context, name)
        assert one is not None
        found += leaves(one, (*path, name)) if isinstance(one, click.Group) else [((*path, name), one)]
    return found


ALL = leaves(program)


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_explains_itself_and_takes_json(path: tuple[str, ...], command: click.Command, cli: Run) -> None:
    result = cli(*path, "--help")
    assert result.exit_code == 0
    assert command.help
    assert "--json" in result.stdout
    assert "--debug" in result.stdout
    options = {name: option for option in command.params for name in option.opts}
    flag = options["--json"]
    assert isinstance(flag, click.Option)
    assert flag.is_flag or path[0] in HAND_MADE_JSON
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help or option.metavar or option.name == "limit"


def test_help_lists_every_command_and_loads_them_one_by_one(cli: Run) -> None:
    shown = cli("--help").stdout
    assert [name for name in COMMANDS if f"\n  {name} " not in shown] == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PromptwardError("x", slug="invalid-content", status=422), 2),
        (PromptwardError("x", slug="not-found", status=404), 2),
        (PromptwardError("x", slug="conflict", status=409), 2),
        (PromptwardError("x", slug="unauthorized", status=401), 2),
        (PromptwardError("x", slug="label-protected", status=403), 2),
        (PromptwardError("x", slug="budget", status=422), 5),
        (PromptwardError("x", slug="rate-limited", status=429), 4),
        (PromptwardError("x", slug="upstream", status=502), 4),
        (PromptwardError("x", slug="unavailable", status=503), 4),
        (PromptwardError("x", slug="internal", status=500), 4),
        (PromptwardError("x", slug="bad-response", status=200), 4),
        (ConnectionFailedError("x"), 4),
        (UserError("x"), 2),
        (click.UsageError("x"), 2),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (RuntimeError("x"), 4),
    ],
)
def test_every_error_has_its_exit_code_and_none_is_a_gates_fail(error: BaseException, code: int) -> None:
    assert exit_code(error) == code
    assert exit_code(error) != Exit.FAIL


def test_an_error_is_one_line_with_its_places(capsys: pytest.CaptureFixture[str]) -> None:
    problem = PromptwardError("two faults", status=422, errors=[FieldProblem("/a", "one"), FieldProblem("/b", "two")])
    assert report(problem, as_json=False) == 2
    assert capsys.readouterr().err == "error: two faults\n  /a: one\n  /b: two\n"


def test_with_json_an_error_is_json_and_still_on_stderr(cli: Run) -> None:
    result = cli("scorers", "nothing", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    problem = json.loads(result.stderr)
    assert problem["type"] == "urn:promptward:not-found"
    assert problem["status"] == 404


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("run",),
        ("sync", "--nothing"),
        ("show", "kinds", "x"),
        ("sync", "--exit-code"),
        ("keys", "create"),
    ],
)
def test_usage_that_is_wrong_ends_with_2_and_a_hint(cli: Run, arguments: tuple[str, ...]) -> None:
    result = cli(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")


def test_our_own_fault_is_one_line_without_a_traceback(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "broken", "tests.app.cli.broken:broken")
    result = cli("broken")
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.splitlines() == [
        "error: our own fault: RuntimeError: two lines (--debug shows where; please report it)"
    ]
    assert "Traceback" in cli("broken", "--debug").stderr


def test_a_setting_that_is_wrong_is_named(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTWARD_PORT", "many")
    result = cli("settings")
    assert result.exit_code == 2
    assert "PROMPTWARD_PORT is 'many'" in result.stderr


def test_settings_are_shown_with_their_origin_and_secrets_masked(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTWARD_API_KEY", "pw_id_secret")
    monkeypatch.setenv("PROMPTWARD_PORT", "9000")
    result = cli("settings", "--json")
    shown = {each["name"]: each for each in json.loads(result.stdout)}
    assert shown["PROMPTWARD_PORT"] == {"name": "PROMPTWARD_PORT", "value": "9000", "source": "environment"}
    assert shown["PROMPTWARD_HOST"]["source"] == "default"
    assert "secret" not in result.stdout + cli("settings").stdout


def test_a_server_that_is_not_there_is_trouble_not_usage(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTWARD_URL", "http://127.0.0.1:1")
    result = cli("runs", "list")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "http://127.0.0.1:1 cannot be reached" in result.stderr
    monkeypatch.setenv("PROMPTWARD_URL", "127.0.0.1:1")
    assert cli("runs", "list").exit_code == 2


def test_a_database_that_is_not_there_is_trouble_with_a_hint(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTWARD_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    result = cli("runs", "list")
    assert result.exit_code == 4
    assert "the database or the home cannot be used" in result.stderr


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> str:
    monkeypatch.setattr("sys.stdout", stream)
    out = Output(as_json=False)
    out.styled("+ made", "bold green")
    out.table(["name", ">value"], [["[red]x", 1.0]])
    out.unified("--- a\n+++ b\n-old\n+new")
    return stream.getvalue()


def test_colours_are_for_terminals_and_never_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in printed(monkeypatch, Terminal())
    monkeypatch.setenv("FORCE_COLOR", "1")
    plain = printed(monkeypatch, io.StringIO())
    assert "\x1b[" not in plain
    assert "[red]x" in plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in printed(monkeypatch, Terminal())


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    with command("scorers", cwd=tmp_path) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")


def test_an_interrupt_ends_with_130_and_no_traceback(tmp_path: Path) -> None:
    import signal
    import time

    with command("serve", "--port", "0", cwd=tmp_path) as process:
        # past Python's own start, before the server answers
        while process.poll() is None and not (tmp_path / ".promptward" / "lock").exists():
            time.sleep(0.005)
        _, errors = stop(process, signal.SIGINT)
    assert process.returncode == 130
    assert errors.strip() == "interrupted"


def test_a_scorer_package_that_cannot_be_loaded_stops_the_start_by_name(tmp_path: Path) -> None:
    package = tmp_path / "packages" / "acme-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[promptward.scorers]\nacme = acme_scorers\n")
    (package.parent / "acme_scorers.py").write_text("import nowhere_to_be_found\n")
    path = os.pathsep.join([str(package.parent), *(place for place in sys.path if place)])
    ended = subprocess.run(
        [sys.executable, "-m", "app.cli.main", "serve", "--port", "0"],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "promptward.scorers:acme = acme_scorers cannot be loaded" in ended.stderr
    assert "fix or uninstall its package" in ended.stderr
