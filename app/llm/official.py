"""The official client, for showing that what is served needs no other."""

from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from openai import AsyncOpenAI


def official_client(base_url: str, api_key: str, transport: httpx2.AsyncBaseTransport | None = None) -> "AsyncOpenAI":
    """`openai.AsyncOpenAI` as it is, before any service that speaks its language; `transport` replaces the network."""
    from openai import AsyncOpenAI

    http = None if transport is None else httpx2.AsyncClient(transport=transport, timeout=60)
    return AsyncOpenAI(base_url=base_url, api_key=api_key, http_client=http, max_retries=0)
