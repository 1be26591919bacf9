"""How many calls of an endpoint are in flight or not stored at once, and whose turn it is among those that wait."""

import asyncio

from app.llm.fair import CALLER, FairQueue

HELD_S = 1.0
"""A call holds its place this long at most: one that waits for its next attempt must not keep others from calling."""


class Rooms:
    """The places of one endpoint, taken in the order of `FairQueue`: in any other a run's waiting cells would be ahead of
    those that matter more."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    async def enter(self) -> "Room":
        """Waits for the turn of the caller (`CALLER`)."""
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return Room(self)
        share, turn = CALLER.get(), asyncio.get_running_loop().create_future()
        self._waiting.push(share, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.left()  # it was its turn in the moment of the cancellation
            else:
                self._waiting.discard(share, turn)
            raise
        return Room(self)

    def left(self) -> None:
        while self._waiting:
            turn = self._waiting.pop()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Room:
    """A place among the calls of an endpoint, left once."""

    def __init__(self, rooms: Rooms | None) -> None:
        self._rooms = rooms
        self._timer = asyncio.get_running_loop().call_later(HELD_S, self.leave) if rooms is not None else None

    def leave(self) -> None:
        if self._rooms is not None and self._timer is not None:
            self._timer.cancel()
            self._rooms.left()
            self._rooms = None
