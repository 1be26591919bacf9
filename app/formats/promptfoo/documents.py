"""promptfoo's assertions about JSON, XML, HTML and SQL as scorers."""

import re
from collections.abc import Callable
from typing import Any

from app.formats.promptfoo.lists import CannotMapError
from app.formats.promptfoo.meaning import Asked, Meant
from app.formats.promptfoo.values import schema_of, texts_of

_HTML = "what counts as HTML follows the standard's rules here; there any known element will do"
_DIALECTS = {
    "athena": "athena",
    "bigquery": "bigquery",
    "flinksql": "",
    "hive": "hive",
    "mariadb": "mysql",
    "mysql": "mysql",
    "noql": "",
    "postgresql": "postgres",
    "redshift": "redshift",
    "snowflake": "snowflake",
    "sqlite": "sqlite",
    "transactsql": "tsql",
    "trino": "trino",
}


def _is_json(asked: Asked) -> Meant:
    if asked.value in (None, "", {}):
        return Meant("is_json")
    note = "an output that is no JSON fails here, and passes there" if asked.inverse else ""
    return Meant("json_schema", {"schema": schema_of(asked.node.path, asked.value)}, note=note)


def _contains_json(asked: Asked) -> Meant:
    schema = {} if asked.value in (None, "", {}) else {"schema": schema_of(asked.node.path, asked.value)}
    note = "arrays count here, and only sound JSON; there objects alone, with some faults forgiven"
    return Meant("contains_json", schema, note=note)


def _xml(use: str) -> Callable[[Asked], Meant]:
    def made(asked: Asked) -> Meant:
        value = asked.value.get("requiredElements") if isinstance(asked.value, dict) else asked.value
        if value in (None, "", [], {}):
            return Meant(use)
        names = [name.strip() for name in value.split(",")] if isinstance(value, str) else texts_of(value)
        # Dots part a path that begins at the root.
        return Meant(use, {"required_elements": ["/" + name.replace(".", "/") for name in names]})

    return made


def _authority(text: str) -> str:
    """The table or column of an entry such as `(select|update)::null::users`."""
    _, _, rest = text.partition("::")
    owner, _, name = rest.partition("::")
    if not name:
        owner, name = "null", text
    if re.search(r"[^\w$ .-]", owner + name) or "*" in owner + name:
        raise CannotMapError(f"{text!r} stands for several; name each table and column")
    return name if owner in ("", "null") else f"{owner}.{name}"


def _sql(use: str) -> Callable[[Asked], Meant]:
    def made(asked: Asked) -> Meant:
        value = asked.value or {}
        if not isinstance(value, dict):
            raise CannotMapError("its value is no mapping")
        named = str(value.get("databaseType") or "MySQL")
        dialect = _DIALECTS.get(named.lower())
        if dialect is None:
            raise CannotMapError(f"{named} is no dialect that is known here")
        args: dict[str, Any] = {"dialect": dialect} if dialect else {}
        note = "the statement is read by another parser (sqlglot), which accepts and refuses some others; which kinds of statements may touch a table is not kept"
        for key, field in (("allowedTables", "allowed_tables"), ("allowedColumns", "allowed_columns")):
            if value.get(key) is not None:
                args[field] = [_authority(text) for text in texts_of(value[key])]
        return Meant(use, args, note=note)

    return made


KINDS: dict[str, Callable[[Asked], Meant]] = {
    "is-json": _is_json,
    "contains-json": _contains_json,
    "is-xml": _xml("is_xml"),
    "contains-xml": _xml("contains_xml"),
    "is-html": lambda _: Meant("is_html", note=_HTML),
    "contains-html": lambda _: Meant("contains_html"),
    "is-sql": _sql("is_sql"),
    "contains-sql": _sql("contains_sql"),
}
