"""Exit codes, and how an ending becomes one of them."""

import os
import sys
from enum import IntEnum

import click
import msgspec
from promptward import FieldProblem, PromptwardError


class Exit(IntEnum):
    """What the exit codes say. `FAIL` is only ever a gate's verdict."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    INCONCLUSIVE = 3
    TROUBLE = 4
    BUDGET = 5
    DIFFERENT = 10
    INTERRUPTED = 130


class UserError(Exception):
    """A mistake in what the user gave: a file, an option, a setting. `errors` name the places."""

    def __init__(self, detail: str, errors: list[FieldProblem] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors or []


class ErrorLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error on stderr under `--json`: the problem as the service gave it, or our own."""

    type: str
    detail: str
    status: int = 0
    errors: list[dict[str, str]] = []


def exit_code(error: BaseException) -> Exit:
    """The exit code of an error."""
    match error:
        case KeyboardInterrupt() | click.Abort():
            return Exit.INTERRUPTED
        case UserError() | click.ClickException():
            return Exit.USAGE
        case PromptwardError(slug="budget"):
            return Exit.BUDGET
        case PromptwardError(status=status) if 400 <= status < 500 and status not in (408, 429):
            return Exit.USAGE
        case _:
            return Exit.TROUBLE


def report(error: BaseException, *, as_json: bool) -> int:
    """Writes the error to stderr, and returns the exit code. A group of one (from a task group) is that one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else Exit.TROUBLE
    if isinstance(error, BrokenPipeError):
        # The reader of our output (such as `head`) has what it wanted. What Python flushes at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.PASS
    code = exit_code(error)
    problem = _problem(error)
    if as_json:
        print(msgspec.json.encode(problem).decode(), file=sys.stderr)
        return code
    lines = [] if code == Exit.INTERRUPTED else [f"error: {problem.detail}"]
    lines += [f"  {e['pointer']}: {e['detail']}" for e in problem.errors if f": {e['detail']}" not in problem.detail]
    if isinstance(error, click.UsageError) and error.ctx is not None:
        lines.append(f"Try '{error.ctx.command_path} --help'.")
    print("\n".join(lines or ["interrupted"]), file=sys.stderr)
    return code


def _problem(error: BaseException) -> ErrorLine:
    match error:
        case PromptwardError():
            return ErrorLine(f"urn:promptward:{error.slug}", error.detail, error.status, _fields(error.errors))
        case UserError():
            return ErrorLine("urn:promptward:usage", error.detail, 0, _fields(error.errors))
        case click.ClickException():
            return ErrorLine("urn:promptward:usage", error.format_message())
        case KeyboardInterrupt() | click.Abort():
            return ErrorLine("urn:promptward:interrupted", "interrupted")
        case _:
            sentence = f"our own fault: {type(error).__name__}: {error} (--debug shows where; please report it)"
            return ErrorLine("urn:promptward:internal", " ".join(sentence.split()))


def _fields(errors: list[FieldProblem]) -> list[dict[str, str]]:
    return [{"pointer": e.pointer, "detail": e.detail} for e in errors]
