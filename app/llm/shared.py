"""Limits that all processes on one PostgreSQL share: a few times a second each process that calls an endpoint exchanges what it
needs for what it may, and the calls themselves cost the database nothing."""

import asyncio
import logging
import random
from math import ceil, inf
from time import monotonic

from app.kit.db import Sessions
from app.llm.allowance import Allowance
from app.llm.limits import Turns
from app.llm.repository import SharedRows
from app.llm.schemas import EndpointSpec
from app.llm.shares import LEASE_S, Holding, Report, Reserved, State, adapt, granted, reserve, shifted

logger = logging.getLogger(__name__)

EVERY_S = 0.25
HUNGRY_S = 0.1
SOONEST_S = 0.02
LINGER_S = 1.0
MOST_PATIENCE_S = 2.0
TIMEOUT_S = 5.0
_MORE = 1.5  # calls may begin faster than since the last exchange; what is not used goes back with the next


class SharedLimits:
    """For the processes of one PostgreSQL database. `process` must be another one in each; a process that was not heard of for
    `lease_s` has nothing in flight any more."""

    def __init__(self, sessions: Sessions, process: str, *, lease_s: float = LEASE_S) -> None:
        self._sessions = sessions
        self._process = process
        self._lease_s = lease_s

    def turns(self, spec: EndpointSpec) -> "SharedTurns":
        return SharedTurns(self._sessions, self._process, self._lease_s, spec)


class SharedTurns(Turns):
    """This process's part of an endpoint's limits.

    What is granted is lowered here before the database knows and raised here after it knows, so the sum over all processes
    holds at every moment. Without the database calls wait: a grant lapses here before it lapses for the others.
    """

    def __init__(self, sessions: Sessions, process: str, lease_s: float, spec: EndpointSpec) -> None:
        super().__init__()
        limits = spec.limits
        self.most = limits.max_concurrency
        self.exchanges = 0
        self._sessions = sessions
        self._endpoint = spec.digest
        self._process = process
        self._lease_s = lease_s
        self._requests = Allowance(limits.rpm, whole=True) if limits.rpm else None
        self._tokens = Allowance(limits.tpm, whole=False) if limits.tpm else None
        self._granted = 0
        self._room = 1
        self._lapses_at = -inf
        self._waiting_tokens = 0.0
        self._answered = 0
        self._decreased_at = -inf
        self._refused_at: float | None = None
        self._rest_until = -inf
        self._used_at = -inf
        self._hurry = asyncio.Event()
        self._exchanging: asyncio.Task[None] | None = None
        self._closed = False

    def capacity(self) -> int:
        return self._granted if monotonic() < self._lapses_at else 0

    async def acquire(self, tokens: float = 0.0) -> None:
        self._waiting_tokens += tokens
        try:
            await super().acquire(tokens)
        finally:
            self._waiting_tokens -= tokens

    def succeeded(self, started_at: float) -> None:
        if started_at > self._decreased_at:
            self._answered += 1

    def refused(self, started_at: float, pause_s: float) -> None:
        now = monotonic()
        if started_at > self._decreased_at:
            self._granted = max(1, self._granted // 2)  # what is lent here, the next exchange halves for all
            self._decreased_at = now
            self._refused_at = started_at
        self._paused_until = max(self._paused_until, now + pause_s)
        self._rest_until = max(self._rest_until, now + pause_s)
        self._ask(soon=True)

    def settle(self, difference: float) -> None:
        if self._tokens is not None:
            self._tokens.settled += difference
            self._ask(soon=False)

    async def close(self) -> None:
        """Gives back what is held; what cannot be given back lapses by itself."""
        await super().close()
        self._closed = True
        task, self._exchanging = self._exchanging, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            async with asyncio.timeout(MOST_PATIENCE_S):
                await self._exchange(leaving=True)
        except Exception as error:  # noqa: BLE001 - the others take it over after the lease
            logger.warning("limits of %s were not given back: %s", self._endpoint, error)

    def _rate_wait_s(self, tokens: float) -> float:
        wait = self._requests.wait_s(1.0) if self._requests is not None else 0.0
        return max(wait, self._tokens.wait_s(tokens)) if self._tokens is not None else wait

    def _take(self, tokens: float) -> None:
        self._used_at = monotonic()
        if self._requests is not None:
            self._requests.take(1.0)
        if self._tokens is not None:
            self._tokens.take(tokens)

    def _serve(self) -> None:
        super()._serve()
        if self._waiting:
            if self.in_use >= self.capacity():
                self._ask(soon=self._room > 0)
            else:
                rates = (self._requests, 1.0), (self._tokens, self._waiting.peek().tokens)
                lacking = [rate for rate, amount in rates if rate is not None and rate.wait_s(amount) == inf]
                self._ask(soon=any(not rate.exhausted for rate in lacking))

    def _ask(self, *, soon: bool) -> None:
        """Sees to it that there is an exchange, `soon` if it can help now."""
        if self._closed:
            return
        if self._exchanging is None or self._exchanging.done():
            self._exchanging = asyncio.create_task(self._exchange_on())
        if soon:
            self._hurry.set()

    async def _exchange_on(self) -> None:
        """Exchanges as long as there are calls, and then gives everything back."""
        failures = 0
        while True:
            idle = not self._waiting and self.in_use == 0 and monotonic() - self._used_at > LINGER_S
            self._hurry.clear()
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await self._exchange(leaving=idle)
            except Exception as error:  # noqa: BLE001 - whatever it is, calls wait for what comes after it
                failures += 1
                if failures == 1:
                    logger.warning("limits of %s: the database gives none: %s", self._endpoint, error)
                await asyncio.sleep(random.uniform(0.5, 1.0) * min(MOST_PATIENCE_S, 0.1 * 2.0**failures))
                continue
            if failures:
                logger.info("limits of %s: the database answers again", self._endpoint)
                failures = 0
            self._serve()
            if idle and not self._waiting:
                return
            await asyncio.sleep(SOONEST_S)
            pause = HUNGRY_S if self._waiting and self.capacity() == 0 else EVERY_S
            try:
                async with asyncio.timeout(pause * random.uniform(0.7, 1.1) - SOONEST_S):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    async def _exchange(self, *, leaving: bool) -> None:
        if leaving:
            self._granted, self._room = 0, 1
            for rate in (self._requests, self._tokens):
                if rate is not None:
                    rate.taken = 0.0
        asked_at = monotonic()
        async with self._sessions.begin() as session:
            rows = SharedRows(session, self._endpoint, self._process)
            state = await rows.lock(self.most)
            now, shares = await rows.shares()
            heard_at = monotonic()
            if now < state.synced_at:  # the database's clock was set back
                by = now - state.synced_at
                shifted(state, by)
                await rows.shift(by)
                shares = [share._replace(seen_at=share.seen_at + by) for share in shares]
            before = now - self._lease_s
            if leaving or any(share.seen_at < before for share in shares):
                await rows.forget(before, me_too=leaving)
            # From here to the statement that stores it nothing else runs in this process.
            refused_at = self._refused_at
            report = self._report(heard_at)
            me = self._process
            others = {
                s.process: Holding(s.granted, s.wanted) for s in shares if s.process != me and s.seen_at >= before
            }
            adapt(state, report, now, self.most)
            mine, room = granted(int(state.concurrency), me, report, others, now)
            mine = 0 if leaving else mine
            self._granted = min(self._granted, mine)
            offset = heard_at - now
            given = [self._reserve(state, rate, mine, now) for rate in (self._requests, self._tokens)]
            state.synced_at = now
            await rows.store(state, max(mine, self.in_use), report.wanted, leaving=leaving)
        self.exchanges += 1
        self._granted, self._room = mine, room
        self._lapses_at = asked_at + self._lease_s * 2.0 / 3.0
        self._decreased_at = max(self._decreased_at, state.decreased_at + offset)
        self._paused_until = max(self._paused_until, state.paused_until + offset)
        self._answered -= report.answered
        if self._refused_at == refused_at:
            self._refused_at = None
        for rate, (settled, reserved) in zip((self._requests, self._tokens), given, strict=True):
            if rate is not None:
                rate.settled -= settled
                if reserved is not None:
                    rate.add(reserved, offset)

    def _report(self, now: float) -> Report:
        refused_s = None if self._refused_at is None else now - self._refused_at
        wanted = self.in_use + len(self._waiting)
        return Report(self.in_use, wanted, self._answered, refused_s, max(0.0, self._rest_until - now))

    def _reserve(self, state: State, rate: Allowance | None, mine: int, now: float) -> tuple[float, Reserved | None]:
        """What was settled, and what is reserved for the calls until the next exchange. What they will not need goes back."""
        if rate is None:
            return 0.0, None
        settled, interval, waiting = rate.settled, 60.0 / rate.per_minute, len(self._waiting)
        free = min(waiting, max(0, mine - self.in_use))
        expected = ceil(_MORE * rate.taken) if rate.whole else rate.taken
        need = expected + free * (1.0 if rate.whole else self._waiting_tokens / max(1, waiting))
        arrival = state.requests_arrival if rate.whole else state.tokens_arrival
        arrival += settled * interval - rate.give_back(need, now) * interval
        held, first = rate.held(), float(free > 0)
        if not rate.whole:
            first = max(0.0, self._waiting.peek().tokens - held) if free else 0.0
        asked = max(need - held, first if held < 1.0 or not rate.whole else 0.0)
        arrival, reserved = reserve(arrival, now, rate.per_minute, asked, first, whole=rate.whole)
        rate.taken = 0.0
        rate.exhausted = asked > (reserved.amount if reserved is not None else 0.0)
        if rate.whole:
            state.requests_arrival = arrival
        else:
            state.tokens_arrival = arrival
        return settled, reserved
