"""Keeps to what datasets say about how long their items are kept: looks when the service starts, and every few hours."""

import asyncio
import contextlib
import logging

from sqlalchemy.exc import SQLAlchemyError

from app.datasets.erasure import Erasure
from app.datasets.service import KIND
from app.kit.clock import Clock
from app.kit.db import Sessions, writing
from app.kit.errors import DomainError
from app.registry.repository import projects_with

FIRST_S, EVERY_S = 30, 6 * 3600
logger = logging.getLogger("promptward")


class Retention:
    def __init__(self, sessions: Sessions, clock: Clock) -> None:
        self._sessions, self._clock = sessions, clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> int:
        """Erases what is due in every project; how many items that were. What goes wrong in one keeps no other from it."""
        async with self._sessions() as session:
            projects = await projects_with(session, KIND)
        erased = 0
        for project_id in projects:
            try:
                async with self._sessions.begin() as session:
                    await writing(session)
                    done = await Erasure(session, project_id, "retention", self._clock).expire()
            except (SQLAlchemyError, DomainError):
                logger.exception(
                    "retention: project %s could not be looked through; it is tried again later", project_id
                )
                continue
            for name, gone in done:
                erased += gone.items
                logger.info("retention: erased %d items of dataset %s", gone.items, name)
        return erased

    async def _run(self) -> None:
        await asyncio.sleep(FIRST_S)
        while True:
            try:
                await self.look()
            except SQLAlchemyError:
                logger.exception("retention: the database could not be read or written; it is tried again later")
            await asyncio.sleep(EVERY_S)
