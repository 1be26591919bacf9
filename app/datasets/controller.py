"""Routes of datasets."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, TypeVar

import anyio.to_thread
import msgspec
from litestar import Controller, Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.datasets.columns import Columns
from app.datasets.download import MEDIA_TYPES, Download, Format
from app.datasets.erasure import Erasure
from app.datasets.parsing import checked, from_json, parse
from app.datasets.report import DatasetReport, Reporter
from app.datasets.schemas import DatasetCreate, DatasetDiff, Entry, Erase, Erased, Item, ItemsPatch
from app.datasets.sensitivity import above, highest, masked
from app.datasets.service import About, Datasets
from app.kit.asgi import decoded_name
from app.kit.errors import BadRequestError, FieldError
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit
from app.kit.pointers import escape
from app.kit.problems import field_error
from app.registry import diff as contents_diff
from app.registry.catalogue import Catalogue
from app.registry.contents import plain
from app.registry.controller import ArtifactController, mounted, require_labels, version_response
from app.registry.kinds.dataset import Level
from app.registry.schemas import Artifact, Change, Version
from app.registry.wire import ETAG

T = TypeVar("T")
SHOWN = 500
"""Changed items of a diff that are shown with their bodies; all are counted."""


async def provide_datasets(
    session: NamedDependency[AsyncSession], caller: NamedDependency[Caller], state: State
) -> Datasets:
    scan = state.settings.scan
    return Datasets(session, caller.project_id, actor=caller.actor, clock=state.clock, scan=scan)


class DatasetController(Controller):
    """What datasets have beside, or in place of, what every kind has."""

    dependencies = {"datasets": Provide(provide_datasets)}

    @post(
        "/{name:str}/versions",
        operation_id="datasets_create_version",
        opt={"permission": "registry:write"},
        response_headers=ETAG,
        responses={200: ResponseSpec(Version, description="The items are the latest version's; nothing was made")},
    )
    async def create_version(
        self,
        datasets: NamedDependency[Datasets],
        caller: NamedDependency[Caller],
        request: Request[Any, Any, Any],
        name: FromPath[str],
        message: FromQuery[str] = "",
        description: FromQuery[str] = "",
        label: FromQuery[list[str] | None] = None,
        tag: FromQuery[list[str] | None] = None,
        sensitivity: FromQuery[Level] = "internal",
        columns: Annotated[list[str] | None, QueryParameter(name="map")] = None,
    ) -> Response[Version]:
        """Make a version from JSON `{content: {items: […], description?, schema?, tags?, sensitivity?, fields?,
        retention_days?}, message?, labels?}`, `text/csv`, `application/x-ndjson` or `application/vnd.apache.parquet`; for
        files, the rest are query parameters.

        CSV and Parquet columns: `id`, `reference`, `tags` (separated by `;`), `split`, `cluster`, `inputs.<name>`,
        `metadata.<name>`, `recorded.<model>`; any other column is the input of that name. `map=<column>:<part>`, such as
        `map=Question:inputs.question`, places columns (of JSON lines: top-level keys) that are called otherwise; `map=notes:`
        leaves one out.
        """
        data = await request.body()
        media_type = request.headers.get("content-type", "")
        if media_type.partition(";")[0].strip().lower() in ("application/json", ""):
            sent = _decoded(data, DatasetCreate)
            content, message, labels = sent.content, sent.message, sent.labels
            about = About.of(content)
            items = await anyio.to_thread.run_sync(lambda: checked(from_json(content.items), "/content/items"))
        else:
            about, labels = About(description, tags=tag or [], sensitivity=sensitivity), label or []
            items = await anyio.to_thread.run_sync(parse, data, media_type, Columns.parse(columns or []))
        require_labels(caller, labels)
        version, created = await datasets.create_version(
            decoded_name(name), items, about, message=message, labels=labels
        )
        return version_response(version, created)

    @get(
        "/{name:str}/versions/{ref:str}/items",
        operation_id="datasets_list_items",
        opt={"permission": "registry:read"},
    )
    async def items(
        self,
        datasets: NamedDependency[Datasets],
        caller: NamedDependency[Caller],
        name: FromPath[str],
        ref: FromPath[str],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
        tag: FromQuery[str | None] = None,
        split: FromQuery[str | None] = None,
    ) -> Page[Item]:
        """The items of a version, in its order; with `tag` or `split`, those that have it. Values above the key's clearance
        are masked."""
        dataset = await datasets.registry.resolve("dataset", f"{decoded_name(name)}@{ref}")
        page = await datasets.page(dataset, checked_limit(limit), cursor, tag, split)
        items = [masked(item, dataset.content, caller.clearance) for item in page.items]
        return Page(items, page.next_cursor)

    @get(
        "/{name:str}/versions/{ref:str}/export",
        operation_id="datasets_export",
        opt={"permission": "registry:read"},
        response_headers=ETAG,
    )
    async def export(
        self,
        state: State,
        caller: NamedDependency[Caller],
        name: FromPath[str],
        ref: FromPath[str],
        form: Annotated[Format, QueryParameter(name="format")] = "jsonl",
    ) -> Stream:
        """A version as a file, streamed. JSON lines give the same version again; CSV and Parquet are tables of it. Values
        above the key's clearance are masked, erased items are left out."""
        async with state.sessions() as session:
            registry = Datasets(session, caller.project_id).registry
            dataset = await registry.resolve("dataset", f"{decoded_name(name)}@{ref}")
        pieces = Download(state.sessions, caller.project_id, dataset, caller.clearance).pieces(form)
        first = await anext(pieces, b"")  # what fails before anything was sent is an ordinary problem

        async def rest() -> AsyncIterator[bytes]:
            async with aclosing(pieces):
                yield first
                async for piece in pieces:
                    yield piece

        file = f"{decoded_name(name).replace('/', '-')}.{form}"
        headers = {"Content-Disposition": f'attachment; filename="{file}"'}
        if dataset.digest and not above(highest(dataset.content), caller.clearance):
            headers["ETag"] = f'"{dataset.digest}"'
        return Stream(rest(), media_type=MEDIA_TYPES[form], headers=headers)

    @get(
        "/{name:str}/versions/{ref:str}/report",
        operation_id="datasets_report",
        opt={"permission": "registry:read"},
    )
    async def report(
        self,
        datasets: NamedDependency[Datasets],
        caller: NamedDependency[Caller],
        name: FromPath[str],
        ref: FromPath[str],
        threshold: FromQuery[float] = 0.9,
        prompt: FromQuery[list[str] | None] = None,
    ) -> DatasetReport:
        """Duplicates and near duplicates, leakage between splits and into the messages of prompts (of `prompt`, else of all in
        use), and what looks personal or secret. `threshold` is the similarity from which two texts are alike.
        Values above the key's clearance are not compared."""
        dataset = await datasets.registry.resolve("dataset", f"{decoded_name(name)}@{ref}")
        return await Reporter(datasets).report(dataset, threshold, prompt or [], caller.clearance)

    @post(
        "/{name:str}/items",
        operation_id="datasets_change_items",
        opt={"permission": "registry:write"},
        response_headers=ETAG,
        responses={200: ResponseSpec(Version, description="Nothing differs from the latest version; nothing was made")},
    )
    async def change_items(
        self,
        datasets: NamedDependency[Datasets],
        caller: NamedDependency[Caller],
        request: Request[Any, Any, Any],
        name: FromPath[str],
    ) -> Response[Version]:
        """A new version out of the latest one: `{put: [items], remove: [ids], message?, labels?}`, where an item is put in, or
        changed by its id. It stores what is new alone."""
        data = _decoded(await request.body(), ItemsPatch)
        require_labels(caller, data.labels)
        put = await anyio.to_thread.run_sync(lambda: checked(from_json(data.put, "/put"), "/put")) if data.put else []
        version, created = await datasets.amend(
            decoded_name(name), put, data.remove, message=data.message, labels=data.labels
        )
        return version_response(version, created)

    @post("/{name:str}/erase", operation_id="datasets_erase", opt={"permission": "data:erase"}, status_code=200)
    async def erase(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        name: FromPath[str],
        data: JSONBody[Erase],
    ) -> Erased:
        """Erase a person's items from every version. Bodies go for good, digests stay; versions say how many are erased."""
        erasure = Erasure(session, caller.project_id, caller.actor, state.clock)
        return await erasure.erase(decoded_name(name), data)

    @get("/{name:str}/diff", operation_id="datasets_diff", opt={"permission": "registry:read"})
    async def diff(
        self,
        datasets: NamedDependency[Datasets],
        caller: NamedDependency[Caller],
        name: FromPath[str],
        from_: Annotated[str | None, QueryParameter(name="from")] = None,
        to: FromQuery[str | None] = None,
    ) -> DatasetDiff:
        """Which items came, went and changed from version `from` to `to`: all counted, the first 500 shown."""
        before, after = await Catalogue(datasets.registry).pair("dataset", decoded_name(name), from_, to)
        found = await datasets.changes(before, after)
        shown = found[:SHOWN]
        old = await _bodies(datasets, before, [c.before for c in shown], caller.clearance)
        new = await _bodies(datasets, after, [c.after for c in shown], caller.clearance)
        old_about, new_about = (
            {key: value for key, value in plain(one.content).items() if key != "items"} for one in (before, after)
        )
        changes = contents_diff.changes(old_about, new_about)
        for change in shown:
            where = f"/items/{escape(change.id)}"
            changes.append(Change(where, change.op, old.get(change.id), new.get(change.id)))
        return DatasetDiff(
            from_=before.number or before.digest,
            to=after.number or after.digest,
            changes=changes,
            pins=[],
            texts=contents_diff.texts(changes),
            unified=contents_diff.unified(
                {**old_about, "items": old}, {**new_about, "items": new}, before.ref, after.ref
            ),
            added=sum(change.op == "add" for change in found),
            removed=sum(change.op == "remove" for change in found),
            changed=sum(change.op == "replace" for change in found),
        )


async def _bodies(
    datasets: Datasets, dataset: Artifact, entries: Sequence[Entry | None], clearance: str
) -> dict[str, Any]:
    """The items of these entries by id, as the caller may see them."""
    items = await datasets.some([entry for entry in entries if entry is not None])
    return {item.id: plain(masked(item, dataset.content, clearance)) for item in items}


def _decoded(data: bytes, kind: type[T]) -> T:
    """A body whose items stay raw until each is read with its place."""
    if not data:
        raise BadRequestError("the body has 0 bytes; send JSON with items, or to /versions a file")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        field: FieldError = field_error(error)
        raise BadRequestError(f"{field.pointer or '/'}: {field.detail}", [field]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        at = re.search(r"\(byte (\d+)\)", str(error))
        where = f"line {1 + data[: int(at[1])].count(10)}: " if at else ""
        raise BadRequestError(f"{where}the body is not JSON: {error}") from error


router = Router("/", route_handlers=[mounted("datasets", [ArtifactController, DatasetController])])
