"""Schedules, and what their runs say over time."""

from collections.abc import Mapping
from typing import Any

from promptward.artifacts import segment
from promptward.core import LONG_S
from promptward.shapes import Page
from promptward.twin import Group, Mode, operation


class Schedules(Group[Mode]):
    @operation
    async def list(self) -> Page[dict[str, Any]]:
        """Every schedule, with when it is due and what became of it last."""
        page: Page[dict[str, Any]] = await self._core.json("GET", "/api/v1/schedules")
        return page

    @operation
    async def get(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = await self._core.json("GET", f"/api/v1/schedules/{segment(name)}")
        return found

    @operation
    async def create(self, name: str, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Declares a schedule: `{cron, suite, candidates | live, …}` or `{on: "new_endpoint", suites, prompt, champion?, …}`."""
        made: dict[str, Any] = await self._core.json("POST", "/api/v1/schedules", body={**definition, "name": name})
        return made

    @operation
    async def change(self, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Changes some fields; None puts one back to its default."""
        path = f"/api/v1/schedules/{segment(name)}"
        changed: dict[str, Any] = await self._core.json("PATCH", path, body={**changes})
        return changed

    @operation
    async def delete(self, name: str) -> None:
        await self._core.json("DELETE", f"/api/v1/schedules/{segment(name)}")

    @operation
    async def run(self, name: str, *, endpoint: str | None = None) -> Page[dict[str, Any]]:
        """Runs a schedule now, one run per suite; a sentinel is told which endpoint to evaluate."""
        path, body = f"/api/v1/schedules/{segment(name)}/run", {} if endpoint is None else {"endpoint": endpoint}
        made: Page[dict[str, Any]] = await self._core.json("POST", path, body=body, extra_s=LONG_S)
        return made

    @operation
    async def runs(self, name: str, *, limit: int | None = None, cursor: str | None = None) -> Page[dict[str, Any]]:
        """One page of what became of each time that it was due, newest first."""
        path, params = f"/api/v1/schedules/{segment(name)}/runs", {"limit": limit, "cursor": cursor}
        page: Page[dict[str, Any]] = await self._core.json("GET", path, params=params)
        return page

    @operation
    async def leaderboard(self, suite: str, *, metric: str | None = None, since: str | None = None) -> dict[str, Any]:
        """Endpoints and prompts side by side on one suite, the best first."""
        params = {"suite": suite, "metric": metric, "since": since}
        board: dict[str, Any] = await self._core.json("GET", "/api/v1/leaderboard", params=params)
        return board

    @operation
    async def drift(self, suite: str, *, endpoint: str | None = None) -> dict[str, Any]:
        """Whether the same content, asked afresh on the same cases, answers as it did."""
        params = {"suite": suite, "endpoint": endpoint}
        found: dict[str, Any] = await self._core.json("GET", "/api/v1/drift", params=params, extra_s=LONG_S)
        return found
