from collections.abc import Iterator

import pytest

from tests.served import environment, running

KEY = "pw_clienttests_0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="session")
def served_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and admin key of a service in a process of its own."""
    folder = tmp_path_factory.mktemp("served")
    with running("serve", "--port", "0", cwd=folder, env=environment(PROMPTWARD_ADMIN_KEY=KEY)) as url:
        yield url, KEY
