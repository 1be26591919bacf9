from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncSession

from app.feedback.schemas import Tally
from app.kit.clock import Clock
from app.kit.db import Sessions


class Feedback:
    """What was served, and what people said of it."""

    def __init__(self, sessions: Sessions, clock: Clock, secret: bytes) -> None:
        self._sessions, self._clock, self._secret = sessions, clock, secret
        self.listeners: list[Callable[[str, frozenset[str]], Awaitable[None]]] = []

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def tallies(self, session: AsyncSession, project_id: str, release_id: str) -> list[Tally]:
        return []
