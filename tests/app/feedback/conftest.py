"""Answers that were served in a rollout, logged as the gateway does, and clients that rate them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.access.schemas import DEFAULT_PROJECT
from app.feedback.schemas import Arm, Served, Split
from app.feedback.service import Feedback
from app.kit.asgi import KeepEncodedSlash
from app.kit.clock import utc_now
from app.kit.ids import new_id
from tests.conftest import PostgreSQL, client_of, database

RELEASE = "rel_" + "1" * 32


class People:
    def __init__(self, app: KeepEncodedSlash, client: httpx2.AsyncClient) -> None:
        self.app, self.client = app, client
        self.feedback: Feedback = app.litestar.state.feedback

    async def prompt(self, name: str = "ask") -> None:
        messages = [{"role": "user", "content": "{{ question }}"}]
        content = {"messages": messages, "variables": {"question": {"type": "string"}}}
        answer = await self.client.post(f"/api/v1/prompts/{name}/versions", json={"content": content})
        assert answer.status_code in (200, 201), answer.text

    async def served(
        self,
        unit: str | None = "ann",
        arm: Arm | None = "candidate",
        *,
        phase: int = 0,
        project: str = DEFAULT_PROJECT,
        status: Any = "answered",
        latency_ms: float | None = 100.0,
        at: Any = None,
        **more: Any,
    ) -> tuple[str, str]:
        """An answer of a rollout (or, without `arm`, outside one): its id and its receipt."""
        hashed = None if unit is None else self.feedback.unit_hash(project, unit)
        inference = Served(
            id=new_id("inf"),
            project_id=project,
            environment="production",
            prompt="ask",
            version=2 if arm == "candidate" else 1,
            prompt_digest=None,
            bundle=None,
            release=RELEASE,
            split=None if arm is None or hashed is None else Split(RELEASE, phase, arm, hashed),
            unit=hashed,
            key_id="k",
            status=status,
            at=at or utc_now(),
            latency_ms=latency_ms,
            **more,
        )
        await self.feedback.log(inference)
        return inference.id, self.feedback.receipt(project, inference.id, at)

    async def rate(self, body: Any, status: int = 201, client: httpx2.AsyncClient | None = None) -> dict[str, Any]:
        answer = await (client or self.client).post("/api/v1/feedback", json=body)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    async def thumbs(self, receipt: str, value: float, **more: Any) -> dict[str, Any]:
        return await self.rate({"receipt": receipt, "signal": "thumbs", "value": value, **more})

    async def get(self, path: str, code: int = 200, **params: Any) -> dict[str, Any]:
        answer = await self.client.get(f"/api/v1{path}", params=params)
        assert answer.status_code == code, answer.text
        return dict(answer.json())

    async def votes(self, signal: str = "thumbs") -> dict[tuple[int, str], tuple[int, float]]:
        """(phase, arm) -> number and sum of the counted votes."""
        async with self.app.litestar.state.sessions() as session:
            found = await self.feedback.tallies(session, DEFAULT_PROJECT, RELEASE)
        counted: dict[tuple[int, str], tuple[int, float]] = {}
        for tally in found:
            if tally.signal == signal and tally.n:
                n, total = counted.get((tally.phase, tally.arm), (0, 0.0))
                counted[tally.phase, tally.arm] = (n + tally.n, total + tally.total)
        return counted

    @asynccontextmanager
    async def key(self, role: str) -> AsyncIterator[httpx2.AsyncClient]:
        made = await self.client.post("/api/v1/keys", json={"role": role, "name": role})
        async with client_of(self.app, made.json()["key"]) as client:
            yield client


@pytest.fixture
async def people(app: KeepEncodedSlash, client: httpx2.AsyncClient) -> People:
    return People(app, client)


@pytest.fixture
async def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path, postgresql: PostgreSQL | None
) -> AsyncIterator[str]:
    """SQLite; tests marked `on_both` have PostgreSQL too."""
    async with database(getattr(request, "param", "sqlite"), tmp_path, sqlite_template, postgresql) as url:
        yield url
