"""A project with an environment, and the few calls that every test of releases begins with. Answers are replayed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.kit.asgi import KeepEncodedSlash
from tests.conftest import PostgreSQL, client_of, database

CASES = 60
POLICY: dict[str, Any] = {
    "extend": {"max_repeats": 1},
    "rules": [{"metric": "right", "no_regression": {"margin": 0.10}}, {"metric": "right", "floor": 0.60}],
}
RIGHT = {"good": 1.0, "alike": 1.0, "also": 1.0, "bad": 0.4, "poor": 0.3}
"""How often each recorded model is right."""


class Door:
    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def post(self, path: str, body: Any = None, status: int = 200, **options: Any) -> dict[str, Any]:
        answer = await self.client.post(f"/api/v1{path}", json=body or {}, timeout=60, **options)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    async def make(self, kind: str, name: str, content: dict[str, Any]) -> dict[str, Any]:
        answer = await self.client.post(
            f"/api/v1/{kind}/{name.replace('/', '%2F')}/versions", json={"content": content}
        )
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    async def prompt(self, text: str = "{{ question }}", name: str = "ask") -> dict[str, Any]:
        messages = [{"role": "user", "content": text}]
        return await self.make("prompts", name, {"messages": messages, "variables": {"question": {"type": "string"}}})

    async def build(self, **rules: Any) -> None:
        """A prompt, a suite of questions with recorded answers of several models, a policy, and production's rules."""
        await self.prompt()
        items = []
        for n in range(CASES):
            recorded = {
                model: {"text": f"answer {n}" if n < share * CASES else "no idea"} for model, share in RIGHT.items()
            }
            items.append(
                {
                    "id": f"q{n}",
                    "inputs": {"question": f"question {n}"},
                    "reference": f"answer {n}",
                    "recorded": recorded,
                }
            )
        await self.make("datasets", "questions", {"items": items})
        for model in RIGHT:
            await self.make("endpoints", model, {"provider": "replay", "model": model})
        await self.policy()
        await self.suite()
        await self.environment(**rules)

    async def policy(self, **changes: Any) -> None:
        await self.make("gate-policies", "strict", {**POLICY, **changes})

    async def suite(self, **changes: Any) -> None:
        scorers = [{"use": "exact_match", "name": "right"}]
        await self.make(
            "suites", "checks", {"dataset": "questions", "endpoints": ["good"], "scorers": scorers, **changes}
        )

    async def environment(self, name: str = "production", **rules: Any) -> dict[str, Any]:
        body = {"prompts": {"ask": {"suites": ["checks"], "policy": "strict"}}, **rules}
        answer = await self.client.put(f"/api/v1/environments/{name}", json=body)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    async def release(
        self, endpoint: str = "good", *, wait: int = 30, status: int = 201, **body: Any
    ) -> dict[str, Any]:
        """A release once it is evaluated."""
        body = {"environment": "production", "prompt": "ask", "endpoint": endpoint, **body}
        return await self.post(f"/releases?wait={wait}", body, status)

    async def act(self, release: dict[str, Any], what: str, status: int = 200, **body: Any) -> dict[str, Any]:
        return await self.post(f"/releases/{release['id']}/{what}", body, status)

    async def get(self, path: str, code: int = 200, **params: Any) -> dict[str, Any]:
        answer = await self.client.get(f"/api/v1{path}", params=params)
        assert answer.status_code == code, answer.text
        return dict(answer.json())

    async def read(self, release: dict[str, Any]) -> dict[str, Any]:
        return await self.get(f"/releases/{release['id']}")

    async def label(self, label: str = "production") -> int | None:
        """The version that carries a label."""
        answer = await self.client.get(f"/api/v1/prompts/ask/versions/{label}")
        return None if answer.status_code == 404 else int(answer.json()["version"])


class Keys:
    """Clients of other people."""

    def __init__(self, app: KeepEncodedSlash, admin: httpx2.AsyncClient) -> None:
        self._app, self._admin = app, admin

    @asynccontextmanager
    async def of(self, role: str, name: str | None = None) -> AsyncIterator[Door]:
        answer = await self._admin.post("/api/v1/keys", json={"role": role, "name": name or role})
        async with client_of(self._app, answer.json()["key"]) as client:
            yield Door(client)


@pytest.fixture
async def door(client: httpx2.AsyncClient) -> Door:
    """An administrator before an empty project, on either database."""
    return Door(client)


@pytest.fixture
def keys(app: KeepEncodedSlash, client: httpx2.AsyncClient) -> Keys:
    return Keys(app, client)


@pytest.fixture
async def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path, postgresql: PostgreSQL | None
) -> AsyncIterator[str]:
    """SQLite; tests marked `on_both` have PostgreSQL too."""
    async with database(getattr(request, "param", "sqlite"), tmp_path, sqlite_template, postgresql) as url:
        yield url
