"""How fast and how much at once an endpoint is called."""

import asyncio
from time import monotonic
from typing import Protocol

from app.llm.fair import CALLER, FairQueue, Share
from app.llm.schemas import EndpointSpec

__all__ = ["CALLER", "Limiter", "LocalLimits", "LocalRate", "Share", "Slots", "Turns"]


class LocalRate:
    """Generic cell rate algorithm: `per_minute` spread evenly, one second's worth at once (ITU-T I.371)."""

    def __init__(self, per_minute: float) -> None:
        self._interval = 60.0 / per_minute
        self._burst = max(1.0, per_minute / 60.0)
        self._arrival = 0.0

    def wait_s(self) -> float:
        """After how many seconds the next amount, however large, may be used."""
        return max(0.0, self._arrival - monotonic() - (self._burst - 1.0) * self._interval)

    def take(self, amount: float) -> None:
        self._arrival = max(self._arrival, monotonic()) + amount * self._interval

    def settle(self, difference: float) -> None:
        """Corrects an earlier `take` by `difference` once the true amount is known."""
        self._arrival += difference * self._interval


class _Waiting:
    """A call that waits for its turn."""

    __slots__ = ("started", "tokens")

    def __init__(self, started: asyncio.Future[None], tokens: float) -> None:
        self.started = started
        self.tokens = tokens


class Turns:
    """Calls to one endpoint: at most `capacity()` in flight, none while the endpoint rests or a rate is used up.

    Waiting calls are served in the order of `FairQueue`. Nothing is taken for a call before its turn, so one that comes later
    and matters more is never behind what an earlier one reserved; a call that pauses before its next attempt takes part in
    nothing.
    """

    def __init__(self) -> None:
        self.in_use = 0
        self._waiting: FairQueue[_Waiting] = FairQueue()
        self._paused_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._held = False

    def hold(self) -> None:
        """From now on it is nobody's turn."""
        self._held = True

    def capacity(self) -> int:
        """Calls in flight at most, now."""
        raise NotImplementedError

    async def acquire(self, tokens: float = 0.0) -> None:
        """Waits for the turn of the caller (`CALLER`) with a call that may use `tokens`."""
        if not (self._held or self._waiting) and self.in_use < self.capacity() and self._wait_s(tokens) == 0.0:
            self._start(tokens)
            return
        share = CALLER.get()
        waiting = _Waiting(asyncio.get_running_loop().create_future(), tokens)
        self._waiting.push(share, waiting)
        self._serve()
        try:
            await waiting.started
        except asyncio.CancelledError:
            if waiting.started.done() and not waiting.started.cancelled():
                self.release()  # it was its turn in the moment of the cancellation
            else:
                self._waiting.discard(share, waiting)
            raise

    def release(self) -> None:
        """A call has ended."""
        self.in_use -= 1
        self._serve()

    def succeeded(self, started_at: float) -> None:
        """A call that began at `started_at` (monotonic) was answered."""
        raise NotImplementedError

    def refused(self, started_at: float, pause_s: float) -> None:
        """The endpoint refused a call that began at `started_at`: fewer at once, and none at all for `pause_s`."""
        raise NotImplementedError

    def settle(self, difference: float) -> None:
        """Corrects the tokens of an earlier call by `difference` once what it used is known."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rate_wait_s(self, tokens: float) -> float:
        """Seconds until the rates allow a call with `tokens`; infinity when something else will call `_serve`."""
        raise NotImplementedError

    def _take(self, tokens: float) -> None:
        """Counts a call that starts now."""
        raise NotImplementedError

    def _wait_s(self, tokens: float) -> float:
        return max(0.0, self._paused_until - monotonic(), self._rate_wait_s(tokens))

    def _start(self, tokens: float) -> None:
        self.in_use += 1
        self._take(tokens)

    def _serve(self) -> None:
        """Starts the calls whose turn it is, and comes back when the next one may start."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while not self._held and self._waiting and self.in_use < self.capacity():
            tokens = self._waiting.peek().tokens
            wait = self._wait_s(tokens)
            if wait > 0.0:
                if wait != float("inf"):
                    self._timer = asyncio.get_running_loop().call_later(wait, self._serve)
                return
            waiting = self._waiting.pop()
            if not waiting.started.done():
                self._start(tokens)
                waiting.started.set_result(None)


class Slots(Turns):
    """The turns of one process: at most `most` in flight, halved when the endpoint says that it is too much, grown again by
    one per round.

    Additive increase, multiplicative decrease (Chiu and Jain 1989). Calls that were on their way before the last decrease
    tell nothing new, so a burst of refusals counts once.
    """

    def __init__(self, most: int, rpm: float | None = None, tpm: float | None = None) -> None:
        super().__init__()
        self.most = most
        self.limit = float(most)
        self._requests = LocalRate(rpm) if rpm else None
        self._tokens = LocalRate(tpm) if tpm else None
        self._decreased_at = float("-inf")

    def capacity(self) -> int:
        return int(self.limit)

    def succeeded(self, started_at: float) -> None:
        if self.limit < self.most and started_at > self._decreased_at:
            self.limit = min(float(self.most), self.limit + 1.0 / self.limit)

    def refused(self, started_at: float, pause_s: float) -> None:
        now = monotonic()
        if started_at > self._decreased_at:
            self.limit = max(1.0, self.limit / 2.0)
            self._decreased_at = now
        self._paused_until = max(self._paused_until, now + pause_s)

    def settle(self, difference: float) -> None:
        if self._tokens is not None:
            self._tokens.settle(difference)

    def _rate_wait_s(self, tokens: float) -> float:
        wait = self._requests.wait_s() if self._requests is not None else 0.0
        return max(wait, self._tokens.wait_s()) if self._tokens is not None else wait

    def _take(self, tokens: float) -> None:
        if self._requests is not None:
            self._requests.take(1.0)
        if self._tokens is not None:
            self._tokens.take(tokens)


class Limiter(Protocol):
    """Where the turns of an endpoint come from: this process alone, or what all processes share."""

    def turns(self, spec: EndpointSpec) -> Turns: ...


class LocalLimits:
    """For one process that makes all the calls."""

    def turns(self, spec: EndpointSpec) -> Turns:
        return Slots(spec.limits.max_concurrency, spec.limits.rpm, spec.limits.tpm)
