"""One definition, two clients: what is asynchronous in one blocks in the other."""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncGenerator

import pytest
from promptward.core import Core
from promptward.twin import Async, Group, Mode, Portal, Sync, operation, streaming


class Numbers(Group[Mode]):
    @operation
    async def double(self, number: int) -> int:
        """Twice the number."""
        await asyncio.sleep(0)
        return 2 * number

    @streaming
    async def upto(self, end: int) -> AsyncGenerator[int, None]:
        try:
            for number in range(end):
                yield number
        finally:
            CLOSED.append(end)


CLOSED: list[int] = []


@pytest.fixture
def core() -> Core:
    return Core("http://test", None, None, 1.0)


async def test_taken_from_an_asynchronous_group_a_method_is_a_coroutine(core: Core) -> None:
    numbers: Numbers[Async] = Numbers(core)
    assert await numbers.double(2) == 4
    assert [n async for n in numbers.upto(3)] == [0, 1, 2]


def test_taken_from_a_blocking_group_it_returns_when_done(core: Core) -> None:
    portal = Portal()
    numbers: Numbers[Sync] = Numbers(core, portal)
    assert numbers.double(2) == 4
    assert list(numbers.upto(3)) == [0, 1, 2]
    portal.close()
    assert numbers.double(3) == 6  # a closed one starts again
    portal.close()


def test_leaving_a_blocking_stream_closes_the_asynchronous_one(core: Core) -> None:
    portal = Portal()
    numbers: Numbers[Sync] = Numbers(core, portal)
    for number in numbers.upto(17):
        if number == 3:
            break
    assert CLOSED[-1] == 17
    portal.close()


def test_documentation_stays_with_the_method() -> None:
    assert Numbers.double.__doc__ == "Twice the number."


def test_threads_may_share_a_blocking_group(core: Core) -> None:
    portal = Portal()
    numbers: Numbers[Sync] = Numbers(core, portal)
    found: list[int] = []
    threads = [threading.Thread(target=lambda n=n: found.append(numbers.double(n))) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [2 * n for n in range(20)]
    portal.close()


def test_an_interrupt_while_waiting_cancels_what_was_waited_for() -> None:
    portal = Portal()
    begun, cancelled = threading.Event(), threading.Event()

    async def long() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def interrupt() -> None:
        begun.wait()
        time.sleep(0.3)  # the main thread must have begun to wait: an interrupt before that is not what is tested
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        portal.run(long())
    assert cancelled.wait(5)
    portal.close()
