"""Work that is done again and again as long as a process lives."""

import asyncio

PATIENCE_S = 10.0


async def told_to_end(end: asyncio.Event, after_s: float) -> bool:
    """Waits so long; whether `end` was set by then."""
    try:
        await asyncio.wait_for(end.wait(), after_s)
    except TimeoutError:
        return False
    return True


async def finish(task: asyncio.Task[None] | None) -> None:
    """Waits for a task that was told to end: cancelled in the middle of a statement it would lose its connection."""
    if task is None:
        return
    await asyncio.wait([task], timeout=PATIENCE_S)
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
