import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli.main import program
from app.kit.db import make_engine
from app.migrations import runner
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


WITHOUT = ("db", "demo", "doctor", "init", "settings", "serve")
"""Commands that are about the home itself, or leave it alone."""


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database: making one anew for each test would take longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "promptward.db"

    async def make() -> None:
        engine = make_engine(f"sqlite:///{path}")
        await runner.upgrade(engine)
        await engine.dispose()

    asyncio.run(make())
    return path


@pytest.fixture
def cli(folder: Path, migrated: Path) -> Run:
    """Runs a command in this process, embedded in the folder's own home; stdout and stderr apart."""

    def run(*arguments: str) -> Result:
        home = folder / ".promptward"
        alone = not arguments or arguments[0] in WITHOUT or {"--help", "--file"} & {*arguments}
        if not alone and not home.exists():
            home.mkdir(mode=0o700)
            shutil.copy(migrated, home / "promptward.db")
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
