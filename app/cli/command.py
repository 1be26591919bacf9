"""What every command has in common: `--json`, `--debug`, its settings, its output, its connection."""

import asyncio
import dataclasses
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, TypeVar

import click
from promptward import AsyncClient

from app.cli.connection import connect
from app.cli.exits import UserError
from app.cli.output import Output
from app.settings import Settings, SettingsError

F = TypeVar("F", bound=Callable[..., Any])


class Session:
    """One invocation of a command."""

    def __init__(self, *, as_json: bool, allow_code: bool = False) -> None:
        self.out = Output(as_json=as_json)
        self._allow_code = allow_code

    @cached_property
    def settings(self) -> Settings:
        try:
            settings = Settings.read()
        except SettingsError as error:
            raise UserError(str(error)) from error
        return dataclasses.replace(settings, allow_code=True) if self._allow_code else settings

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncClient]:
        async with connect(self.settings) as client:
            yield client


allow_code = click.option(
    "--allow-code", is_flag=True, help="Run the project's own scorers (use: ./file.py:function), with your rights."
)
"""For commands that evaluate: whether an instance in their own process may run files of the project."""


def common(function: Callable[..., Coroutine[Any, Any, int | None]]) -> Callable[..., int | None]:
    """Makes a command's callback out of `async def function(session, …)`: adds `--json` and `--debug`, runs it.

    What the function returns is the exit code.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @click.option("--debug", is_flag=True, help="Show a traceback when something goes wrong.")
    @functools.wraps(function)
    def callback(*, as_json: bool, debug: bool, allow_code: bool = False, **options: Any) -> int | None:
        del debug  # read by the outermost place, which sees errors of parsing too
        return asyncio.run(function(Session(as_json=as_json, allow_code=allow_code), **options))

    return callback
