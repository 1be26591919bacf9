"""`promptward serve`: the service in this process."""

import asyncio
import dataclasses
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from app.cli.command import Session
from app.cli.connection import same_errors
from app.cli.exits import Exit, UserError


@click.command()
@click.option("--host", help="Where to listen; PROMPTWARD_HOST by default.")
@click.option("--port", type=click.IntRange(0, 65535), help="PROMPTWARD_PORT by default; 0 takes a free one.")
@click.option("--no-worker", is_flag=True, help="Leave runs to `promptward worker` processes (PostgreSQL).")
@click.option("--json", "as_json", is_flag=True, help="Print the address as JSON.")
@click.option("--debug", is_flag=True, help="Show a traceback when something goes wrong.")
def serve(host: str | None, port: int | None, no_worker: bool, as_json: bool, debug: bool) -> int:
    """Run the service until SIGTERM or Ctrl-C; requests in flight are finished first.

    The first start prints an admin key to stderr, once.
    """
    del debug  # read by the outermost place
    session = Session(as_json=as_json)
    settings = session.settings
    settings = dataclasses.replace(
        settings, host=settings.host if host is None else host, port=settings.port if port is None else port
    )
    if no_worker and settings.database_url.startswith("sqlite"):
        raise UserError("on SQLite the service itself performs runs; leave out --no-worker, or use PostgreSQL")
    from app import main
    from evaluators.registry import RegistryError, scorers

    try:
        scorers()  # a broken package stops the start; found later, it would fail the request that names a scorer
    except RegistryError as error:
        raise UserError(str(error)) from error

    answering = False

    def started(url: str) -> None:
        nonlocal answering
        answering = True
        session.out.data({"url": url})
        session.out.line(f"Promptward answers at {url}")

    def first_key(key: str) -> None:
        session.out.note(f"The first admin key, shown only this once: {key}")

    def signalled(*_: object) -> None:
        # A server that answers drains by itself, and only then passes the signal on to here: that is a good end.
        if not answering:
            raise KeyboardInterrupt

    with same_errors(), _handling(signalled), asyncio.Runner(loop_factory=fast_loop()) as runner:
        try:
            runner.run(main.serve(settings, started, first_key, works=not no_worker))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            raise UserError(f"{where} cannot be listened on: {error.strerror or error}") from error
    return Exit.PASS


@contextmanager
def _handling(handler: Callable[..., None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return None
    return uvloop.new_event_loop
