"""How fast and how much at once an endpoint is called."""

import asyncio
from collections import deque
from time import monotonic
from typing import Protocol


class Rate(Protocol):
    """A rate that calls are held to. In this process now; one shared by several processes takes its place behind this."""

    async def reserve(self, amount: float) -> float:
        """Counts `amount` and returns after how many seconds it may be used."""
        ...

    def settle(self, difference: float) -> None:
        """Corrects an earlier reservation by `difference` once the true amount is known."""
        ...


class LocalRate:
    """Generic cell rate algorithm: `per_minute` spread evenly, one second's worth at once (ITU-T I.371)."""

    def __init__(self, per_minute: float) -> None:
        self._interval = 60.0 / per_minute
        self._burst = max(1.0, per_minute / 60.0)
        self._arrival = 0.0

    async def reserve(self, amount: float) -> float:
        now = monotonic()
        arrival = max(self._arrival, now)
        self._arrival = arrival + amount * self._interval
        return max(0.0, arrival - now - (self._burst - 1.0) * self._interval)

    def settle(self, difference: float) -> None:
        self._arrival += difference * self._interval


class Slots:
    """Calls in flight: at most `most`, halved when the endpoint says that it is too much, grown again by one per round.

    Additive increase, multiplicative decrease (Chiu and Jain 1989). Calls that were on their way before the last decrease
    tell nothing new, so a burst of refusals counts once. Waiting calls are served in order.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.in_use = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._decreased_at = float("-inf")
        self._paused_until = 0.0

    async def acquire(self) -> None:
        """Waits for a slot, and then while the endpoint is paused."""
        if self._waiting or self.in_use >= int(self.limit):
            await self._wait()
        else:
            self.in_use += 1
        while (pause := self._paused_until - monotonic()) > 0:
            try:
                await asyncio.sleep(pause)
            except BaseException:
                self.release()
                raise

    def release(self) -> None:
        self.in_use -= 1
        while self._waiting and self.in_use < int(self.limit):
            waiting = self._waiting.popleft()
            if not waiting.done():
                self.in_use += 1
                waiting.set_result(None)

    def succeeded(self, started_at: float) -> None:
        """A call that began at `started_at` (monotonic) was answered."""
        if self.limit < self.most and started_at > self._decreased_at:
            self.limit = min(float(self.most), self.limit + 1.0 / self.limit)

    def refused(self, started_at: float, pause_s: float) -> None:
        """The endpoint refused a call that began at `started_at`: fewer at once, and none at all for `pause_s`."""
        now = monotonic()
        if started_at > self._decreased_at:
            self.limit = max(1.0, self.limit / 2.0)
            self._decreased_at = now
        self._paused_until = max(self._paused_until, now + pause_s)

    async def _wait(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release()  # it was granted in the moment of the cancellation
            elif future in self._waiting:
                self._waiting.remove(future)
            raise
