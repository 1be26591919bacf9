"""What the acts play on: a client, the project's files, and further clients of the same service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from promptward import AsyncClient
from promptward.asgi import StreamingASGITransport

from app.cli.connection import EMBEDDED_URL


class Stage:
    def __init__(self, client: AsyncClient, app: Any, token: str, files: list[dict[str, str]]) -> None:
        self.client, self.files = client, files
        self._app, self._token = app, token

    @asynccontextmanager
    async def openai(self) -> AsyncIterator[Any]:
        """The official `openai.AsyncOpenAI`, unmodified."""
        from app.main import official_client

        async with official_client(
            f"{EMBEDDED_URL}/v1", self._token, transport=StreamingASGITransport(self._app)
        ) as client:
            yield client

    @asynccontextmanager
    async def key(self, role: str, name: str) -> AsyncIterator[AsyncClient]:
        """Somebody else's client."""
        made = await self.client.keys.create(role, name)
        async with AsyncClient(EMBEDDED_URL, made["key"], transport=StreamingASGITransport(self._app)) as client:
            yield client
