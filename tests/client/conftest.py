from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from promptward import AsyncClient
from promptward.asgi import StreamingASGITransport

from tests.conftest import TOKEN, settings_for, started
from tests.served import environment, running

KEY = "pw_clienttests_0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="session")
def served_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and admin key of a service in a process of its own."""
    folder = tmp_path_factory.mktemp("served")
    with running("serve", "--port", "0", cwd=folder, env=environment(PROMPTWARD_ADMIN_KEY=KEY)) as url:
        yield url, KEY


@pytest.fixture
async def api(tmp_path: Path, sqlite_url: str) -> AsyncIterator[AsyncClient]:
    async with started(settings_for(tmp_path / "home", sqlite_url)) as app:
        transport = StreamingASGITransport(app)
        async with AsyncClient("http://test", TOKEN, transport=transport) as client:
            yield client
