import os
import stat
from pathlib import Path

import pytest

from app.kit import home
from app.kit.errors import ConflictError


def test_a_second_process_on_the_same_home_is_refused_with_the_fix(tmp_path: Path) -> None:
    with home.locked(tmp_path), pytest.raises(ConflictError, match="PROMPTWARD_HOME"), home.locked(tmp_path):
        pass
    with home.locked(tmp_path):
        pass


def test_the_address_of_a_running_service_is_found_and_private(tmp_path: Path) -> None:
    address = home.Address("http://127.0.0.1:1", "secret", os.getpid())
    with home.locked(tmp_path):
        path = home.publish(tmp_path, address)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert home.running_service(tmp_path) == address


def test_the_address_left_by_a_killed_service_counts_as_none(tmp_path: Path) -> None:
    home.publish(tmp_path, home.Address("http://127.0.0.1:1", "secret", 1))
    assert home.running_service(tmp_path) is None
    (tmp_path / home.ADDRESS_FILE).write_text("half a fi")
    assert home.running_service(tmp_path) is None
