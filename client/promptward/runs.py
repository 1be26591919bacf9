"""Runs: start, watch, read, stop."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from promptward.artifacts import PAGE, segment
from promptward.shapes import Comparison, Event, Page, Result, Run, RunStarted
from promptward.twin import Group, Mode, operation, streaming

ExportFormat = Literal["jsonl", "csv", "parquet"]
LONG_S = 600.0
"""How much longer than usual an export or a comparison of a large run may take."""


class Runs(Group[Mode]):
    @operation
    async def create(
        self,
        suite: str,
        candidates: Sequence[Mapping[str, Any]],
        *,
        baseline: Mapping[str, Any] | None = None,
        repeats: int | None = None,
        budget_usd: float | None = None,
        max_cases: int | None = None,
        fresh: bool | None = None,
        wait: float | None = None,
    ) -> RunStarted | Run:
        """Starts a run. With `wait`, the finished run when it ends within so many seconds."""
        given = {
            "baseline": baseline,
            "repeats": repeats,
            "budget_usd": budget_usd,
            "max_cases": max_cases,
            "fresh": fresh,
        }
        body = {"suite": suite, "candidates": [*candidates]} | {k: v for k, v in given.items() if v is not None}
        started: RunStarted | Run = await self._core.json(
            "POST", "/api/v1/runs", body=body, params={"wait": wait}, extra_s=wait or 0.0
        )
        return started

    @operation
    async def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[Run]:
        """One page of runs, newest first."""
        page: Page[Run] = await self._core.json("GET", "/api/v1/runs", params={"limit": limit, "cursor": cursor})
        return page

    @operation
    async def get(self, run: str) -> Run:
        found: Run = await self._core.json("GET", _path(run))
        return found

    @streaming
    async def events(self, run: str) -> AsyncGenerator[Event, None]:
        """The run's progress as it happens, to its end."""
        async with self._core.events("GET", _path(run, "events")) as source:
            async for event in source:
                yield {"event": event.event, "data": msgspec.json.decode(event.data) if event.data else None}

    @operation
    async def results(
        self, run: str, *, limit: int | None = None, cursor: str | None = None, **filters: str | bool | None
    ) -> Page[Result]:
        """One page of the cells with their answers and scores; `filters` as the route takes them."""
        params = {**filters, "limit": limit, "cursor": cursor}
        page: Page[Result] = await self._core.json("GET", _path(run, "results"), params=params)
        return page

    @streaming
    async def each_result(self, run: str, **filters: str | bool | None) -> AsyncGenerator[Result, None]:
        """All cells, page by page."""
        async for item in self._core.pages(_path(run, "results"), filters, PAGE):
            yield item

    @operation
    async def comparison(self, run: str, *, candidate: str | None = None, baseline: str | None = None) -> Comparison:
        """Paired by case. Both sides are candidate ids or variant ids, of this run or `<run>/<id>`."""
        params = {"candidate": candidate, "baseline": baseline}
        path = _path(run, "comparison")
        comparison: Comparison = await self._core.json("GET", path, params=params, extra_s=LONG_S)
        return comparison

    @operation
    async def export(self, run: str, format: ExportFormat = "jsonl") -> bytes:  # noqa: A002  the route's own word
        """The results as a file."""
        response = await self._core.send("GET", _path(run, "export"), params={"format": format}, extra_s=LONG_S)
        return response.content

    @operation
    async def cancel(self, run: str) -> Any:
        """Stops a run; what has been answered is kept."""
        return await self._core.json("POST", _path(run, "cancel"))

    @operation
    async def resume(self, run: str) -> Any:
        """Continues a run where it stopped."""
        return await self._core.json("POST", _path(run, "resume"))


def _path(run: str, *rest: str) -> str:
    return "/".join(["/api/v1/runs", segment(run), *rest])
