"""The queries of shared limits, for PostgreSQL. Each exchange is one transaction that holds the endpoint's row."""

from typing import NamedTuple

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.db import core
from app.llm.shares import State
from app.llm.tables import EndpointLimitRow, EndpointShareRow

_LIMIT, _SHARE = core(EndpointLimitRow), core(EndpointShareRow)

# A process that is stopped while it holds the row must not stop the others. What a crash of the server loses of the last moment
# the next exchange says again, so nothing waits for its disk.
_GUARD = text(
    "SELECT set_config('idle_in_transaction_session_timeout', '2000', true), set_config('lock_timeout', '3000', true), "
    "set_config('synchronous_commit', 'off', true)"
)
# The time is read here and not with the lock: there it could be from before the wait for it.
_SHARES = text(
    "SELECT extract(epoch FROM clock_timestamp())::float8, process, granted, wanted, seen_at "
    "FROM (SELECT 1) one LEFT JOIN endpoint_share ON endpoint = :endpoint"
)
_STORE = text(
    "WITH stored AS (UPDATE endpoint_limit SET concurrency = :concurrency, decreased_at = :decreased_at, "
    "paused_until = :paused_until, requests_arrival = :requests_arrival, tokens_arrival = :tokens_arrival, "
    "synced_at = :synced_at WHERE endpoint = :endpoint) "
    "INSERT INTO endpoint_share (endpoint, process, granted, wanted, seen_at) "
    "SELECT :endpoint, :process, :granted, :wanted, :synced_at WHERE NOT :leaving "
    "ON CONFLICT (endpoint, process) DO UPDATE SET granted = excluded.granted, wanted = excluded.wanted, "
    "seen_at = excluded.seen_at"
)


class Share(NamedTuple):
    """A row of `endpoint_share`."""

    process: str
    granted: int
    wanted: int
    seen_at: float


class SharedRows:
    """What is shared of one endpoint, as one process sees and changes it."""

    def __init__(self, session: AsyncSession, endpoint: str, process: str) -> None:
        self._session = session
        self._endpoint = endpoint
        self._process = process

    async def lock(self, most: int) -> State:
        """The endpoint's row, which no other process sees before this transaction ends; made when there is none."""
        await self._session.execute(_GUARD)
        columns = [_LIMIT.c[name] for name in State.__struct_fields__]
        query = select(*columns).where(_LIMIT.c.endpoint == self._endpoint).with_for_update()
        row = (await self._session.execute(query)).one_or_none()
        if row is None:
            new = EndpointLimitRow(endpoint=self._endpoint, concurrency=float(most)).model_dump()
            await self._session.execute(insert(_LIMIT).values(new).on_conflict_do_nothing())
            row = (await self._session.execute(query)).one()
        return State(*row)

    async def shares(self) -> tuple[float, list[Share]]:
        """The time now, and what each process holds."""
        rows = (await self._session.execute(_SHARES, {"endpoint": self._endpoint})).all()
        return float(rows[0][0]), [Share(*row[1:]) for row in rows if row[1] is not None]

    async def shift(self, by: float) -> None:
        of_endpoint = _SHARE.c.endpoint == self._endpoint
        await self._session.execute(update(_SHARE).where(of_endpoint).values(seen_at=_SHARE.c.seen_at + by))

    async def forget(self, before: float, *, me_too: bool) -> None:
        """Deletes the shares of processes that were not seen since `before`."""
        gone = _SHARE.c.seen_at < before
        if me_too:
            gone |= _SHARE.c.process == self._process
        await self._session.execute(delete(_SHARE).where(_SHARE.c.endpoint == self._endpoint, gone))

    async def store(self, state: State, granted: int, wanted: int, *, leaving: bool) -> None:
        """Writes the endpoint's row, and this process's unless it is `leaving`."""
        row = {name: getattr(state, name) for name in State.__struct_fields__}
        mine = {"endpoint": self._endpoint, "process": self._process, "granted": granted, "wanted": wanted}
        await self._session.execute(_STORE, {**row, **mine, "leaving": leaving})
