"""What a transaction changes is in the chain if and only if it was committed, savepoints included."""

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.tables import APIKey
from app.kit.asgi import KeepEncodedSlash
from app.kit.changes import Change, record
from app.kit.clock import utc_now
from app.kit.db import Sessions
from tests.conftest import on_both


def note(session: AsyncSession, subject: str) -> None:
    record(session, Change(project_id="default", actor="a", action="thing.done", subject=subject))


async def written(client: httpx2.AsyncClient) -> list[str]:
    """The subjects, oldest first, of a chain that is whole."""
    assert (await client.get("/api/v1/audit/verify")).json()["ok"] is True
    return [e["subject"] for e in reversed((await client.get("/api/v1/audit")).json()["items"])]


@pytest.fixture
def sessions(app: KeepEncodedSlash) -> Sessions:
    made: Sessions = app.litestar.state.sessions
    return made


@on_both
async def test_a_transaction_that_is_rolled_back_leaves_no_entry(
    sessions: Sessions, client: httpx2.AsyncClient
) -> None:
    async with sessions() as session:
        await session.execute(text("SELECT 1"))
        note(session, "first")
        await session.rollback()
        await session.commit()
        note(session, "before any statement")
        await session.rollback()
        await session.commit()
    async with sessions() as session:
        note(session, "closed without an end")
    assert await written(client) == []


@on_both
async def test_a_savepoint_that_is_rolled_back_takes_along_only_its_own_changes(
    sessions: Sessions, client: httpx2.AsyncClient
) -> None:
    async with sessions.begin() as session:
        note(session, "before")
        inner = await session.begin_nested()
        note(session, "in the savepoint")
        await inner.rollback()
        note(session, "after")
    assert await written(client) == ["before", "after"]


@on_both
async def test_savepoints_in_savepoints_keep_what_was_before_them(
    sessions: Sessions, client: httpx2.AsyncClient
) -> None:
    async with sessions.begin() as session:
        note(session, "first")
        outer = await session.begin_nested()
        note(session, "outer")
        async with session.begin_nested():
            note(session, "inner")
        await outer.rollback()
        async with session.begin_nested():
            note(session, "kept")
        note(session, "last")
    assert await written(client) == ["first", "kept", "last"]


@on_both
async def test_a_savepoint_that_is_left_open_is_committed_with_the_rest(
    sessions: Sessions, client: httpx2.AsyncClient
) -> None:
    async with sessions.begin() as session:
        note(session, "before")
        await session.begin_nested()
        note(session, "inside")
    assert await written(client) == ["before", "inside"]


@on_both
async def test_a_constraint_that_fails_in_a_savepoint_leaves_the_earlier_changes(
    sessions: Sessions, client: httpx2.AsyncClient
) -> None:
    def key() -> APIKey:
        return APIKey(
            project_id="default", id="same", name="n", role="reader", salt=b"s", mac=b"m", created_at=utc_now()
        )

    async with sessions.begin() as session:
        session.add(key())
        await session.flush()
        note(session, "before")
        session.expunge_all()

        async def fail() -> None:
            async with session.begin_nested():
                note(session, "in the savepoint")
                session.add(key())
                await session.flush()

        with pytest.raises(IntegrityError):
            await fail()
        note(session, "after")
    assert await written(client) == ["before", "after"]


async def test_a_commit_that_could_not_write_the_chain_writes_nothing_else_either(
    sessions: Sessions, client: httpx2.AsyncClient
) -> None:
    async with sessions.begin() as session:
        await session.execute(text("ALTER TABLE audit_head RENAME TO away"))
    async with sessions() as session:
        note(session, "lost")
        for _ in range(2):  # asked again, it does not commit without its entry
            with pytest.raises(DBAPIError):
                await session.commit()
        await session.rollback()
    async with sessions.begin() as session:
        await session.execute(text("ALTER TABLE away RENAME TO audit_head"))
    assert await written(client) == []
