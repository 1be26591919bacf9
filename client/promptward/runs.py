"""Runs: start, watch, read, stop."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import msgspec

from promptward.artifacts import PAGE, segment
from promptward.core import LONG_S
from promptward.shapes import Comparison, Event, Page, Result, Run, RunCase, RunPlan, RunSlices, RunStarted, RunSummary
from promptward.twin import Group, Mode, operation, streaming

if TYPE_CHECKING:
    import pandas

CASES = 50
ExportFormat = Literal["jsonl", "csv", "parquet"]


class Filters(TypedDict, total=False):
    """Which cells; all that is given must hold.

    `failed`: some metric did not pass. `passed` goes with `metric`. `flipped_against`: another candidate or variant, to
    which the case changed sides. `q`: text in the answer, or in what `q_in` says. `slice`: `tag=<tag>` or
    `metadata.<field>=<value>`. `min` and `max` bound the value of `metric`. `evidence` does not choose: it asks for what was retrieved, sent
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
    q_in: Literal["answer", "inputs", "explanation", "any"] | None
    slice: str | None
    min: float | None
    max: float | None
    error_kind: str | None
    slower_than_ms: float | None
    evidence: bool


class More(TypedDict, total=False):
    """What a run may be asked for beside its candidates; None is as if it were left out.

    `matrix`: `{prompts, rag_configs, tool_configs, endpoints, params}`, every combination a candidate. `only`:
    `{tags, ids, text}`, which cases; of those `max_cases`, drawn by `seed`, with `stratify` in the shares of their tags.
    """

    baseline: Mapping[str, Any] | None
    matrix: Mapping[str, Any] | None
    repeats: int | None
    budget_usd: float | None
    max_cases: int | None
    seed: int | None
    stratify: bool | None
    only: Mapping[str, Any] | None
    fresh: bool | None
    priority: str | None
    batch: bool | None


class Runs(Group[Mode]):
    @operation
    async def create(
        self,
        suite: str | Mapping[str, Any],
        candidates: Sequence[Mapping[str, Any]] = (),
        *,
        wait: float | None = None,
        **more: Unpack[More],
    ) -> RunStarted | Run:
        """Starts a run. With `wait`, the finished run when it ends within so many seconds."""
        body = _body(suite, candidates, more)
        started: RunStarted | Run = await self._core.json(
            "POST", "/api/v1/runs", body=body, params={"wait": wait}, extra_s=wait or 0.0
        )
        return started

    @operation
    async def plan(
        self,
        suite: str | Mapping[str, Any],
        candidates: Sequence[Mapping[str, Any]] = (),
        **more: Unpack[More],
    ) -> RunPlan:
        """What such a run would call, and what that may take. Nothing is stored or called."""
        body = _body(suite, candidates, more)
        plan: RunPlan = await self._core.json("POST", "/api/v1/runs/plan", body=body, extra_s=LONG_S)
        return plan

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
        """One page of the cells with their answers and scores. It may be short: the last one has no `next_cursor`."""
        params = {**_given(filters), "limit": limit, "cursor": cursor}
        page: Page[Result] = await self._core.json("GET", _path(run, "results"), params=params)
        return page

    @streaming
    async def each_result(self, run: str, /, **filters: Unpack[Filters]) -> AsyncGenerator[Result, None]:
        """All cells, page by page."""
        async for item in self._core.pages(_path(run, "results"), _given(filters), PAGE):
            yield item

    @streaming
    async def each_case(
        self,
        run: str,
        /,
        *,
        case: str | None = None,
        tag: str | None = None,
        slice: str | None = None,  # noqa: A002
        variants: Sequence[str] = (),
    ) -> AsyncGenerator[RunCase, None]:
        """All cases with the cells of all variants, or of those named, beside each other."""
        params = {"case": case, "tag": tag, "slice": slice, "variant": [*variants] or None}
        async for item in self._core.pages(_path(run, "cases"), params, CASES):
            yield item

    @operation
    async def summary(self, run: str, by: str | None = None) -> RunSlices:
        """Metrics over all cases and, with `by` (`tag` or `metadata.<field>`), over those of each slice."""
        found: RunSlices = await self._core.json("GET", _path(run, "summary"), params={"by": by}, extra_s=LONG_S)
        return found

    @operation
    async def frame(self, run: str) -> "pandas.DataFrame":
        """All cells as a table of pandas, a row each: the index is variant, case and repeat; a metric has a column with its
        values, and `<metric>.passed`, `.status` and `.label` beside it. Needs pandas: `pip install 'promptward-client[pandas]'`.
        """
        from promptward.frames import Frame

        read: Run = await self._core.json("GET", _path(run))
        table = Frame([metric for variant in read["variants"] for metric in variant["metrics"]])
        async with self._core.streamed(_path(run, "export"), {"format": "jsonl"}) as pieces:
            async for piece in pieces:
                table.add(piece)
        return table.made()

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
    async def resume(self, run: str, *, budget_usd: float | None = None, only: Literal["errors"] | None = None) -> Run:
        """Runs what was cancelled, or lost to infrastructure; `only` errors the latter alone. `budget_usd` replaces the
        budget."""
        body = {k: v for k, v in {"budget_usd": budget_usd, "only": only}.items() if v is not None}
        found: Run = await self._core.json("POST", _path(run, "resume"), body=body or None)
        return found

    @operation
    async def extend(
        self,
        run: str,
        *,
        max_cases: int | None = None,
        repeats: int | None = None,
        budget_usd: float | None = None,
    ) -> Run:
        """More cases or repeats into a run at rest; the numbers are those that it is to have in all."""
        given = {"max_cases": max_cases, "repeats": repeats, "budget_usd": budget_usd}
        body = {k: v for k, v in given.items() if v is not None}
        found: Run = await self._core.json("POST", _path(run, "extend"), body=body)
        return found

    @operation
    async def clone(self, run: str, /, **changes: Any) -> RunStarted:
        """A new run, asked for as this one was, but for the changes: fields of a run's request."""
        started: RunStarted = await self._core.json("POST", _path(run, "clone"), body={"changes": changes})
        return started

    @operation
    async def rescore(self, run: str, *, suite: str | Mapping[str, Any] | None = None) -> Run:
        """Scores the stored answers by the current scorers of the run's suite, or of another one. Calls no model."""
        body = {"suite": suite} if suite is not None else None
        found: Run = await self._core.json("POST", _path(run, "rescore"), body=body)
        return found


def _body(suite: Any, candidates: Sequence[Mapping[str, Any]], more: More) -> dict[str, Any]:
    given = {name: value for name, value in more.items() if value is not None}
    return {"suite": suite, "candidates": [*candidates], **given}


def _given(filters: Filters) -> dict[str, Any]:
    return {**filters}


def _path(run: str, *rest: str) -> str:
    return "/".join(["/api/v1/runs", segment(run), *rest])
