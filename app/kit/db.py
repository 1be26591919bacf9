"""Engines, sessions, the table base, and bulk writes that are the same on SQLite and PostgreSQL."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from litestar.datastructures import State
from sqlalchemy import JSON, DateTime, Dialect, Integer, MetaData, event
from sqlalchemy import Table as CoreTable
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.types import BigInteger, TypeDecorator
from sqlmodel import SQLModel

Sessions = async_sessionmaker[AsyncSession]

WRITING = "writing"
SQLITE_VARIABLES = 30_000
"""Bound parameters of one statement: SQLite allows 32,766, asyncpg 32,767."""

json_type = JSON().with_variant(JSONB(), "postgresql")
nullable_json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""The same for columns that are mostly empty: nothing is stored as nothing, not as JSON's null."""
big_int = BigInteger().with_variant(Integer(), "sqlite")


class UTCDateTime(TypeDecorator[datetime]):
    """Aware UTC in and out; SQLite itself would return naive values."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime: use the clock")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(SQLModel):
    """Base of all tables: one metadata with names that Alembic can rely on."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def core(table: type[SQLModel]) -> CoreTable:
    """The Core table of a SQLModel class, for bulk statements."""
    return table.__table__  # type: ignore[attr-defined,no-any-return]


def async_url(url: str) -> str:
    """`url` with the asynchronous driver that we use for its database."""
    for plain, driver in (
        ("postgresql://", "postgresql+asyncpg://"),
        ("postgres://", "postgresql+asyncpg://"),
        ("sqlite://", "sqlite+aiosqlite://"),
    ):
        if url.startswith(plain):
            return driver + url.removeprefix(plain)
    return url


def make_engine(url: str) -> AsyncEngine:
    """An engine for `sqlite://…` or `postgresql://…`.

    SQLite runs in WAL with `synchronous=FULL`: a 2xx must survive a power cut. Every transaction that SQLAlchemy opens on
    SQLite is begun by us as `BEGIN IMMEDIATE` when the session's info says it writes (see `writing`), else deferred.
    """
    url = async_url(url)
    if not url.startswith("sqlite"):
        return create_async_engine(url, pool_size=10, max_overflow=10, pool_pre_ping=True)
    engine = create_async_engine(url, connect_args={"timeout": 30}, pool_size=8, max_overflow=8)

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own transaction control would begin too late
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=30000",
            "temp_store=MEMORY",
            "cache_size=-16000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        mode = "IMMEDIATE" if connection.get_execution_options().get("writing") else "DEFERRED"
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def make_sessions(engine: AsyncEngine) -> Sessions:
    return async_sessionmaker(engine, expire_on_commit=False)


async def writing(session: AsyncSession) -> AsyncConnection:
    """Takes SQLite's write lock now.

    A transaction that reads first and writes later can find that another one wrote in between ("database is locked" at once,
    whatever the timeout). Called before the first read of a transaction that will write; a no-op on PostgreSQL.
    """
    transaction = session.get_transaction()
    if transaction is not None and session.info.get(WRITING) is transaction:
        return await session.connection()
    connection = await session.connection(execution_options={"writing": True})
    session.info[WRITING] = session.get_transaction()
    return connection


async def provide_session(state: State) -> AsyncIterator[AsyncSession]:
    """One transaction per request: committed when the handler returns, rolled back when it raises."""
    sessions: Sessions = state.sessions
    async with sessions.begin() as session:
        yield session


async def insert_rows(
    session: AsyncSession, table: type[SQLModel], rows: Sequence[dict[str, Any]], *, ignore_existing: bool = False
) -> None:
    """Bulk insert of dicts through Core; with `ignore_existing`, rows whose unique key is taken are left as they are."""
    if not rows:
        return
    target = core(table)
    make = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    statement = make(target)
    if ignore_existing:
        statement = statement.on_conflict_do_nothing()
    await session.execute(statement, list(rows))


def batched_by_variables(values: Iterable[Any], per_row: int = 1) -> list[list[Any]]:
    """`values` in lists small enough for one `IN (…)` or `VALUES` on both databases."""
    items = list(values)
    step = max(1, SQLITE_VARIABLES // per_row)
    return [items[i : i + step] for i in range(0, len(items), step)]


def is_passing(error: BaseException) -> bool:
    """Whether a statement failed for a cause that may be gone a little later: the database restarts, a connection broke, two
    transactions blocked each other, the disk is full. What was to be stored should be tried again."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_passing(each) for each in error.exceptions)
    if isinstance(error, OSError | TimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = str(getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or "")
    return (
        error.connection_invalidated
        or isinstance(error, OperationalError | InterfaceError)
        or state in ("40001", "40P01", "53100", "53200", "53300", "55P03")
        or state[:2] in ("08", "57")
    )
