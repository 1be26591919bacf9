"""`promptward worker`: performs runs of a shared database."""

import asyncio
import signal

import click

from app.cli.command import Session
from app.cli.connection import same_errors
from app.cli.exits import Exit, UserError
from app.cli.serve import fast_loop


@click.command()
@click.option("--check", is_flag=True, help="Only say whether a worker of this machine is alive (exit 0) or not (4).")
@click.option("--json", "as_json", is_flag=True, help="Print the worker's id as JSON.")
@click.option("--debug", is_flag=True, help="Show a traceback when something goes wrong.")
def worker(check: bool, as_json: bool, debug: bool) -> int:
    """Perform runs of a PostgreSQL database, beside any number of others, until SIGTERM or Ctrl-C.

    Calls in flight are finished first; what is left goes to other workers. Set PROMPTWARD_DATABASE_URL as for the service.
    """
    del debug  # read by the outermost place
    session = Session(as_json=as_json)
    settings = session.settings
    if settings.database_url.startswith("sqlite"):
        raise UserError(
            "a worker needs a PostgreSQL database: set PROMPTWARD_DATABASE_URL=postgresql://…; on SQLite the service "
            "performs its runs itself"
        )
    from app import main
    from evaluators.registry import RegistryError, scorers

    with same_errors(), asyncio.Runner(loop_factory=fast_loop()) as runner:
        if check:
            alive = runner.run(main.works_here(settings))
            session.out.data({"alive": alive})
            session.out.line("A worker of this machine is alive." if alive else "No worker of this machine is alive.")
            return Exit.PASS if alive else Exit.TROUBLE
        try:
            scorers()
        except RegistryError as error:
            raise UserError(str(error)) from error

        def started(process: str) -> None:
            session.out.data({"worker": process})
            session.out.line(f"Worker {process} performs runs.")

        async def work() -> None:
            stopped = asyncio.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stopped.set)
            await main.work(settings, started, stopped)

        runner.run(work())
    return Exit.PASS
