import gc
import weakref
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import text

from app.kit.asgi import KeepEncodedSlash
from app.kit.errors import UnavailableError
from app.migrations import runner
from tests.conftest import client_of, settings_for, started


async def test_probes_need_no_key(anonymous: httpx2.AsyncClient) -> None:
    assert (await anonymous.get("/health/live")).json() == {"status": "ok"}
    assert (await anonymous.get("/health/ready")).json() == {"status": "ok"}


async def test_every_route_but_probes_and_the_api_reference_needs_a_key(
    app: KeepEncodedSlash, anonymous: httpx2.AsyncClient
) -> None:
    public = ("/health", "/docs")
    paths = (await anonymous.get("/docs/openapi.json")).json()["paths"]
    checked = 0
    for path, operations in paths.items():
        for method in operations:
            if not path.startswith(public):
                answer = await anonymous.request(method.upper(), path.replace("{", "").replace("}", ""))
                assert answer.status_code == 401, (method, path, answer.status_code)
                checked += 1
    assert checked > 20


async def test_the_api_reference_loads_nothing_from_elsewhere(sqlite_client: httpx2.AsyncClient) -> None:
    page = (await sqlite_client.get("/docs")).text
    head = page.partition("<body>")[0]
    assert "http://" not in head
    assert "https://" not in head
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "swagger-ui-standalone-preset.js"):
        assert (await sqlite_client.get(f"/docs/static/{asset}")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("POST", "/health/live", 405), ("GET", "/api/v1/unicorns", 404)],
)
async def test_every_failure_is_a_problem(
    sqlite_client: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await sqlite_client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["type"].startswith("urn:promptward:")


async def test_the_migrations_and_the_tables_say_the_same(app: KeepEncodedSlash) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from app.kit.db import Table

    def differences(connection: object) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})  # type: ignore[arg-type]
        return list(compare_metadata(context, Table.metadata))

    async with app.litestar.state.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_database_newer_than_the_program_is_refused(app: KeepEncodedSlash) -> None:
    engine = app.litestar.state.engine
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UnavailableError, match="newer than this program"):
        await runner.upgrade(engine)


async def test_whoever_finds_the_service_not_ready_is_told_when_to_come_back(
    app: KeepEncodedSlash, anonymous: httpx2.AsyncClient
) -> None:
    async with app.litestar.state.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    answer = await anonymous.get("/health/ready")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:promptward:unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_nothing_keeps_the_database_of_an_application_that_was_stopped(sqlite_url: str, tmp_path: Path) -> None:
    content = {"messages": [{"role": "user", "content": "hi"}]}
    async with started(settings_for(tmp_path, sqlite_url)) as app, client_of(app) as client:
        engine = weakref.ref(app.litestar.state.engine)
        assert (await client.post("/api/v1/prompts/a/versions", json={"content": content})).status_code == 201
        assert (await client.get("/api/v1/prompts/a/versions/1")).status_code == 200
    gc.collect()
    assert engine() is None
