"""A project with recorded answers, a clock that tests move, and schedules that look at it when they are told to."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from app.kit.asgi import KeepEncodedSlash
from app.main import SERVICE
from app.monitoring.schedules import Schedules
from app.settings import Settings
from tests.app.runs.conftest import Project, asked
from tests.conftest import client_of, settings_for, started

__all__ = ["asked", "sqlite_time", "time"]

CASES = 24
UNTIMED = SERVICE._replace(keeps_time=False)
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
RIGHT = {"good": 1.0, "also": 1.0, "bad": 0.25}
"""How often each recorded model is right."""


class Time:
    """An application whose clock stands still until it is moved."""

    def __init__(self, now: list[datetime], app: KeepEncodedSlash, client: httpx2.AsyncClient) -> None:
        self._now, self.app, self.client = now, app, client
        self.project = Project(client)

    @property
    def schedules(self) -> Schedules:
        found: Schedules = self.app.litestar.state.schedules
        return found

    @property
    def now(self) -> datetime:
        return self._now[0]

    def move(self, to: datetime | None = None, **by: float) -> None:
        self._now[0] = to or self._now[0] + timedelta(**by)

    async def tick(self) -> int:
        return await self.schedules.tick()

    async def recorded(self, *models: str) -> None:
        """A prompt `ask`, `questions` with recorded answers, endpoints that replay them, and the suite `checks`."""
        await self.project.question()
        items = []
        for n in range(CASES):
            recorded = {m: {"text": f"answer {n}" if n < share * CASES else "no idea"} for m, share in RIGHT.items()}
            case = {"id": f"q{n}", "inputs": {"question": f"question {n}"}, "reference": f"answer {n}"}
            items.append({**case, "recorded": recorded})
        await self.project.make("datasets", "questions", {"items": items})
        await self.project.replay(*models)
        await self.suite("checks", models[0])

    async def suite(self, name: str, endpoint: str) -> None:
        scorers = [{"use": "exact_match", "name": "right"}]
        content = {"dataset": "questions", "endpoints": [endpoint], "scorers": scorers}
        await self.project.make("suites", name, content)

    async def declare(self, name: str = "nightly", status: int = 201, **body: Any) -> dict[str, Any]:
        """A schedule; every night at three when nothing else is said."""
        if "on" not in body:
            body = {"cron": "0 3 * * *", "suite": "checks", **body}
            body |= {} if "live" in body or "candidates" in body else {"candidates": [{"prompt": "ask"}]}
        return await self.request("POST", "/schedules", {"name": name, **body}, status)

    async def request(self, method: str, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
        answer = await self.client.request(method, f"/api/v1{path}", json=body)
        assert answer.status_code == status, answer.text
        return dict(answer.json()) if answer.content else {}

    async def read(self, name: str = "nightly") -> dict[str, Any]:
        return await self.request("GET", f"/schedules/{name}")

    async def runs(self, name: str = "nightly") -> list[dict[str, Any]]:
        return list((await self.request("GET", f"/schedules/{name}/runs"))["items"])

    async def ended(self, name: str = "nightly") -> dict[str, Any]:
        """What became of the schedule last, once its run is at rest."""
        last = (await self.runs(name))[0]
        if last["run"] is not None:
            await self.project.rest(last["run"])
            await self.tick()
        return (await self.runs(name))[0]


@pytest.fixture
async def time(settings: Settings) -> AsyncIterator[Time]:
    """On either database."""
    now = [START]
    async with started(settings, clock=lambda: now[0], part=UNTIMED) as app, client_of(app) as client:
        yield Time(now, app, client)


@pytest.fixture
async def sqlite_time(tmp_path: Any, sqlite_url: str) -> AsyncIterator[Time]:
    """For what does not depend on the database."""
    now = [START]
    settings = settings_for(tmp_path / "home", sqlite_url)
    async with started(settings, clock=lambda: now[0], part=UNTIMED) as app, client_of(app) as client:
        yield Time(now, app, client)
