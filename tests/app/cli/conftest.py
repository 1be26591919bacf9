from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli.main import program
from tests.served import running

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, without any setting from outside."""
    import os

    for name in list(os.environ):
        if name.startswith("PROMPTWARD_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(folder: Path) -> Run:
    """Runs a command in this process, embedded in the folder's own home; stdout and stderr apart."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(program, list(arguments))

    return run


@pytest.fixture(scope="session")
def devmodel_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A development model in a process of its own, started by the command."""
    with running("devmodel", "--port", "0", cwd=tmp_path_factory.mktemp("devmodel")) as url:
        yield url


@pytest.fixture
def project(cli: Run, folder: Path, devmodel_url: str) -> Path:
    """What `promptward init` writes, asking the session's development model."""
    assert cli("init").exit_code == 0
    file = folder / "promptward.yaml"
    file.write_text(file.read_text().replace("http://127.0.0.1:8100/v1", devmodel_url))
    return folder
