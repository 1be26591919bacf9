from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.llm.retries import RetryPolicy
from app.llm.schemas import ChatRequest, EndpointSpec
from app.llm.service import LLM

QUICK = RetryPolicy(attempts=3, rate_limited_attempts=4, base_s=0.01, most_s=0.05, total_s=2.0)
KEY = "sk-canary-0123456789abcdef"


@pytest.fixture
async def llm() -> AsyncIterator[LLM]:
    made = LLM({"THE_KEY": KEY, "THE_URL": "http://127.0.0.1:9/v1"}, allow_loopback=True, retries=QUICK)
    yield made
    await made.close()


def spec(base_url: str | None, **fields: Any) -> EndpointSpec:
    fields = {"name": "local", "provider": "compatible", "model": "m", "timeout_s": 5.0, **fields}
    return EndpointSpec(base_url=base_url, digest=f"sha256:{base_url}{fields}", **fields)


def ask(text: str = "hi", **fields: Any) -> ChatRequest:
    return ChatRequest([{"role": "user", "content": text}], **fields)
