"""What every command has in common: `--json`, `--debug`, its settings, its output, its connection."""

import asyncio
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

    def __init__(self, *, as_json: bool) -> None:
        self.out = Output(as_json=as_json)

    @cached_property
    def settings(self) -> Settings:
        try:
            return Settings.read()
        except SettingsError as error:
            raise UserError(str(error)) from error

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncClient]:
        async with connect(self.settings) as client:
            yield client


def common(function: Callable[..., Coroutine[Any, Any, int | None]]) -> Callable[..., int | None]:
    """Makes a command's callback out of `async def function(session, …)`: adds `--json` and `--debug`, runs it.

    What the function returns is the exit code.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @click.option("--debug", is_flag=True, help="Show a traceback when something goes wrong.")
    @functools.wraps(function)
    def callback(*, as_json: bool, debug: bool, **options: Any) -> int | None:
        del debug  # read by the outermost place, which sees errors of parsing too
        return asyncio.run(function(Session(as_json=as_json), **options))

    return callback
