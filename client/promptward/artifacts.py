"""Artifacts of every kind: list, fetch, new versions, labels, differences."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from promptward.core import Core
from promptward.shapes import Artifact, Diff, LabelMove, Page, Rendered, Version, VersionSummary
from promptward.twin import Group, Mode, Portal, operation, streaming

KINDS = ("prompts", "rag-configs", "tool-configs", "endpoints", "datasets", "suites", "rubrics", "gate-policies")
PAGE = 200


def segment(name: str) -> str:
    """A name as one segment of a path: `docs/answer` becomes `docs%2Fanswer`."""
    return quote(name, safe="")


class Artifacts(Group[Mode]):
    """Artifacts of one kind. A `ref` is a number, a label or a digest (`7`, `production`, `sha256:1f3a…`)."""

    def __init__(self, core: Core, portal: Portal | None = None, kind: str = "") -> None:
        super().__init__(core, portal)
        self.kind = kind

    def _asynchronous(self) -> "Artifacts[Any]":
        return type(self)(self._core, kind=self.kind)

    def _path(self, name: str, *rest: str) -> str:
        return "/".join(["/api/v1", self.kind, segment(name), *rest])

    @operation
    async def list(
        self,
        q: str | None = None,
        *,
        tag: str | None = None,
        label: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Artifact]:
        """One page of names; `q` searches names and texts."""
        params = {"q": q, "tag": tag, "label": label, "limit": limit, "cursor": cursor}
        page: Page[Artifact] = await self._core.json("GET", f"/api/v1/{self.kind}", params=params)
        return page

    @streaming
    async def each(
        self, q: str | None = None, *, tag: str | None = None, label: str | None = None
    ) -> AsyncGenerator[Artifact, None]:
        """All of them, page by page."""
        params = {"q": q, "tag": tag, "label": label}
        async for item in self._core.pages(f"/api/v1/{self.kind}", params, PAGE):
            yield item

    @operation
    async def get(self, name: str, ref: str | int | None = None, *, label: str | None = None) -> Version:
        """The version that `ref` or `label` names; the latest without either."""
        chosen = ref if ref is not None else label if label is not None else "latest"
        version: Version = await self._core.json("GET", self._path(name, "versions", segment(str(chosen))))
        return version

    @operation
    async def versions(self, name: str, *, limit: int | None = None, cursor: str | None = None) -> Page[VersionSummary]:
        """One page of the versions, newest first."""
        params = {"limit": limit, "cursor": cursor}
        page: Page[VersionSummary] = await self._core.json("GET", self._path(name, "versions"), params=params)
        return page

    @streaming
    async def each_version(self, name: str) -> AsyncGenerator[VersionSummary, None]:
        """All versions, newest first."""
        async for item in self._core.pages(self._path(name, "versions"), {}, PAGE):
            yield item

    @operation
    async def create_version(
        self, name: str, content: Mapping[str, Any], *, message: str = "", labels: Sequence[str] = ()
    ) -> Version:
        """A new version; the latest one again when it has this very content."""
        body = {"content": content, "message": message, "labels": [*labels]}
        version: Version = await self._core.json("POST", self._path(name, "versions"), body=body)
        return version

    @operation
    async def diff(self, name: str, from_: str | int, to: str | int) -> Diff:
        """What changed between two versions."""
        params = {"from": str(from_), "to": str(to)}
        diff: Diff = await self._core.json("GET", self._path(name, "diff"), params=params)
        return diff

    @operation
    async def label(self, name: str, label: str, version: int | str, *, reason: str | None = None) -> Any:
        """Moves a free label. An environment's label moves by a release alone (`label-protected`)."""
        body = {"version": version} | ({"reason": reason} if reason is not None else {})
        return await self._core.json("PUT", self._path(name, "labels", segment(label)), body=body)

    @operation
    async def unlabel(self, name: str, label: str, *, reason: str | None = None) -> None:
        """Removes a free label."""
        body = {"reason": reason} if reason is not None else None
        await self._core.json("DELETE", self._path(name, "labels", segment(label)), body=body)

    @streaming
    async def each_label_move(self, name: str, label: str) -> AsyncGenerator[LabelMove, None]:
        """Every move of a label: from, to, who, when, why."""
        async for item in self._core.pages(self._path(name, "labels", segment(label), "history"), {}, PAGE):
            yield item


class Prompts(Artifacts[Mode]):
    @operation
    async def render(
        self, name: str, ref: str | int, variables: Mapping[str, Any], *, encoding: str | None = None
    ) -> Rendered:
        """The messages with these variables, and how many tokens they are in `encoding`."""
        body = {"variables": variables} | ({"encoding": encoding} if encoding is not None else {})
        path = self._path(name, "versions", segment(str(ref)), "render")
        rendered: Rendered = await self._core.json("POST", path, body=body)
        return rendered


class Datasets(Artifacts[Mode]):
    @operation
    async def upload(self, name: str, data: bytes, media_type: str) -> Version:
        """A new version from a file: `text/csv`, `application/x-ndjson` or `application/vnd.apache.parquet`."""
        path = self._path(name, "versions")
        response = await self._core.send("POST", path, content=data, media_type=media_type)
        version: Version = self._core.decoded(response)
        return version

    @streaming
    async def items(self, name: str, ref: str | int) -> AsyncGenerator[dict[str, Any], None]:
        """The items of a version, page by page."""
        async for item in self._core.pages(self._path(name, "versions", segment(str(ref)), "items"), {}, PAGE):
            yield item
