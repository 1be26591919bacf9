"""Databases of one kind as one for SQLAlchemy, so that a statement is compiled once in a process and not once per test.

Each test has a database and so an engine of its own. What SQLAlchemy compiles it keeps by engine and by dialect; here all engines
of a kind keep it together. The tests' databases of a kind come from one server or library with one schema, so nothing else differs.
"""

from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine import Engine
from sqlalchemy.util import LRUCache

KEPT = 2_000
_compiled: dict[type, LRUCache[Any, Any]] = {}


class _Alike:
    """A dialect that equals all of its kind, which is what makes their compiled statements the same."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        engine.update_execution_options(compiled_cache=_compiled.setdefault(cls, LRUCache(KEPT)))


class SQLite(_Alike, SQLiteDialect_aiosqlite):
    """Forgets durability, as the tests' PostgreSQL does: no file outlives its test."""

    supports_statement_cache = True

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        super().engine_created(engine)
        event.listen(engine, "engine_connect", _forget_durability)


class PostgreSQL(_Alike, PGDialect_asyncpg):
    supports_statement_cache = True


def _forget_durability(connection: Connection) -> None:
    # Not on "connect": what the product sets there comes later.
    if not connection.info.get("not durable"):
        connection.info["not durable"] = True
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA synchronous=OFF")
        cursor.close()


def use_quick_dialects() -> None:
    """For all engines that this process makes from now on."""
    registry.register("sqlite.aiosqlite", __name__, SQLite.__name__)
    registry.register("postgresql.asyncpg", __name__, PostgreSQL.__name__)
