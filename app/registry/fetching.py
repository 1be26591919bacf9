"""Versions as they are fetched, kept encoded: the hot path of products that fetch by number or label touches no database.

What this process changes it sees at once; what another process on the same database changes, within a second.
"""

import asyncio
import time
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import event
from sqlalchemy.orm import Session

from app.kit.db import Sessions
from app.registry.repository import CHANGING
from app.registry.service import Registry

FRESH_S = 1.0
KEPT = 5_000
KEPT_BYTES = 64 * 1024 * 1024
MAX_BODY = 256 * 1024
"""Larger ones are read anew each time: a few of them would fill what is kept."""

Key = tuple[str, str, str, str]
"""Project, kind, name, and what stands behind the `@`."""


class Encoded(NamedTuple):
    body: bytes
    etag: str


class _Kept(NamedTuple):
    encoded: Encoded
    at: float
    generation: int


class Versions:
    """The encoded versions of one process."""

    def __init__(self, sessions: Sessions, most_bytes: int = KEPT_BYTES) -> None:
        self._sessions, self._most_bytes = sessions, most_bytes
        self._kept: dict[Key, _Kept] = {}
        self.bytes_kept = 0
        self._reading: dict[tuple[Key, int], asyncio.Task[Encoded]] = {}
        self._generations: dict[str, int] = {}
        self._session_class: Any = sessions.kw.get("sync_session_class", Session)
        event.listen(self._session_class, "after_commit", self._changed)

    async def get(self, project_id: str, kind: str, name: str, ref: str) -> Encoded:
        """The version as JSON, and its ETag. Raises `NotFoundError`."""
        key = (project_id, kind, name, ref)
        generation = self._generations.get(project_id, 0)
        kept = self._kept.get(key)
        if kept is not None and kept.generation == generation and time.monotonic() - kept.at < FRESH_S:
            return kept.encoded
        # Who asks while the same is read waits for that: else a popular version that has just grown old is read by everybody.
        # What began before a change of ours has another generation and is waited for by nobody who asks after it.
        task = self._reading.get((key, generation))
        if task is None:
            task = self._reading[key, generation] = asyncio.create_task(self._read(key, generation))
            task.add_done_callback(lambda done: self._done((key, generation), done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Ends the reading that nobody waits for any more, and lets go of the sessions: a listener keeps them alive."""
        if event.contains(self._session_class, "after_commit", self._changed):
            event.remove(self._session_class, "after_commit", self._changed)
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, key: Key, generation: int) -> Encoded:
        at = time.monotonic()  # before it is read: it is never taken for younger than it is
        project_id, kind, name, ref = key
        async with self._sessions() as session:
            version = await Registry(session, project_id).version(kind, name, ref)
        encoded = Encoded(msgspec.json.encode(version), f'"{version.digest}"')
        if len(encoded.body) <= MAX_BODY:
            self._keep(key, _Kept(encoded, at, generation))
        return encoded

    def _done(self, read: tuple[Key, int], task: asyncio.Task[Encoded]) -> None:
        del self._reading[read]
        if not task.cancelled():
            task.exception()  # who waited has it; when all of them went away, nobody misses it

    def _keep(self, key: Key, kept: _Kept) -> None:
        before, size = self._kept.pop(key, None), len(kept.encoded.body)
        self.bytes_kept -= 0 if before is None else len(before.encoded.body)
        if len(self._kept) >= KEPT or self.bytes_kept + size > self._most_bytes:
            self._kept.clear()
            self.bytes_kept = 0
        self._kept[key] = kept
        self.bytes_kept += size

    def _changed(self, session: Session) -> None:
        if session.in_nested_transaction():  # a savepoint: others see nothing of it yet
            return
        for project_id in session.info.pop(CHANGING, ()):
            self._generations[project_id] = self._generations.get(project_id, 0) + 1
