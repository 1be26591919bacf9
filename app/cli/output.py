"""What commands print: results to stdout, everything else to stderr, styles only on a terminal without NO_COLOR."""

import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 160
"""Columns when the output is not a terminal."""


class Output:
    """One command's output. With `as_json`, tables and texts are left out and `data` is printed instead."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> "Console":
        return _console(sys.stdout)

    @cached_property
    def progress(self) -> "Console":
        """Where progress and remarks go."""
        return _console(sys.stderr)

    def data(self, value: Any) -> None:
        """The result as JSON, when that was asked for."""
        if self.as_json:
            print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode(), flush=True)

    def line(self, text: str = "") -> None:
        """A line of the result; never wrapped, nothing in it is markup."""
        if not self.as_json:
            print(text, flush=True)

    def styled(self, text: str, style: str) -> None:
        """The same with a style on a terminal."""
        if self.as_json:
            return
        from rich.text import Text

        self.console.print(Text(text, style), soft_wrap=True)

    def note(self, text: str) -> None:
        """A remark for people, on stderr."""
        print(text, file=sys.stderr)

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        title: str | None = None,
        aside: bool = False,
    ) -> None:
        """A table. Columns whose name starts with `>` are numbers and stand to the right; None is shown as a dash. `aside`:
        a remark, on stderr."""
        if self.as_json and not aside:
            return
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
        for column in columns:
            right = column.startswith(">")
            table.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*[_cell(value) if not isinstance(value, Text) else value for value in row])
        if table.row_count:
            (self.progress if aside else self.console).print(table)
        else:
            self.note("nothing found")

    def fields(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Names and values, one pair a line."""
        given = [(name, value) for name, value in pairs if value is not None]
        width = max((len(name) for name, _ in given), default=0)
        for name, value in given:
            self.line(f"{name:<{width}}  {shown(value)}")

    def yaml(self, value: Any) -> None:
        """Plain data as people write it in files."""
        if not self.as_json:
            self.line(as_yaml(value).rstrip())

    def unified(self, text: str) -> None:
        """A unified diff, coloured on a terminal."""
        if self.as_json:
            return
        from rich.text import Text

        for line in text.splitlines():
            style = next((s for mark, s in _DIFF_STYLES.items() if line.startswith(mark)), "")
            self.console.print(Text(line, style), soft_wrap=True)


_DIFF_STYLES = {"+++": "bold", "---": "bold", "@@": "cyan", "+": "green", "-": "red"}


def as_yaml(value: Any) -> str:
    """YAML with long texts as blocks, in the order of the data."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)


def shown(value: object) -> str:
    """A value as people read it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case list() | tuple():
            return ", ".join(shown(v) for v in value)
        case _:
            return str(value)


def share(value: float | None) -> str:
    """A score: three decimals."""
    return "-" if value is None else f"{value:.3f}"


def dollars(value: float | None) -> str:
    """A cost; small ones keep four decimals."""
    if value is None:
        return "-"
    return f"${value:.2f}" if value >= 1 or value == 0 else f"${value:.4f}"


def short(digest: str | None) -> str:
    """The part of a digest that is enough to address it."""
    return "-" if digest is None else digest.removeprefix("sha256:")[:12]


def _cell(value: object) -> Any:
    from rich.text import Text

    return Text(shown(value))


def _console(stream: IO[str]) -> "Console":
    from rich.console import Console

    class Plain(Console):
        """Leaves a reader that went away to the outermost place, which knows the exit code."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    terminal = stream.isatty()
    console = Plain(
        file=stream, force_terminal=terminal, width=None if terminal else WIDTH, highlight=False, emoji=False
    )
    if console.no_color:  # NO_COLOR: rich alone would still send bold and italics
        return Plain(file=stream, force_terminal=terminal, color_system=None, highlight=False, emoji=False)
    return console
