"""Versions as they are fetched, kept encoded: the hot path of products that fetch by number or label touches no database.

What this process changes it sees at once; what another process on the same database changes, within a second.
"""

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
MAX_BODY = 256 * 1024
"""Larger ones are read anew each time: a few of them would fill the memory."""

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

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._kept: dict[Key, _Kept] = {}
        self._generations: dict[str, int] = {}
        session_class: Any = sessions.kw.get("sync_session_class", Session)
        event.listen(session_class, "after_commit", self._changed)

    async def get(self, project_id: str, kind: str, name: str, ref: str) -> Encoded:
        """The version as JSON, and its ETag. Raises `NotFoundError`."""
        key = (project_id, kind, name, ref)
        generation = self._generations.get(project_id, 0)
        kept = self._kept.get(key)
        if kept is not None and kept.generation == generation and time.monotonic() - kept.at < FRESH_S:
            return kept.encoded
        at = time.monotonic()  # before it is read: it is never taken for younger than it is
        async with self._sessions() as session:
            version = await Registry(session, project_id).version(kind, name, ref)
        encoded = Encoded(msgspec.json.encode(version), f'"{version.digest}"')
        if len(encoded.body) <= MAX_BODY:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[key] = _Kept(encoded, at, generation)
        return encoded

    def _changed(self, session: Session) -> None:
        for project_id in session.info.pop(CHANGING, ()):
            self._generations[project_id] = self._generations.get(project_id, 0) + 1
