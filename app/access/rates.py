"""How many requests a key may make: a bucket of tokens for each, in this process.

`RateLimit` and `RateLimit-Policy` are draft-ietf-httpapi-ratelimit-headers. Litestar's own middleware keeps a list of all
requests of the last minute for each key and writes it anew with every request; a bucket is two numbers. Several processes
count for themselves: behind `n` of them a key has up to `n` times the limit.
"""

import math
from typing import Any, NamedTuple

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.clock import Clock
from app.kit.errors import RateLimitedError, UnauthorizedError

UNMETERED = "unmetered"
"""The route option of probes: they are not counted."""
WINDOW_S = 60
MOST_BUCKETS = 10_000


class Left(NamedTuple):
    """What is left of a bucket: requests, seconds until it is full, and how long to wait for one when there is none."""

    requests: int
    full_in_s: int
    wait_s: int


class Rates:
    """The buckets. Each holds `per_minute` requests at most, and fills up again as fast as that."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self.policy = f'"default";q={per_minute};w={WINDOW_S}'.encode()
        self._most = float(per_minute)
        self._per_s = per_minute / WINDOW_S
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, who: str) -> Left:
        """One request of `who`; `wait_s` above 0 says that there was none left."""
        now = self._clock().timestamp()
        held, at = self._buckets.get(who, (self._most, now))
        held = min(self._most, held + max(0.0, now - at) * self._per_s)
        wait = 0 if held >= 1 else math.ceil((1 - held) / self._per_s)
        held -= 0 if wait else 1
        if who not in self._buckets and len(self._buckets) >= MOST_BUCKETS:
            self._tidy(now)
        self._buckets[who] = (held, now)
        return Left(int(held), math.ceil((self._most - held) / self._per_s), wait)

    def _tidy(self, now: float) -> None:
        """Forgets the buckets that are full again, or all when somebody fills them faster than that."""
        full = [who for who, (held, at) in self._buckets.items() if held + (now - at) * self._per_s >= self._most]
        for who in full or list(self._buckets):
            del self._buckets[who]


class RateLimit(ASGIMiddleware):
    """Counts each request for its key, or for the client's address where there is no valid one."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = UNMETERED

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        # The guard trusts what stands here, and a server may hand over one dict for many requests.
        scope["state"].pop("caller", None)
        rates: Rates | None = scope["litestar_app"].state.rates
        if rates is None:
            return await next_app(scope, receive, send)
        left = rates.take(await _who(scope))
        headers = [
            (b"ratelimit-policy", rates.policy),
            (b"ratelimit", f'"default";r={left.requests};t={left.full_in_s}'.encode()),
        ]
        if left.wait_s:
            error = RateLimitedError(
                "too many requests in a minute; see Retry-After for when to come back", left.wait_s
            )
            error.headers |= {name.decode(): value.decode() for name, value in headers}
            raise error

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        return await next_app(scope, receive, told)


async def _who(scope: Scope) -> str:
    """Only a key that is valid has a bucket: else made-up ones would be a way round the limit, or use up another's."""
    client: Any = scope.get("client")
    address = f"address {client[0] if client else 'local'}"
    for name, value in scope["headers"]:
        if name == b"authorization":
            try:
                caller = await scope["litestar_app"].state.authenticator.caller(value.decode("latin-1"))
            except UnauthorizedError:
                return address
            scope["state"]["caller"] = caller  # for the guard, which need not ask again
            return f"key {caller.key_id}"
    return address
