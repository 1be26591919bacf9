from app.kit.clock import Clock
from app.kit.db import Sessions


class Feedback:
    """What was served, and what people said of it."""

    def __init__(self, sessions: Sessions, clock: Clock, secret: bytes) -> None:
        self._sessions, self._clock, self._secret = sessions, clock, secret

    async def start(self) -> None: ...

    async def close(self) -> None: ...
