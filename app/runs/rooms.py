"""How many calls of an endpoint may be in flight, or answered and not stored: what a killed process asks for again."""

import asyncio
from math import inf

from app.llm.fair import CALLER, FairQueue

HELD_S = 1.0
"""A call holds its place this long at most before it is answered: one that waits for its next attempt must not keep others
from calling."""


class Room:
    """Places for the calls of one endpoint in one process, taken in the order of `FairQueue`: in any other a run's waiting
    cells would be ahead of those that matter more. `None` places never run out."""

    def __init__(self, places: int | None) -> None:
        self._free: float = inf if places is None else places
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    async def enter(self) -> "Place":
        """A place, as soon as it is the turn of the caller (`CALLER`)."""
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return Place(self)
        share, turn = CALLER.get(), asyncio.get_running_loop().create_future()
        self._waiting.push(share, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.free()  # it was its turn in the moment of the cancellation
            else:
                self._waiting.discard(share, turn)
            raise
        return Place(self)

    def take(self) -> None:
        """A place for a call that has given up its own and was answered now, even if there is none."""
        self._free -= 1

    def free(self) -> None:
        self._free += 1
        while self._free > 0 and self._waiting:
            turn = self._waiting.pop()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)


class Place:
    """Given up for a while when the answer is long in coming, and left for good once."""

    def __init__(self, room: Room) -> None:
        self._room: Room | None = room
        self._held = True
        self._timer = asyncio.get_running_loop().call_later(HELD_S, self._give_up)

    def answered(self) -> None:
        """From now until it is left, the answer is waiting to be stored."""
        self._timer.cancel()
        if not self._held and self._room is not None:
            self._room.take()
            self._held = True

    def leave(self) -> None:
        self._timer.cancel()
        self._give_up()
        self._room = None

    def _give_up(self) -> None:
        if self._held and self._room is not None:
            self._held = False
            self._room.free()
