"""Rates and concurrency."""

import asyncio
from time import monotonic

import pytest

from app.llm.limits import LocalRate, Slots
from app.llm.retries import RetryPolicy
from app.llm.schemas import Limits
from app.llm.service import LLM
from tests.app.llm.canned import canned, completion, http
from tests.app.llm.conftest import ask, spec


async def test_a_rate_is_spread_evenly_after_its_first_second():
    rate = LocalRate(120.0)
    waits = []
    for _ in range(6):
        waits.append(rate.wait_s())
        rate.take(1.0)
    assert waits[:2] == [0.0, 0.0]
    assert waits[2:] == pytest.approx([0.5, 1.0, 1.5, 2.0], abs=0.05)


async def test_a_reservation_that_was_too_large_is_given_back():
    rate = LocalRate(60.0)
    rate.take(100.0)
    rate.settle(-99.0)
    assert rate.wait_s() == pytest.approx(1.0, abs=0.05)


async def test_requests_per_minute_are_kept():
    llm = LLM({}, allow_loopback=True)
    async with canned(http(200, completion())) as server:
        endpoint = spec(server.base_url, limits=Limits(rpm=600))
        started = monotonic()
        await asyncio.gather(*(llm.call(endpoint, ask()) for _ in range(15)))
        assert 0.45 <= monotonic() - started < 3.0  # ten at once, five more at ten a second
    await llm.close()


async def test_tokens_per_minute_are_kept_and_settled_by_usage():
    llm = LLM({}, allow_loopback=True)
    async with canned(http(200, completion())) as server:  # 15 tokens by its own account
        endpoint = spec(server.base_url, limits=Limits(tpm=6000))
        started = monotonic()
        for _ in range(5):
            await llm.call(endpoint, ask(params={"max_tokens": 5}))
        assert monotonic() - started < 0.6
        await llm.call(endpoint, ask(params={"max_tokens": 1000}))
        await llm.call(endpoint, ask(params={"max_tokens": 1000}))
        assert monotonic() - started < 2.0
    await llm.close()


async def test_a_burst_of_refusals_halves_concurrency_once_and_successes_grow_it_again():
    slots = Slots(64)
    started = monotonic()
    for _ in range(64):
        slots.refused(started, 0.0)
    assert slots.limit == 32.0
    slots.refused(monotonic(), 0.0)
    assert slots.limit == 16.0
    now = monotonic()
    for _ in range(16):
        slots.succeeded(started)
    assert slots.limit == 16.0
    for _ in range(17):
        slots.succeeded(now)
    assert 16.9 < slots.limit < 17.1
    for _ in range(20):
        slots.refused(monotonic(), 0.0)
    assert slots.limit == 1.0


async def test_waiting_calls_are_served_in_order():
    slots = Slots(1)
    order: list[int] = []

    async def call(number: int) -> None:
        await slots.acquire()
        order.append(number)
        await asyncio.sleep(0)
        slots.release()

    await asyncio.gather(*(call(n) for n in range(10)))
    assert order == list(range(10))
    assert slots.in_use == 0


async def test_cancelling_waiters_in_any_order_loses_no_slot():
    for cancelled in ([0], [1, 2], [0, 1, 2, 3], [3, 2, 1, 0]):
        slots = Slots(2)
        await slots.acquire()
        await slots.acquire()
        waiters = [asyncio.create_task(slots.acquire()) for _ in range(4)]
        await asyncio.sleep(0)
        slots.release()
        for i in cancelled:
            waiters[i].cancel()
        results = await asyncio.wait_for(_settle(slots, waiters), 1.0)
        assert slots.in_use == 0, results


async def _settle(slots: Slots, waiters: list[asyncio.Task[None]]) -> int:
    slots.release()
    served = 0
    for waiter in waiters:
        try:
            await waiter
        except asyncio.CancelledError:
            continue
        served += 1
        slots.release()
    return served


async def test_a_server_with_a_lower_limit_than_ours_gets_every_call_answered_in_the_end():
    """429s beyond 5 at once: concurrency adapts, and no call is lost."""
    waiting = 0

    async def limited(writer: asyncio.StreamWriter) -> None:
        nonlocal waiting
        if waiting >= 5:
            writer.write(http(429, "{}"))
        else:
            waiting += 1
            await asyncio.sleep(0.01)
            waiting -= 1
            writer.write(http(200, completion()))
        await writer.drain()

    llm = LLM({}, allow_loopback=True, retries=RetryPolicy(base_s=0.02, most_s=0.2))
    async with canned(limited) as server:
        replies = await asyncio.gather(
            *(llm.call(spec(server.base_url, limits=Limits(max_concurrency=40)), ask()) for _ in range(200))
        )
    assert len(replies) == 200
    assert llm.calls < 2 * 200
    await llm.close()
