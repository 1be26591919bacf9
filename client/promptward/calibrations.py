"""Calibrations: how far a rubric's judge agrees with people."""

from collections.abc import Mapping
from typing import Any

from promptward.artifacts import segment
from promptward.core import LONG_S
from promptward.shapes import Page
from promptward.twin import Group, Mode, operation


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
