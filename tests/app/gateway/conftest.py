"""A released prompt on a model endpoint over a socket, and the official client before the service on another one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import uvicorn

from app.kit.asgi import KeepEncodedSlash
from app.kit.sockets import listening_socket
from tests.app.llm.canned import events
from tests.app.releases.conftest import Door
from tests.app.runs.endpoint import Endpoint, endpoint, question_of
from tests.conftest import TOKEN, client_of, settings_for, started

CASES = 40
CONTENT = {
    "messages": [{"placeholder": "history"}, {"role": "user", "content": "{{ question }}"}],
    "variables": {"question": {"type": "string"}},
    "params": {"temperature": 0},
}


def piece(text: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None, **more}]}


def streaming(body: dict[str, Any]) -> bytes | str:
    """Word by word when asked to stream."""
    words = f"you asked: {question_of(body)}".split(" ")
    if not body.get("stream"):
        return " ".join(words)
    pieces = [piece(word if i == 0 else f" {word}") for i, word in enumerate(words)]
    usage = {"model": "m", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
    return events(*pieces, piece(finish_reason="stop"), usage, "[DONE]")


class Shop(Door):
    """A product team's view: something is live, on an endpoint whose answers the test decides."""

    def __init__(self, client: httpx2.AsyncClient, model: Endpoint, url: str, state: Any) -> None:
        super().__init__(client)
        self.model, self.url, self.state = model, url, state

    def openai(self, key: str = TOKEN, **options: Any) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, **options)

    async def open(self, content: dict[str, Any] | None = None, name: str = "docs/answer") -> dict[str, Any]:
        """The first release, live."""
        await self.make("prompts", name, content or CONTENT)
        items = [
            {"id": f"q{n}", "inputs": {"question": f"question {n}"}, "reference": f"you asked: question {n}"}
            for n in range(CASES)
        ]
        await self.make("datasets", "questions", {"items": items})
        here = {"provider": "compatible", "base_url": self.model.base_url, "model": "m"}
        await self.make("endpoints", "model", here)
        await self.make("endpoints", "other", {**here, "model": "other"})
        rules = [{"metric": "right", "floor": 0.6}]
        await self.make("gate-policies", "easy", {"rules": rules, "extend": {"max_repeats": 1}})
        scorers = [{"use": "exact_match", "name": "right"}]
        await self.make("suites", "checks", {"dataset": "questions", "endpoints": ["model"], "scorers": scorers})
        body = {"prompts": {name: {"suites": ["checks"], "policy": "easy"}}}
        assert (await self.client.put("/api/v1/environments/production", json=body)).status_code == 200
        release = await self.release("model", prompt=name)
        assert release["state"] == "live", release
        return release

    async def roll(self, share: float = 0.5, name: str = "docs/answer") -> dict[str, Any]:
        """A second release on its way."""
        release = await self.release("other", prompt=name, rollout={"steps": [share]})
        assert release["state"] == "rolling_out", release
        return release

    async def fetch(self, unit: str | None = None, code: int = 200, **headers: str) -> httpx2.Response:
        answer = await self.client.get(
            "/api/v1/environments/production/prompts/docs%2Fanswer",
            params={} if unit is None else {"unit": unit},
            headers=headers,
        )
        assert answer.status_code == code, answer.text
        return answer


@asynccontextmanager
async def listening(app: KeepEncodedSlash) -> AsyncIterator[str]:
    """The started application on a socket of its own."""
    with listening_socket("127.0.0.1", 0) as socket:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[socket]))
        while not server.started:  # noqa: ASYNC110 - uvicorn offers no event to wait for
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
async def shop(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Shop]:
    """On SQLite: what is stored is the rooms' below, which are tried on both databases."""
    async with (
        started(settings_for(tmp_path / "home", sqlite_url)) as app,
        client_of(app) as client,
        endpoint(streaming) as model,
        listening(app) as url,
    ):
        yield Shop(client, model, url, app.litestar.state)
