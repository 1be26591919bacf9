"""Following a run: a bar on a terminal, else a line at its start, now and then, and at its end; always on stderr."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from promptward import AsyncClient, ConnectionFailedError
from promptward.shapes import RESTING, Run

from app.cli.command import Session
from app.cli.connection import EMBEDDED_URL
from app.cli.output import dollars

if TYPE_CHECKING:
    from rich.console import Console

EVERY_S = 10.0
"""How often a line is written where there is no terminal."""
AGAIN_S = 1.0

Show = Callable[[dict[str, Any]], None]


async def follow(session: Session, client: AsyncClient, run_id: str, title: str) -> Run:
    """Waits until a run rests, and returns it.

    Interrupted (Ctrl-C), an embedded run is cancelled, because it would end with this process; one on a server goes on.
    Either way stderr says how to go on from there.
    """
    try:
        with _Bar(session.out.progress, title) as bar:
            await _watch(client, run_id, bar.show)
    except asyncio.CancelledError:
        if client.url == EMBEDDED_URL:
            await client.runs.cancel(run_id)
            session.out.note(f"Stopped. What was answered is kept; go on with: promptward runs resume {run_id}")
        else:
            session.out.note(f"The run goes on. Stop it with: promptward runs cancel {run_id}")
        raise
    return await client.runs.get(run_id)


async def _watch(client: AsyncClient, run_id: str, show: Show) -> None:
    """To the end of the run; a broken stream is opened again, for as long as the service can be reached at all."""
    while True:
        try:
            async with aclosing(client.runs.events(run_id)) as events:
                async for event in events:
                    show(event["data"])
                    if event["data"]["status"] in RESTING:
                        return
        except ConnectionFailedError:
            await asyncio.sleep(AGAIN_S)
        if (await client.runs.get(run_id))["status"] in RESTING:
            return


class _Bar:
    def __init__(self, console: "Console", title: str) -> None:
        self._title = title
        self._told: float | None = None
        self._console = console

    def __enter__(self) -> "_Bar":
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rest]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(self._title, total=None, rest="")
        return self

    def show(self, progress: dict[str, Any]) -> None:
        done, total = progress["done"], progress["total"]
        rest = f"{progress['calls_per_s']:.0f} calls/s  {dollars(progress['cost_usd'])}"
        if progress["errors"]:
            rest += "  " + ", ".join(f"{count} x {kind}" for kind, count in progress["errors"].items())
        self._bar.update(self._task, completed=done, total=total, rest=rest)
        now = time.monotonic()
        due = self._told is None or now - self._told >= EVERY_S or progress["status"] in RESTING
        if due and not self._console.is_terminal:
            self._told = now
            self._console.print(f"{self._title}: {done} of {total} cells, {rest}", soft_wrap=True, markup=False)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
