"""What a process holds of a rate that it shares."""

from collections import deque
from math import ceil, inf
from time import monotonic

from app.llm.shares import Reserved

KEPT_S = 0.3


class _Batch:
    """`amount` from `start` (monotonic) on, one per interval; `end` is when all is used up, by the database's clock. What may
    be used at once begins before it was `given`."""

    __slots__ = ("amount", "end", "given", "start")

    def __init__(self, start: float, amount: float, end: float) -> None:
        self.given = monotonic()
        self.start = start
        self.amount = amount
        self.end = end


class Allowance:
    """Parts of a rate of `per_minute`, reserved ahead for this process. With `whole`, what is not used within `KEPT_S` of its
    moment is lost, so that nothing is saved up; tokens are kept for a call that waits, however long it waits for a slot."""

    def __init__(self, per_minute: float, *, whole: bool) -> None:
        self.per_minute = per_minute
        self.whole = whole
        self.taken = 0.0
        """Since the last exchange."""
        self.settled = 0.0
        """What earlier calls used more than they said, since the last exchange."""
        self.exhausted = False
        """Whether the last exchange gave less than was asked for."""
        self._interval = 60.0 / per_minute
        self._batches: deque[_Batch] = deque()

    def held(self) -> float:
        if self.whole:
            self._forget_old()
        return sum(batch.amount for batch in self._batches)

    def wait_s(self, amount: float) -> float:
        """Seconds until `amount` may be used; infinity when more must be reserved."""
        if self.whole:
            self._forget_old()
        now = monotonic()
        for batch in self._batches:
            amount -= batch.amount
            if amount <= 1e-6:
                return max(0.0, batch.start - now)
        return inf

    def take(self, amount: float) -> None:
        self.taken += amount
        while amount > 1e-6 and self._batches:
            batch = self._batches[0]
            used = min(amount, batch.amount)
            amount -= used
            batch.amount -= used
            batch.start += used * self._interval
            if batch.amount <= 1e-6:
                self._batches.popleft()

    def add(self, reserved: Reserved, offset: float) -> None:
        """`offset` leads from the database's clock to the monotonic one."""
        self._batches.append(_Batch(reserved.start + offset, reserved.amount, reserved.end))

    def give_back(self, keep: float, now: float) -> float:
        """Lets go what is held beyond `keep`, and returns how much of it others may have instead: all that is not past.
        `now` is by the database's clock."""
        excess, returned = self.held() - keep, 0.0
        if self.whole:
            excess = float(ceil(excess))
        while excess > 1e-6 and self._batches:
            batch = self._batches[-1]
            less = min(excess, batch.amount)
            returned += min(less, max(0.0, (batch.end - now) / self._interval))
            excess -= less
            batch.amount -= less
            batch.end -= less * self._interval
            if batch.amount <= 1e-6:
                self._batches.pop()
        return returned

    def _forget_old(self) -> None:
        old = monotonic() - KEPT_S
        while self._batches and max(self._batches[0].start, self._batches[0].given) < old:
            batch = self._batches[0]
            lost = min(batch.amount, float(ceil((old - batch.start) / self._interval)))
            batch.amount -= lost
            batch.start += lost * self._interval
            if batch.amount <= 1e-6:
                self._batches.popleft()
