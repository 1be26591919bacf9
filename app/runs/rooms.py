"""How many calls of an endpoint may be in flight, or answered and not stored: what a killed process asks for again."""

import asyncio

HELD_S = 1.0
"""A call holds its place this long at most before it is answered: one that waits for its next attempt must not keep others
from calling."""


class Room:
    """Places for the calls of one endpoint in one process. `None` places never run out."""

    def __init__(self, places: int | None) -> None:
        self._free = None if places is None else asyncio.Semaphore(places)
        self._owed = 0

    async def enter(self) -> "Place":
        """A place, as soon as one is free."""
        if self._free is not None:
            await self._free.acquire()
        return Place(self)

    def _take(self) -> None:
        """A place for a call that has given up its own and was answered now: whoever leaves next leaves it to this one."""
        self._owed += 1

    def _free_one(self) -> None:
        if self._owed:
            self._owed -= 1
        elif self._free is not None:
            self._free.release()


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
            self._room._take()  # noqa: SLF001 - the other half of this class
            self._held = True

    def leave(self) -> None:
        self._timer.cancel()
        self._give_up()
        self._room = None

    def _give_up(self) -> None:
        if self._held and self._room is not None:
            self._held = False
            self._room._free_one()  # noqa: SLF001 - the other half of this class
