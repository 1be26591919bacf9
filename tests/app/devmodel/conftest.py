"""One development model over a real socket for a module's tests, and the official client that speaks to it."""

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI

from app.devmodel import running_devmodel


@pytest.fixture(scope="module")
async def base_url() -> AsyncIterator[str]:
    async with running_devmodel() as url:
        yield url


@pytest.fixture(scope="module")
async def client(base_url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0, timeout=5) as one:
        yield one
