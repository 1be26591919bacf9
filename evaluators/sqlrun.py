"""Running a model's query where it can do no harm: SQLite in memory, reading only, with an end."""

import functools
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import sqlite3

# Steps of SQLite's machine that one query may take: a second or less. Counting steps gives every computer the same score.
_MOST_STEPS = 5_000_000
_SECONDS = 1.0
_EVERY = 1000
_MOST_ROWS = 10_000
_MOST_CHARACTERS = 5_000_000
_LONGEST_VALUE = 20_000  # what one value or row may hold, so that a step cannot make gigabytes

_HARMFUL = frozenset({"load_extension", "randomblob", "zeroblob", "fts3_tokenizer", "edit", "readfile", "writefile"})


class QueryError(Exception):
    """The query is refused, fails, or does not end; the message says which."""


class SlowError(Exception):
    """This computer was too slow for the query: it ran out of time before it ran out of steps."""


class Table(NamedTuple):
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@functools.lru_cache(maxsize=32)
def database(schema: str) -> bytes:
    """A database made by CREATE and INSERT statements, as bytes. Raises QueryError."""
    import sqlite3

    connection = sqlite3.connect(":memory:")
    try:
        connection.set_authorizer(_may_define)
        _bounded(connection)
        connection.executescript(schema)
        connection.commit()
        connection.set_authorizer(None)
        return connection.serialize()
    except sqlite3.Error as exc:
        raise QueryError(_reason(exc)) from exc
    except (ValueError, UnicodeEncodeError) as exc:  # a NUL or a lone surrogate
        raise QueryError("it holds a character that no SQL can") from exc
    finally:
        connection.close()


def run(content: bytes, query: str) -> Table:
    """The result of one query on that database. Raises QueryError and SlowError."""
    import sqlite3

    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(content)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000)
        connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
        connection.set_authorizer(_may_read)
        clock = _bounded(connection)
        try:
            cursor = connection.execute(query)
            rows = _fetched(cursor)
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as exc:
            if clock.slow:
                raise SlowError(f"the query took longer than {_SECONDS:g} s") from exc
            raise QueryError(_reason(exc)) from exc
        except (ValueError, UnicodeEncodeError) as exc:
            raise QueryError("it holds a character that no SQL can") from exc
        return Table(tuple(each[0] for each in cursor.description or ()), rows)
    finally:
        connection.close()


def _fetched(cursor: "sqlite3.Cursor") -> list[tuple[Any, ...]]:
    rows, characters = [], 0
    for row in cursor:
        characters += sum(len(each) for each in row if isinstance(each, str | bytes))
        rows.append(tuple(_plain(each) for each in row))
        if len(rows) > _MOST_ROWS or characters > _MOST_CHARACTERS:
            raise QueryError(f"the result has more than {_MOST_ROWS:,} rows or {_MOST_CHARACTERS:,} characters")
    return rows


def _plain(value: Any) -> Any:
    """Sums in another order differ in the last digits."""
    return float(f"{value:.10g}") if isinstance(value, float) else value


class _Clock:
    """Called every `_EVERY` steps; stops the query by answering 1."""

    def __init__(self) -> None:
        self._left = _MOST_STEPS // _EVERY
        self._end = time.monotonic() + _SECONDS
        self.slow = False

    def __call__(self) -> int:
        self._left -= 1
        self.slow = self._left > 0 and time.monotonic() > self._end
        return int(self._left <= 0 or self.slow)


def _bounded(connection: "sqlite3.Connection") -> _Clock:
    clock = _Clock()
    connection.set_progress_handler(clock, _EVERY)
    return clock


def _may_read(action: int, _first: str | None, second: str | None, *_: str | None) -> int:
    import sqlite3

    reading = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE)
    if action in reading or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _HARMFUL):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _may_define(action: int, _first: str | None, second: str | None, *_: str | None) -> int:
    import sqlite3

    outside = (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_CREATE_VTABLE)
    harmful = action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _HARMFUL
    return sqlite3.SQLITE_DENY if harmful or action in outside else sqlite3.SQLITE_OK


def _reason(exc: Exception) -> str:
    text = str(exc)
    if text == "interrupted":
        return f"it does not end within {_MOST_STEPS:,} steps"
    if "not authorized" in text or "prohibited" in text:
        return f"only reading is allowed ({text})"
    return text[:200]
