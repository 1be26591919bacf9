"""Bringing a database to this code's schema, on SQLite and PostgreSQL alike."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.errors import UnavailableError

FOLDER = Path(__file__).parent


def revisions() -> list[str]:
    """Every revision of this code, oldest first. Files are named `<revision>_<what>.py`, so Alembic need not be loaded."""
    return sorted(path.name.split("_", 1)[0] for path in (FOLDER / "versions").glob("[0-9]*_*.py"))


async def current(engine: AsyncEngine) -> str | None:
    """The revision of the database; None when it is empty."""

    def read(connection: Connection) -> str | None:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    async with engine.connect() as connection:
        return await connection.run_sync(read)


async def check(engine: AsyncEngine) -> None:
    """Raises `UnavailableError` unless the database is exactly at this code's revision."""
    found, known = await current(engine), revisions()
    if found == known[-1]:
        return
    if found is not None and found not in known:
        raise UnavailableError(
            f"the database is at revision {found}, newer than this program knows ({known[-1]}); update Promptward"
        )
    raise UnavailableError(
        f"the database is at revision {found or 'none'}, this program needs {known[-1]}; run `promptward db upgrade`"
    )


async def upgrade(engine: AsyncEngine) -> bool:
    """Brings the database to the newest revision; returns whether anything was done. A newer database is refused."""
    found, known = await current(engine), revisions()
    if found == known[-1]:
        return False
    if found is not None and found not in known:
        await check(engine)
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)
    return True


def _upgrade(connection: Connection) -> None:
    from alembic import command

    command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection) -> Any:
    """Alembic's configuration around an open connection; there is no ini file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config
