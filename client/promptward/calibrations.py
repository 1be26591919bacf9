"""Calibrations: how far a rubric's judge agrees with people."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from promptward.artifacts import PAGE, segment
from promptward.core import LONG_S
from promptward.shapes import Page
from promptward.twin import Group, Mode, operation, streaming


class Calibrations(Group[Mode]):
    @operation
    async def create(self, rubric: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Measures a rubric's judge: `{labels | feedback | dataset | queue, ref?, split?, seed?, …}`."""
        path = f"/api/v1/rubrics/{segment(rubric)}/calibrations"
        made: dict[str, Any] = await self._core.json("POST", path, body={**asked}, extra_s=LONG_S)
        return made

    @operation
    async def list(self, rubric: str, *, limit: int | None = None, cursor: str | None = None) -> Page[dict[str, Any]]:
        """One page of a rubric's calibrations, newest first."""
        path, params = f"/api/v1/rubrics/{segment(rubric)}/calibrations", {"limit": limit, "cursor": cursor}
        page: Page[dict[str, Any]] = await self._core.json("GET", path, params=params)
        return page

    @operation
    async def get(self, calibration: str) -> dict[str, Any]:
        found: dict[str, Any] = await self._core.json("GET", f"/api/v1/calibrations/{segment(calibration)}")
        return found

    @operation
    async def draw(self, rubric: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Draws answers of a run for people to label: `{run, n?, by?, metric?, against?, variant?, seed?}`."""
        path = f"/api/v1/rubrics/{segment(rubric)}/label-queue"
        made: dict[str, Any] = await self._core.json("POST", path, body={**asked}, extra_s=LONG_S)
        return made

    @streaming
    async def queued(
        self, rubric: str, queue: str | None = None, *, labelled: bool | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The answers of a queue, by default of the newest."""
        params = {"queue": queue, "labelled": labelled}
        async for item in self._core.pages(f"/api/v1/rubrics/{segment(rubric)}/label-queue", params, PAGE):
            yield item

    @operation
    async def label(self, rubric: str, item: str, human: str | float | bool | None) -> dict[str, Any]:
        """Says what an answer of a queue is worth; None takes it back."""
        path = f"/api/v1/rubrics/{segment(rubric)}/label-queue/{segment(item)}"
        kept: dict[str, Any] = await self._core.json("PUT", path, body={"human": human})
        return kept
