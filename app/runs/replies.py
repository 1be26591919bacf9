"""What judges answered: the same question is put to the same judge once, whichever run or cell asks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.db import Sessions, batched_by_variables, core, insert_rows
from app.runs.schemas import NANO
from app.runs.tables import JudgeReplyRow
from evaluators.judging import JudgeReply, JudgeUnavailableError, TokenLogprob

Place = tuple[str, str]
"""A project and a reply's key."""
Taken = Sequence[tuple[Place, JudgeReply]]


class UnpaidError(JudgeUnavailableError):
    """The run's budget does not allow the call: no fault of the judge, and none of others who ask the same."""


class Replies:
    """The replies of one process: those being asked for, those not yet stored, and behind them the database's.

    `ask` hands out every key once; whoever asks for it meanwhile waits for the first. Failures are not kept.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._asked: dict[Place, asyncio.Future[JudgeReply]] = {}
        self._made: dict[str, list[tuple[Place, JudgeReply]]] = {}
        self._wanted: dict[Place, asyncio.Future[JudgeReply | None]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def ask(
        self, project_id: str, run_id: str, key: str, call: Callable[[], Awaitable[JudgeReply]]
    ) -> JudgeReply:
        """The reply that is known, which costs nothing, or that of `call`. Raises what `call` raises."""
        place = (project_id, key)
        while (asked := self._asked.get(place)) is not None:
            await asyncio.wait([asked])
            if asked.cancelled() or isinstance(asked.exception(), UnpaidError):
                continue  # nobody asks any more: this one does
            return _known(asked.result())
        asked = self._asked[place] = asyncio.get_running_loop().create_future()
        kept = False
        try:
            reply = await self._stored(place) or await call()
            asked.set_result(reply)
            if not reply.cached and reply.text is not None:  # what a filter withheld is asked for again
                self._made.setdefault(run_id, []).append((place, reply))
                kept = True
        except JudgeUnavailableError as error:
            asked.set_exception(error)
            asked.exception()  # told here; nobody else may be waiting
            raise
        finally:
            if not kept:
                self._forget(place)
                asked.cancel()
        return reply

    def take(self, run_id: str) -> list[tuple[Place, JudgeReply]]:
        """What a run's judges answered since the last time; `stored` is to be called with it in any case."""
        return self._made.pop(run_id, [])

    def stored(self, taken: Taken) -> None:
        """These are in the database, where whoever asks next finds them; or they are lost."""
        for place, _ in taken:
            self._forget(place)

    def _forget(self, place: Place) -> None:
        self._asked.pop(place, None)

    async def _stored(self, place: Place) -> JudgeReply | None:
        """Reads together what is asked at the same time."""
        wanted: asyncio.Future[JudgeReply | None] = asyncio.get_running_loop().create_future()
        self._wanted[place] = wanted
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        return await wanted

    async def _read(self) -> None:
        while self._wanted:
            await asyncio.sleep(0)  # all cells of a chunk have asked by then
            wanted, self._wanted = self._wanted, {}
            try:
                async with self._sessions() as session:
                    found = await _rows(session, list(wanted))
            except Exception as error:  # noqa: BLE001 - each that waits for it raises it
                for waiting in wanted.values():
                    if not waiting.done():
                        waiting.set_exception(error)
                continue
            for place, waiting in wanted.items():
                if not waiting.done():
                    waiting.set_result(found.get(place))


async def write(session: AsyncSession, taken: Taken, now: datetime) -> None:
    """Stores replies; those that are there already stay."""
    rows = [
        {
            "project_id": project_id,
            "key": key,
            "text": reply.text,
            "finish_reason": reply.finish_reason,
            "logprobs": None if reply.logprobs is None else msgspec.to_builtins(reply.logprobs),
            "cost_nano": round(reply.cost_usd * NANO),
            "tokens": reply.tokens,
            "created_at": now,
        }
        for (project_id, key), reply in taken
    ]
    await insert_rows(session, JudgeReplyRow, rows, ignore_existing=True)


async def _rows(session: AsyncSession, places: Sequence[Place]) -> dict[Place, JudgeReply]:
    table = core(JudgeReplyRow)
    by_project: dict[str, list[str]] = {}
    for project_id, key in places:
        by_project.setdefault(project_id, []).append(key)
    found: dict[Place, JudgeReply] = {}
    for project_id, keys in by_project.items():
        for some in batched_by_variables(keys, 2):
            query = select(table).where(table.c.project_id == project_id, table.c.key.in_(some))
            found |= {(project_id, row.key): _reply(row) for row in await session.execute(query)}
    return found


def _reply(row: Row[Any]) -> JudgeReply:
    logprobs = None if row.logprobs is None else msgspec.convert(row.logprobs, list[TokenLogprob])
    return JudgeReply(row.text, row.finish_reason, logprobs=logprobs, cached=True)


def _known(reply: JudgeReply) -> JudgeReply:
    return msgspec.structs.replace(reply, cost_usd=0.0, tokens=0, cached=True)
