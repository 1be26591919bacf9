"""Databases that were filled by an earlier release."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy import Connection

from app.kit.db import Table, make_engine
from app.migrations import runner

AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
D = {
    name: "sha256:" + format(i, "064x")
    for i, name in enumerate(("prompt", "part", "suite", "data", "end", "policy"), 1)
}


def fill(connection: Connection, table: str, **values: Any) -> None:
    """A row with these values, and something that fits in every other column that must have a value."""
    target = sa.Table(table, sa.MetaData(), autoload_with=connection)
    for column in target.columns:
        if column.name in values or column.nullable or (column.primary_key and "project_id" not in target.columns):
            continue
        kind = column.type
        if isinstance(kind, sa.DateTime):
            values[column.name] = AT if connection.dialect.name == "postgresql" else AT.replace(tzinfo=None)
        elif isinstance(kind, sa.Date):
            values[column.name] = date(2026, 1, 2)
        elif isinstance(kind, sa.JSON):
            values[column.name] = {}
        elif isinstance(kind, sa.LargeBinary):
            values[column.name] = b"{}"
        elif isinstance(kind, sa.Boolean):
            values[column.name] = False
        elif isinstance(kind, sa.Integer | sa.Numeric | sa.Float):
            values[column.name] = 0
        else:
            values[column.name] = ""
    connection.execute(sa.insert(target).values(**values))


def fill_0008(connection: Connection) -> None:
    p = {"project_id": "default"}
    kinds = {"prompt": "prompt", "part": "prompt", "suite": "suite", "data": "dataset", "end": "endpoint"}
    for name, kind in {**kinds, "policy": "gate_policy"}.items():
        body = b'{"owner":"docs team"}' if name == "prompt" else b"{}"
        fill(connection, "content", **p, kind=kind, digest=D[name], body=body)
    for name, owned in (("ask", "prompt"), ("tone", "part")):
        fill(connection, "artifact", **p, kind="prompt", name=name, folded=name, latest=1, digest=D[owned], tags=[])
        fill(connection, "version", **p, kind="prompt", name=name, number=1, digest=D[owned])
    pinned = {"kind": "prompt", "digest": D["prompt"], "pointer": "/fragments/tone"}
    fill(connection, "reference", **p, **pinned, to_kind="prompt", to_digest=D["part"])
    variant = {"prompt_digest": D["prompt"], "endpoint_digest": D["end"], "rag_digest": None}
    metric = {"rubric": None, "judge": D["end"]}
    spec = {"suite_digest": D["suite"], "dataset_digest": D["data"], "variants": [variant], "metrics": [metric]}
    for number in range(1_200):  # more than one statement holds
        fill(connection, "run", **p, id=f"run_{number:05}", spec=spec)
    pins = {"prompt": D["prompt"], "endpoint": D["end"]}
    shown = {"suite/checks": D["suite"], "policy/checks": D["policy"]}
    fill(
        connection, "release", **p, id="rel_1", name="ask", version=1, pins=pins, evidence=shown, verdicts=[], steps=[]
    )
    record = {"candidate": "run_00007/c1"}
    fill(connection, "gate_verdict", **p, id="ver_1", policy=D["policy"], record=record)
    fill(connection, "api_key", **p, id="k1", role="admin", name="first")


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(sa.text(query))]


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
async def test_what_was_there_before_the_catalogue_is_in_it_and_goes_back(database_url: str) -> None:
    engine = make_engine(database_url)

    async def done(work: Any) -> Any:
        async with engine.begin() as connection:
            return await connection.run_sync(work)

    try:
        await done(lambda c: command.downgrade(runner.alembic_config(c), "0008"))
        tables = await done(lambda c: set(sa.inspect(c).get_table_names()))
        assert not tables & {"content_use", "project", "life_cycle", "artifact_alias", "dataset_erasure"}
        await done(fill_0008)
        for _ in range(2):
            assert await runner.upgrade(engine)
            owners = await done(lambda c: rows(c, "SELECT name, owner FROM artifact ORDER BY name"))
            assert owners == [("ask", "docs team"), ("tone", None)]
            used = await done(
                lambda c: rows(
                    c, 'SELECT "by", kind, digest, count(*) FROM content_use GROUP BY 1, 2, 3 ORDER BY 1, 2, 3'
                )
            )
            of_run = [
                ("dataset", "data"),
                ("endpoint", "end"),
                ("prompt", "prompt"),
                ("prompt", "part"),
                ("suite", "suite"),
            ]
            of_release = [("endpoint", "end"), ("gate_policy", "policy"), *of_run[2:]]
            assert used == [
                *[("release", kind, D[name], 1) for kind, name in of_release],
                *[("run", kind, D[name], 1_200) for kind, name in of_run[:2]],
                ("run", "gate_policy", D["policy"], 1),
                *[("run", kind, D[name], 1_200) for kind, name in of_run[2:]],
            ]
            differing = await done(_differences)
            assert differing == []
            await done(lambda c: command.downgrade(runner.alembic_config(c), "0008"))
            assert await done(lambda c: rows(c, "SELECT count(*) FROM run")) == [(1_200,)]
            assert await done(lambda c: rows(c, "SELECT name, latest FROM artifact ORDER BY 1")) == [
                ("ask", 1),
                ("tone", 1),
            ]
    finally:
        await engine.dispose()


def _differences(connection: Connection) -> list[Any]:
    """Where tables and indexes are not what the program says."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"compare_type": False})
    return [change for change in compare_metadata(context, Table.metadata) if change[0] != "remove_table"]
