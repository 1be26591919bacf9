"""Whoever waits is answered, and a database that is away is not asked once for each of them."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy.exc import OperationalError

from app.feedback.writer import Entry, GroupWriter
from app.kit.errors import UnavailableError


class Database:
    """Notes what is written to it; fails as `failing` says, one write after the other."""

    def __init__(self, *failing: Exception | None) -> None:
        self.failing = list(failing)
        self.writes: list[list[int]] = []
        self.busy = asyncio.Event()

    async def write(self, batch: Sequence[Entry[int]]) -> None:
        await self.busy.wait()
        self.writes.append([entry.job for entry in batch])
        if self.failing and (error := self.failing.pop(0)) is not None:
            raise error
        for entry in batch:
            entry.result = entry.job


async def submitted(database: Database, count: int) -> list[int | BaseException]:
    """The answers to `count` jobs, of which the first is written alone."""
    writer: GroupWriter[int] = GroupWriter(database.write)
    writer.start()
    jobs = [asyncio.create_task(writer.submit(n)) for n in range(count)]
    await asyncio.sleep(0)
    database.busy.set()
    answers = await asyncio.gather(*jobs, return_exceptions=True)
    await writer.close()
    return answers


def locked() -> OperationalError:
    return OperationalError("INSERT", {}, Exception("database is locked"))


async def test_a_locked_database_is_tried_once_more_with_the_whole_batch() -> None:
    database = Database(locked())
    assert await submitted(database, 50) == list(range(50))
    assert database.writes == [list(range(50))] * 2


async def test_a_database_that_stays_locked_is_not_asked_for_each_job() -> None:
    database = Database(locked(), locked())
    answers = await submitted(database, 50)
    assert all(isinstance(answer, UnavailableError) for answer in answers)
    assert len(database.writes) == 2


@pytest.mark.parametrize("count", [1, 3])
async def test_after_any_other_error_each_job_is_tried_alone(count: int) -> None:
    database = Database(ValueError("nobody expects it"))
    answers = await submitted(database, count)
    if count == 1:
        assert isinstance(answers[0], UnavailableError)
    else:
        assert (answers, database.writes[1:]) == ([0, 1, 2], [[0], [1], [2]])
