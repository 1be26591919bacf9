"""Artifacts of every kind: list, fetch, new versions, labels, differences."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from promptward.core import LONG_S, Core
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
        owner: str | None = None,
        folder: str | None = None,
        archived: bool | None = None,
        sort: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Artifact]:
        """One page of names; `q` searches names and texts. `sort` is name, created_at or updated_at, `-` before it downwards."""
        params = {
            "q": q,
            "tag": tag,
            "label": label,
            "owner": owner,
            "folder": folder,
            "archived": archived,
            "sort": sort,
            "limit": limit,
            "cursor": cursor,
        }
        page: Page[Artifact] = await self._core.json("GET", f"/api/v1/{self.kind}", params=params)
        return page

    @streaming
    async def each(
        self,
        q: str | None = None,
        *,
        tag: str | None = None,
        label: str | None = None,
        owner: str | None = None,
        folder: str | None = None,
        archived: bool | None = None,
        sort: str | None = None,
    ) -> AsyncGenerator[Artifact, None]:
        """All of them, page by page."""
        params = {
            "q": q,
            "tag": tag,
            "label": label,
            "owner": owner,
            "folder": folder,
            "archived": archived,
            "sort": sort,
        }
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

    @operation
    async def archive(self, name: str, *, reason: str | None = None) -> None:
        """Takes a name out of lists; its versions stay. Refused while an environment serves it."""
        await self._core.json("DELETE", self._path(name), params={"reason": reason})

    @operation
    async def restore(self, name: str, *, reason: str | None = None) -> Artifact:
        """Brings an archived name back into use."""
        found: Artifact = await self._core.json("POST", self._path(name, "restore"), params={"reason": reason})
        return found

    @operation
    async def delete_version(self, name: str, ref: str | int, *, reason: str | None = None) -> None:
        """Deletes a version that nothing ever depended on; `in-use` names what does."""
        path = self._path(name, "versions", segment(str(ref)))
        await self._core.json("DELETE", path, params={"reason": reason})

    @operation
    async def dependencies(self, name: str, ref: str | int, *, transitive: bool = False) -> dict[str, Any]:
        """What a version refers to, as it was pinned."""
        path = self._path(name, "versions", segment(str(ref)), "dependencies")
        found: dict[str, Any] = await self._core.json("GET", path, params={"transitive": transitive})
        return found

    @operation
    async def dependents(
        self, name: str, ref: str | int, *, limit: int | None = None, cursor: str | None = None
    ) -> dict[str, Any]:
        """One page of the versions that refer to a version, and who used it: labels, environments, runs, releases."""
        path = self._path(name, "versions", segment(str(ref)), "dependents")
        found: dict[str, Any] = await self._core.json("GET", path, params={"limit": limit, "cursor": cursor})
        return found


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
    async def upload(
        self,
        name: str,
        data: bytes,
        media_type: str,
        *,
        columns: Mapping[str, str] | None = None,
        message: str | None = None,
        description: str | None = None,
        sensitivity: str | None = None,
    ) -> Version:
        """A new version from a file: `text/csv`, `application/x-ndjson` or `application/vnd.apache.parquet`.

        `columns` places columns that are called otherwise: `{"Question": "inputs.question", "notes": ""}`.
        """
        path = self._path(name, "versions")
        params = {
            "message": message,
            "description": description,
            "sensitivity": sensitivity,
            "map": [f"{column}:{part}" for column, part in (columns or {}).items()] or None,
        }
        response = await self._core.send(
            "POST", path, content=data, media_type=media_type, params=params, extra_s=LONG_S
        )
        version: Version = self._core.decoded(response)
        return version

    @streaming
    async def items(
        self, name: str, ref: str | int, *, tag: str | None = None, split: str | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The items of a version, page by page."""
        path = self._path(name, "versions", segment(str(ref)), "items")
        async for item in self._core.pages(path, {"tag": tag, "split": split}, PAGE):
            yield item

    @operation
    async def change(
        self,
        name: str,
        put: Sequence[Mapping[str, Any]] = (),
        remove: Sequence[str] = (),
        *,
        message: str | None = None,
    ) -> Version:
        """A new version with some items put in, or changed by their id, and others removed."""
        body = {"put": [*put], "remove": [*remove]} | ({"message": message} if message is not None else {})
        version: Version = await self._core.json("POST", self._path(name, "items"), body=body)
        return version

    @operation
    async def from_inference(
        self,
        name: str,
        inferences: Sequence[str],
        *,
        tags: Sequence[str] = (),
        split: str = "",
        use_output: bool = False,
        message: str = "",
    ) -> Version:
        """A new version with answers from production as items: the reference is the newest correction, or with `use_output`
        what was answered."""
        body = {
            "inferences": [*inferences],
            "tags": [*tags],
            "split": split,
            "use_output": use_output,
            "message": message,
        }
        version: Version = await self._core.json("POST", self._path(name, "items:from-inference"), body=body)
        return version

    @streaming
    async def export(self, name: str, ref: str | int, format: str = "jsonl") -> AsyncGenerator[bytes, None]:  # noqa: A002
        """A version as a file, piece by piece: jsonl, csv or parquet."""
        path = self._path(name, "versions", segment(str(ref)), "export")
        async with self._core.streamed(path, {"format": format}) as pieces:
            async for piece in pieces:
                yield piece

    @operation
    async def report(self, name: str, ref: str | int, *, threshold: float | None = None) -> dict[str, Any]:
        """Duplicates, leakage between splits and into prompts, and what looks personal or secret."""
        path = self._path(name, "versions", segment(str(ref)), "report")
        found: dict[str, Any] = await self._core.json("GET", path, params={"threshold": threshold}, extra_s=LONG_S)
        return found

    @operation
    async def erase(
        self,
        name: str,
        reason: str,
        *,
        ids: Sequence[str] = (),
        field: str | None = None,
        equals: str | int | None = None,
    ) -> dict[str, int]:
        """Erases a person's items from every version: by their ids, or where `field` `equals` a value."""
        where = {} if field is None else {"field": field, "equals": equals}
        body = {"reason": reason, "ids": [*ids], **where}
        found: dict[str, int] = await self._core.json("POST", self._path(name, "erase"), body=body, extra_s=LONG_S)
        return found
