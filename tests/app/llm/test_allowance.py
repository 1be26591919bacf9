"""What a process holds of a rate that it shares."""

import asyncio
from math import inf
from time import monotonic

import pytest

from app.llm.allowance import KEPT_S, Allowance
from app.llm.shares import Reserved, reserve


@pytest.mark.parametrize("per_minute", [1, 10, 60, 600, 60_000, 6_000_000])
def test_what_was_just_given_can_be_used_at_any_rate(per_minute: float) -> None:
    allowance = Allowance(per_minute, whole=True)
    assert allowance.wait_s(1.0) == inf
    _, reserved = reserve(0.0, monotonic(), per_minute, 1.0, 1.0, whole=True)
    assert reserved is not None
    allowance.add(reserved, 0.0)
    assert allowance.wait_s(1.0) == 0.0
    allowance.take(1.0)
    assert allowance.wait_s(1.0) == inf


async def test_requests_are_not_saved_up_and_tokens_wait_with_their_call() -> None:
    requests, tokens = Allowance(6000, whole=True), Allowance(6000, whole=False)
    for allowance in (requests, tokens):
        allowance.add(Reserved(monotonic(), 10.0, monotonic() + 0.1), 0.0)
    await asyncio.sleep(KEPT_S + 0.15)
    assert requests.held() == 0.0
    assert tokens.held() == 10.0


def test_others_get_back_only_what_is_not_past() -> None:
    allowance = Allowance(60, whole=True)
    now = monotonic()
    allowance.add(Reserved(now, 10.0, now + 10.0), 0.0)
    assert allowance.give_back(4.0, now + 7.0) == pytest.approx(3.0)
    assert allowance.held() == 4.0
