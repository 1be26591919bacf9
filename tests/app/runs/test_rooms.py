import asyncio

import pytest

from app.runs import rooms
from app.runs.rooms import Room


async def free(room: Room) -> bool:
    """Whether a place is to be had at once; it is left again."""
    try:
        place = await asyncio.wait_for(room.enter(), 0.02)
    except TimeoutError:
        return False
    place.leave()
    return True


async def test_no_more_calls_are_in_flight_or_not_stored_than_there_are_places() -> None:
    room = Room(2)
    first, second = await room.enter(), await room.enter()
    first.answered()
    assert not await free(room)
    first.leave()
    first.leave()  # once
    assert await free(room)
    second.leave()
    third, _ = await room.enter(), await room.enter()
    assert not await free(room)
    third.leave()
    assert await free(room)


async def test_a_call_that_waits_long_keeps_nobody_and_counts_again_once_it_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms, "HELD_S", 0.05)
    room = Room(1)
    slow = await room.enter()
    assert not await free(room)
    await asyncio.sleep(0.1)
    other = await room.enter()
    slow.answered()  # two are not stored now, and there is one place
    other.leave()
    assert not await free(room)
    slow.leave()
    assert await free(room)
