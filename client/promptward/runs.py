"""Runs: start, watch, read, stop."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

import msgspec

from promptward.artifacts import PAGE, segment
from promptward.core import LONG_S
from promptward.shapes import Comparison, Event, Page, Result, Run, RunStarted, RunSummary
from promptward.twin import Group, Mode, operation, streaming

ExportFormat = Literal["jsonl", "csv", "parquet"]


class Filters(TypedDict, total=False):
    """Which cells; all that is given must hold.

    `failed`: some metric did not pass. `passed` goes with `metric`. `flipped_against`: another candidate or variant, to
    which the case changed sides. `q`: text in the answer. `evidence` does not choose: it asks for what was retrieved, sent
    and said in between, too.
    """

    variant: str | None
    case: str | None
    status: str | None
    tag: str | None
    metric: str | None
    passed: bool | None
    failed: bool | None
    flipped_against: str | None
    q: str | None
    evidence: bool


class Runs(Group[Mode]):
    @operation
    async def create(
        self,
        suite: str | Mapping[str, Any],
        candidates: Sequence[Mapping[str, Any]],
        *,
        baseline: Mapping[str, Any] | None = None,
        repeats: int | None = None,
        budget_usd: float | None = None,
        max_cases: int | None = None,
        fresh: bool | None = None,
        batch: bool | None = None,
        wait: float | None = None,
    ) -> RunStarted | Run:
        """Starts a run. With `wait`, the finished run when it ends within so many seconds."""
        given = {
            "baseline": baseline,
            "repeats": repeats,
            "budget_usd": budget_usd,
            "max_cases": max_cases,
            "fresh": fresh,
            "batch": batch,
        }
        body = {"suite": suite, "candidates": [*candidates]} | {k: v for k, v in given.items() if v is not None}
        started: RunStarted | Run = await self._core.json(
            "POST", "/api/v1/runs", body=body, params={"wait": wait}, extra_s=wait or 0.0
        )
        return started

    @operation
    async def list(
        self,
        *,
        status: str | None = None,
        suite: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[RunSummary]:
        """One page of runs, newest first."""
        params = {"status": status, "suite": suite, "limit": limit, "cursor": cursor}
        page: Page[RunSummary] = await self._core.json("GET", "/api/v1/runs", params=params)
        return page

    @streaming
    async def each(self, *, status: str | None = None, suite: str | None = None) -> AsyncGenerator[RunSummary, None]:
        """All runs, newest first."""
        async for item in self._core.pages("/api/v1/runs", {"status": status, "suite": suite}, PAGE):
            yield item

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
        self, run: str, /, *, limit: int | None = None, cursor: str | None = None, **filters: Unpack[Filters]
    ) -> Page[Result]:
        """One page of the cells with their answers and scores."""
        params = {**_given(filters), "limit": limit, "cursor": cursor}
        page: Page[Result] = await self._core.json("GET", _path(run, "results"), params=params)
        return page

    @streaming
    async def each_result(self, run: str, /, **filters: Unpack[Filters]) -> AsyncGenerator[Result, None]:
        """All cells, page by page."""
        async for item in self._core.pages(_path(run, "results"), _given(filters), PAGE):
            yield item

    @operation
    async def comparison(self, run: str, *, candidate: str | None = None, baseline: str | None = None) -> Comparison:
        """Paired by case. Both sides are candidate ids or variant ids, of this run or `<run>/<id>`."""
        params = {"candidate": candidate, "baseline": baseline}
        path = _path(run, "comparison")
        comparison: Comparison = await self._core.json("GET", path, params=params, extra_s=LONG_S)
        return comparison

    @streaming
    async def export(self, run: str, format: ExportFormat = "jsonl") -> AsyncGenerator[bytes, None]:  # noqa: A002
        """The results as a file, piece by piece."""
        async with self._core.streamed(_path(run, "export"), {"format": format}) as pieces:
            async for piece in pieces:
                yield piece

    @operation
    async def cancel(self, run: str) -> Run:
        """Stops a run: no new call from now on. What has been answered is kept."""
        found: Run = await self._core.json("POST", _path(run, "cancel"))
        return found

    @operation
    async def resume(self, run: str, *, budget_usd: float | None = None) -> Run:
        """Runs what was cancelled, or lost to infrastructure. `budget_usd` replaces the budget."""
        body = {"budget_usd": budget_usd} if budget_usd is not None else None
        found: Run = await self._core.json("POST", _path(run, "resume"), body=body)
        return found

    @operation
    async def rescore(self, run: str, *, suite: str | Mapping[str, Any] | None = None) -> Run:
        """Scores the stored answers by the current scorers of the run's suite, or of another one. Calls no model."""
        body = {"suite": suite} if suite is not None else None
        found: Run = await self._core.json("POST", _path(run, "rescore"), body=body)
        return found


def _given(filters: Filters) -> dict[str, Any]:
    return {**filters}


def _path(run: str, *rest: str) -> str:
    return "/".join(["/api/v1/runs", segment(run), *rest])
