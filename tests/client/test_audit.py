"""The audit through the client, against the service itself."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from promptward import AsyncClient
from promptward.asgi import StreamingASGITransport

from tests.conftest import TOKEN, settings_for, started


@pytest.fixture
async def api(tmp_path: Path, sqlite_url: str) -> AsyncIterator[AsyncClient]:
    async with started(settings_for(tmp_path / "home", sqlite_url)) as app:
        transport = StreamingASGITransport(app)
        async with AsyncClient("http://test", TOKEN, transport=transport) as client:
            yield client


async def test_the_audit_is_read_exported_and_checked_against_its_checkpoint(api: AsyncClient) -> None:
    for n in range(5):
        await api.keys.create("reader", f"key {n}")
    assert [e["no"] async for e in api.audit.each()] == [5, 4, 3, 2, 1]
    assert [e["no"] async for e in api.audit.each(action="key", since="2020-01-01T00:00:00Z")] == [5, 4, 3, 2, 1]
    assert [e["no"] async for e in api.audit.each(until="2020-01-01T00:00:00Z")] == []
    assert [e["no"] for e in (await api.audit.list(limit=2, subject="key "))["items"]] == [5, 4]
    checkpoint = await api.audit.checkpoint()
    head = f"{checkpoint['no']}:{checkpoint['hash']}"
    assert (await api.audit.verify(head=head))["ok"] is True
    assert (await api.audit.verify(head=f"4:{checkpoint['hash']}"))["first_bad"] == 4
    lines = b"".join([piece async for piece in api.audit.export(since_no=4)]).splitlines()
    assert [json.loads(line).get("no") for line in lines] == [4, 5, None]
    assert json.loads(lines[-1])["checkpoint"]["hash"] == checkpoint["hash"]
