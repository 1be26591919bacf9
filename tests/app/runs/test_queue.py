"""The queue inside the process: prompt, idle when there is nothing to do, and no lane waits for another."""

import asyncio
import time
from collections.abc import Callable

from app.runs.queue import JOBS_PER_LANE, LANES, InProcessQueue, Job


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - the queue offers no event to wait for
            await asyncio.sleep(0.01)


def job(run: str, number: int = 0) -> Job:
    return Job("default", run, 0, [(0, number, 0)])


async def test_a_job_begins_within_50_ms_and_waiting_for_one_costs_nothing() -> None:
    queue, began = InProcessQueue(), asyncio.Event()

    async def work(_job: Job) -> None:
        began.set()

    queue.start(work)
    await queue.enqueue("lane", [job("first")])
    await began.wait()
    waited = []
    for number in range(10):
        began.clear()
        await asyncio.sleep(0.02)
        started = time.perf_counter()
        await queue.enqueue("lane", [job("run", number)])
        await began.wait()
        waited.append(time.perf_counter() - started)
    assert sorted(waited)[5] < 0.05
    used = time.process_time()
    await asyncio.sleep(1)
    assert time.process_time() - used < 0.1
    await queue.close()


async def test_jobs_of_a_lane_begin_in_order_and_a_full_lane_keeps_no_other_waiting() -> None:
    queue, release = InProcessQueue(), asyncio.Event()
    began: list[tuple[str, int]] = []

    async def work(given: Job) -> None:
        began.append((given.run_id, given.cells[0][1]))
        if given.run_id == "slow":
            await release.wait()

    queue.start(work)
    await queue.enqueue("slow", [job("slow", n) for n in range(JOBS_PER_LANE + 3)])
    await until(lambda: len(began) == JOBS_PER_LANE)
    for n in range(LANES):  # by their hash some share a lane, few the slow one
        await queue.enqueue(f"other {n}", [job(f"other {n}")])
    await until(lambda: len({run for run, _ in began}) >= LANES - 4)
    assert [n for run, n in began if run == "slow"] == list(range(JOBS_PER_LANE))
    release.set()
    await until(lambda: len(began) == JOBS_PER_LANE + 3 + LANES)
    await queue.close()


async def test_runs_of_a_lane_take_turns_and_those_of_a_higher_priority_wait_for_none() -> None:
    queue, began = InProcessQueue(), []

    async def work(given: Job) -> bool:
        began.append(given.run_id)
        await asyncio.sleep(0.002)
        return True

    queue.start(work)
    await queue.enqueue("lane", [job("long", n) for n in range(JOBS_PER_LANE * 20)])
    await until(lambda: len(began) > JOBS_PER_LANE * 5)
    await queue.enqueue("lane", [job("short", n) for n in range(JOBS_PER_LANE)])
    await until(lambda: began.count("short") == JOBS_PER_LANE)
    first = began.index("short")
    there = began[first:]
    last = len(there) - there[::-1].index("short")
    assert there[:last].count("long") < 3 * JOBS_PER_LANE
    await queue.enqueue("lane", [job("urgent")], priority=2)
    await until(lambda: "urgent" in began)
    assert began.count("long") < JOBS_PER_LANE * 20
    await queue.close()


async def test_a_cancelled_runs_waiting_jobs_never_begin() -> None:
    queue, release = InProcessQueue(), asyncio.Event()
    began: list[str] = []

    async def work(given: Job) -> None:
        began.append(given.run_id)
        await release.wait()

    queue.start(work)
    await queue.enqueue("lane", [job("first", n) for n in range(JOBS_PER_LANE)])
    await until(lambda: len(began) == JOBS_PER_LANE)
    await queue.enqueue("lane", [job("second"), job("third")])
    await asyncio.sleep(0.1)
    await queue.cancel("second")
    release.set()
    await until(lambda: "third" in began)
    assert "second" not in began
    await queue.close()


async def test_closing_waits_for_what_has_begun_and_begins_nothing_more() -> None:
    queue = InProcessQueue()
    ended: list[int] = []

    async def work(given: Job) -> None:
        await asyncio.sleep(0.1)
        ended.append(given.cells[0][1])

    queue.start(work)
    await queue.enqueue("lane", [job("run", n) for n in range(JOBS_PER_LANE + 5)])
    await asyncio.sleep(0.05)
    await queue.close()
    assert ended == list(range(JOBS_PER_LANE))
    await queue.enqueue("lane", [job("late")])
    await asyncio.sleep(0.05)
    assert len(ended) == JOBS_PER_LANE


async def test_a_queue_that_was_never_used_holds_no_library() -> None:
    queue = InProcessQueue()
    queue.start(lambda _job: asyncio.sleep(0))
    await queue.close()


async def test_no_job_is_lost_however_many_are_put_in_at_once() -> None:
    """A job may have begun before the one who put it in knows its number."""
    queue, done = InProcessQueue(), []

    async def work(given: Job) -> None:
        done.append((given.run_id, given.cells[0][1]))

    queue.start(work)
    runs, jobs = 40, 25

    async def put(run: str) -> None:
        for n in range(jobs):
            await queue.enqueue(f"lane {n % 3}", [job(run, n)])
            await asyncio.sleep(0)

    await asyncio.gather(*(put(f"run {n}") for n in range(runs)))
    await until(lambda: len(done) == runs * jobs)
    assert len(set(done)) == runs * jobs
    await queue.close()


async def test_what_is_cancelled_is_not_begun_and_begins_when_it_is_put_in_again() -> None:
    queue, release, began = InProcessQueue(), asyncio.Event(), []

    async def work(given: Job) -> None:
        began.append(given.cells[0][1])
        await release.wait()

    queue.start(work)
    await queue.enqueue("lane", [job("run", n) for n in range(JOBS_PER_LANE + 5)])
    await until(lambda: len(began) == JOBS_PER_LANE)
    await queue.cancel("run")
    release.set()
    await queue.enqueue("lane", [job("run", 100)])
    await until(lambda: 100 in began)
    await asyncio.sleep(0.1)
    assert began == [*range(JOBS_PER_LANE), 100]
    await queue.close()
