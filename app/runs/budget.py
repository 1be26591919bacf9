"""A run's budget: reserved before a call and settled after it, so that calls in flight together cannot overspend."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

DEFAULT_ANSWER_TOKENS = 512
BYTES_PER_TOKEN = 3
"""A cautious rate for reservations: most tokenisers make fewer tokens than one in three bytes."""


def most_nano(size: int, params: Mapping[str, Any], input_usd: float, output_usd: float) -> int:
    """Nano-dollars that a call of `size` bytes may cost at most, at prices per million tokens."""
    longest = params.get("max_completion_tokens") or params.get("max_tokens") or DEFAULT_ANSWER_TOKENS
    return int((size / BYTES_PER_TOKEN * input_usd + int(longest) * output_usd) * 1_000)


class BudgetSpentError(Exception):
    """The next call does not fit any more."""


class Budget(Protocol):
    """What a run's calls are paid from, in nano-dollars. `limit` None never refuses."""

    limit: int | None

    async def reserve(self, amount: int) -> None:
        """Sets `amount` aside.

        While calls are in flight that may turn out cheaper than reserved, it waits for them; when none is, and the amount
        still does not fit, it raises `BudgetSpentError`.
        """
        ...

    def settle(self, reserved: int, cost: int) -> None:
        """Replaces what was reserved by what it cost; 0 when the call was not made or not charged."""
        ...

    async def give_back(self) -> None:
        """What no call in flight needs is free for other processes."""
        ...


class LocalBudget:
    """That of a run which one process alone works on."""

    def __init__(self, limit: int | None, spent: int = 0) -> None:
        self.limit = limit
        self.spent = spent
        self.reserved = 0
        self._settled = asyncio.Event()

    async def reserve(self, amount: int) -> None:
        if self.limit is None:
            return
        while self.spent + self.reserved + amount > self.limit:
            if self.reserved == 0:
                raise BudgetSpentError
            self._settled.clear()
            await self._settled.wait()
        self.reserved += amount

    def settle(self, reserved: int, cost: int) -> None:
        if self.limit is None:
            return
        self.reserved -= reserved
        self.spent += cost
        self._settled.set()

    async def give_back(self) -> None:
        """Nobody else pays from it."""
