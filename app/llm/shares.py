"""How processes divide an endpoint's limits: arithmetic alone, done by each of them under the lock of the endpoint's row."""

from collections.abc import Mapping
from math import floor
from typing import NamedTuple

import msgspec

LEASE_S = 15.0
"""A process that was not seen for so long is taken for dead. It stops by itself when it could not say so for two thirds."""
AHEAD_S = 0.4
"""How far ahead of its time a process may be given what a rate allows; longer than the time between two exchanges."""
BURST_S = 0.3
"""What a rate allows at once, as seconds of it. With what is kept ahead, less than the second that one process may have."""
_TURN_S = 2.0


class State(msgspec.Struct):
    """The endpoint's row; moments in seconds by the database's clock."""

    concurrency: float
    decreased_at: float = 0.0
    paused_until: float = 0.0
    requests_arrival: float = 0.0
    tokens_arrival: float = 0.0
    synced_at: float = 0.0


class Holding(NamedTuple):
    """Another process that lives."""

    granted: int
    wanted: int


class Report(NamedTuple):
    """What a process says of its calls. `refused_s` is how long ago the newest call that was refused began, `answered` how
    many were answered that began after the last decrease."""

    in_use: int
    wanted: int
    answered: int = 0
    refused_s: float | None = None
    pause_s: float = 0.0


class Reserved(NamedTuple):
    """A part of a rate: `amount` from the moment `start` on, one per interval; all of it is used up at `end`."""

    start: float
    amount: float
    end: float


def adapt(state: State, report: Report, now: float, most: int) -> None:
    """Additive increase, multiplicative decrease, as in `Slots`, for all processes together."""
    state.concurrency = min(state.concurrency, float(most))
    if report.refused_s is not None and now - report.refused_s > state.decreased_at:
        state.concurrency = max(1.0, state.concurrency / 2.0)
        state.decreased_at = now
    elif report.answered and state.concurrency < most:
        state.concurrency = min(float(most), state.concurrency + report.answered / state.concurrency)
    state.paused_until = max(state.paused_until, now + report.pause_s)


def granted(limit: int, me: str, report: Report, others: Mapping[str, Holding], now: float) -> tuple[int, int]:
    """Calls that process `me` may have in flight, and how many of `limit` nobody holds then.

    Its part is max-min fair by what all want, and some of what nobody wants, so that a next call need not ask; the rest stays
    for who comes next. What others hold is theirs until they give it back, so the sum is never above `limit` unless it was
    before. Where there is less than one for each, the processes take turns.
    """
    wants = {name: other.wanted for name, other in others.items()} | {me: report.wanted}
    parts, spare = max_min(limit, wants, int(now / _TURN_S))
    free = limit - sum(other.granted for other in others.values())
    mine = max(0, min(parts[me] + spare // (len(wants) + 1), free))
    return mine, free - max(mine, report.in_use)


def max_min(limit: int, wants: Mapping[str, int], turn: int) -> tuple[dict[str, int], int]:
    """Max-min fair parts of `limit`, and what is left. Who gets the last odd ones depends on `turn`."""
    names = sorted(wants)
    first = turn % len(names)
    hungry = [name for name in names[first:] + names[:first] if wants[name] > 0]
    parts = dict.fromkeys(names, 0)
    while limit > 0 and hungry:
        each = limit // len(hungry)
        for name in hungry if each else hungry[:limit]:
            more = min(max(each, 1), wants[name] - parts[name])
            parts[name] += more
            limit -= more
        hungry = [name for name in hungry if parts[name] < wants[name]]
    return parts, limit


def reserve(
    arrival: float, now: float, per_minute: float, asked: float, first: float, *, whole: bool
) -> tuple[float, Reserved | None]:
    """The rate's next arrival time, and what may be used within `AHEAD_S`: `first` at least, if it may begin by then, and at
    most `asked`. With `whole`, whole ones only and `first` is one. Generic cell rate algorithm."""
    interval = 60.0 / per_minute
    arrival = max(arrival, now)
    start = arrival - (max(1.0, per_minute / 60.0 * BURST_S) - 1.0) * interval
    room = (now + AHEAD_S - start) / interval
    if asked <= 0.0 or room < 0.0:
        return arrival, None
    amount = min(asked, floor(room) + 1.0 if whole else max(first, room))
    end = arrival + amount * interval
    return end, Reserved(start, amount, end)


def shifted(state: State, by: float) -> None:
    """Moves every moment: the database's clock was set back, and what was a second ahead still is."""
    for field in ("decreased_at", "paused_until", "requests_arrival", "tokens_arrival", "synced_at"):
        setattr(state, field, getattr(state, field) + by)
