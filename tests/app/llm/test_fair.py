"""Whose turn it is."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic

from hypothesis import given
from hypothesis import strategies as st

from app.llm.fair import CALLER, HIGH, LOW, NORMAL, FairQueue, Share
from app.llm.limits import Slots
from app.llm.schemas import Limits
from app.llm.service import LLM
from tests.app.llm.canned import canned, completion, http, slowly
from tests.app.llm.conftest import ask, spec

SHARES = st.builds(Share, st.integers(0, 3), st.sampled_from("pq"), st.sampled_from("abc"))


@asynccontextmanager
async def opened() -> AsyncIterator[LLM]:
    llm = LLM({}, allow_loopback=True)
    try:
        yield llm
    finally:
        await llm.close()


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():  # noqa: ASYNC110 - what is waited for happens in a server
            await asyncio.sleep(0.005)


@contextmanager
def calling_for(share: Share) -> Iterator[None]:
    token = CALLER.set(share)
    try:
        yield
    finally:
        CALLER.reset(token)


@given(st.lists(st.one_of(SHARES, st.just("pop"), st.integers(0, 30)), max_size=60))
def test_the_next_is_of_the_highest_priority_and_in_the_order_of_its_run(steps: list[Share | str | int]) -> None:
    queue: FairQueue[int] = FairQueue()
    waiting: dict[int, Share] = {}
    for number, step in enumerate(steps):
        if isinstance(step, Share):
            queue.push(step, number)
            waiting[number] = step
        elif isinstance(step, int):
            known = waiting.pop(step, None)
            assert queue.discard(known or Share(1, "p", "a"), step) is (known is not None)
        elif waiting:
            item = queue.peek()
            assert queue.pop() == item
            share = waiting[item]
            assert share.priority == max(other.priority for other in waiting.values())
            assert item == min(other for other, theirs in waiting.items() if theirs == share)
            del waiting[item]
        assert len(queue) == len(waiting)


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.sampled_from("abc")), min_size=1, max_size=80))
def test_projects_take_turns_and_so_do_the_runs_of_one(pushed: list[tuple[str, str]]) -> None:
    queue: FairQueue[int] = FairQueue()
    for number, (project, run) in enumerate(pushed):
        queue.push(Share(NORMAL, project, run), number)
    left = Counter(pushed)
    served: Counter[str] = Counter()
    of_runs: Counter[tuple[str, str]] = Counter()
    while queue:
        project, run = pushed[queue.pop()]
        served[project] += 1
        of_runs[project, run] += 1
        left[project, run] -= 1
        for other in {name for (name, _), count in left.items() if count}:
            assert served[project] <= served[other] + 1
        for (name, other), count in left.items():
            if count and name == project:
                assert of_runs[project, run] <= of_runs[project, other] + 1


async def test_a_high_call_is_among_the_next_while_five_hundred_low_ones_wait() -> None:
    slots = Slots(4)
    order: list[str] = []

    async def call(name: str, share: Share) -> None:
        with calling_for(share):
            await slots.acquire()
            order.append(name)
            await asyncio.sleep(0.001)
            slots.release()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(500):
            tasks.create_task(call("low", Share(LOW, "p", "nightly")))
        await asyncio.sleep(0.01)
        before = len(order)
        tasks.create_task(call("high", Share(HIGH, "q", "ci")))
    assert order.index("high") <= before + 4
    assert slots.in_use == 0


async def test_a_call_that_matters_more_is_not_behind_what_others_wait_for_by_rate() -> None:
    async with opened() as llm, canned(http(200, completion())) as server:
        endpoint = spec(server.base_url, limits=Limits(rpm=1200))  # twenty at once, then one every 50 ms

        async def call(share: Share) -> None:
            with calling_for(share):
                await llm.call(endpoint, ask("low"))

        low = [asyncio.create_task(call(Share(LOW, "p", "nightly"))) for _ in range(200)]
        await until(lambda: len(server.requests) >= 22)
        before = len(server.requests)
        await llm.call(endpoint, ask("high"))
        asked = [request["messages"][0]["content"] for request in server.requests]
        assert asked.index("high") <= before + 5  # behind all of them would be 200
        for task in low:
            task.cancel()
        await asyncio.gather(*low, return_exceptions=True)


async def test_two_runs_of_two_projects_get_half_each_however_many_calls_each_has() -> None:
    async with opened() as llm, canned(slowly(http(200, completion()), 0.005)) as server:
        endpoint = spec(server.base_url, limits=Limits(max_concurrency=8))
        done: Counter[str] = Counter()

        async def call(share: Share) -> None:
            with calling_for(share):
                await llm.call(endpoint, ask())
            done[share.run] += 1

        first = [asyncio.create_task(call(Share(NORMAL, "p", "large"))) for _ in range(600)]
        second = [asyncio.create_task(call(Share(NORMAL, "q", "small"))) for _ in range(150)]
        await asyncio.gather(*second)
        assert 0.9 * 150 <= done["large"] <= 1.1 * 150 + 8
        for task in first:
            task.cancel()
        await asyncio.gather(*first, return_exceptions=True)


async def test_a_slow_endpoint_never_holds_up_a_fast_one() -> None:
    async with (
        opened() as llm,
        canned(slowly(http(200, completion()), 20.0)) as slow,
        canned(http(200, completion())) as fast,
    ):
        stuck = [
            asyncio.create_task(llm.call(spec(slow.base_url, limits=Limits(max_concurrency=2)), ask()))
            for _ in range(100)
        ]
        await asyncio.sleep(0.05)
        await asyncio.gather(*(llm.call(spec(fast.base_url), ask()) for _ in range(50)))
        assert not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


async def test_what_waits_for_its_next_attempt_holds_no_slot() -> None:
    async with opened() as llm, canned(http(500, "{}", retry_after="1"), http(200, completion())) as server:
        endpoint = spec(server.base_url, limits=Limits(max_concurrency=1))
        started = monotonic()
        failed = asyncio.create_task(llm.call(endpoint, ask()))
        await until(lambda: llm.calls == 1 and llm.in_flight == 0)
        await llm.call(endpoint, ask())
        assert not failed.done()
        await failed
        assert monotonic() - started >= 1.0
        assert llm.calls == 3
