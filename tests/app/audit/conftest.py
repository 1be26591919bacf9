"""Storage of the audit is one table; its tests on both databases are marked."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import PostgreSQL, database


@pytest.fixture
async def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path, postgresql: PostgreSQL | None
) -> AsyncIterator[str]:
    """SQLite; tests marked `on_both` have PostgreSQL too."""
    async with database(getattr(request, "param", "sqlite"), tmp_path, sqlite_template, postgresql) as url:
        yield url
