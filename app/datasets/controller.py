"""Routes of datasets, and of sync: it stands here because a project's files hold datasets too."""

import re
from typing import Annotated, Any

import anyio.to_thread
import msgspec
from litestar import Controller, Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.roles import allows
from app.access.schemas import Caller
from app.datasets.files import DatasetFiles
from app.datasets.parsing import checked, from_json, parse
from app.datasets.schemas import DatasetCreate, DatasetDiff, Item
from app.datasets.service import About, Datasets
from app.kit.asgi import decoded_name
from app.kit.errors import BadRequestError, FieldError, ForbiddenError
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit
from app.kit.problems import field_error
from app.registry import diff as contents_diff
from app.registry.catalogue import Catalogue
from app.registry.contents import plain
from app.registry.controller import ETAG, ArtifactController, mounted, require_labels, version_response
from app.registry.environments import Environments
from app.registry.kinds.base import escape
from app.registry.schemas import Change, Version
from app.registry.sync.schemas import SyncRequest, SyncResult
from app.registry.sync.service import Sync

SHOWN = 500
"""Changed items of a diff that are shown with their bodies; all are counted."""


async def provide_datasets(
    session: NamedDependency[AsyncSession], caller: NamedDependency[Caller], state: State
) -> Datasets:
    return Datasets(session, caller.project_id, actor=caller.actor, clock=state.clock)


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
    ) -> Response[Version]:
        """Make a version from JSON `{content: {items: […], description?, schema?, tags?}, message?, labels?}`, `text/csv`,
        `application/x-ndjson` or `application/vnd.apache.parquet`; for files, the rest are query parameters.

        CSV and Parquet columns: `id`, `reference`, `tags` (separated by `;`), `cluster`, `inputs.<name>`,
        `metadata.<name>`, `recorded.<model>`; any other column is the input of that name.
        """
        data = await request.body()
        media_type = request.headers.get("content-type", "")
        if media_type.partition(";")[0].strip().lower() in ("application/json", ""):
            sent = _decoded(data)
            content, message, labels = sent.content, sent.message, sent.labels
            about = About(content.description, content.schema, content.tags)
            items = await anyio.to_thread.run_sync(lambda: checked(from_json(content.items), "/content/items"))
        else:
            about, labels = About(description), label or []
            items = await anyio.to_thread.run_sync(parse, data, media_type)
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
        name: FromPath[str],
        ref: FromPath[str],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
        tag: FromQuery[str | None] = None,
    ) -> Page[Item]:
        """The items of a version, in its order; with `tag`, those that have it."""
        dataset = await datasets.registry.resolve("dataset", f"{decoded_name(name)}@{ref}")
        return await datasets.page(dataset, checked_limit(limit), cursor, tag)

    @get("/{name:str}/diff", operation_id="datasets_diff", opt={"permission": "registry:read"})
    async def diff(
        self,
        datasets: NamedDependency[Datasets],
        name: FromPath[str],
        from_: Annotated[str | None, QueryParameter(name="from")] = None,
        to: FromQuery[str | None] = None,
    ) -> DatasetDiff:
        """Which items came, went and changed from version `from` to `to`: all counted, the first 500 shown."""
        before, after = await Catalogue(datasets.registry).pair("dataset", decoded_name(name), from_, to)
        found = await datasets.changes(before, after)
        shown = found[:SHOWN]
        old = {item.id: plain(item) for item in await datasets.some([c.before for c in shown if c.before])}
        new = {item.id: plain(item) for item in await datasets.some([c.after for c in shown if c.after])}
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


@post(
    "/api/v1/sync",
    operation_id="sync",
    status_code=200,
    opt={"permission": "registry:read"},
    tags=["Sync"],
    dependencies={"datasets": Provide(provide_datasets)},
)
async def sync(
    datasets: NamedDependency[Datasets], caller: NamedDependency[Caller], state: State, data: JSONBody[SyncRequest]
) -> SyncResult:
    """Bring a project's files into the registry, all or nothing; or plan that, or keep them as drafts by digest.

    `plan` needs `registry:read`, `draft` needs `registry:draft`, `apply` needs `registry:write`,
    and `environments:write` when it changes an environment's rules.
    """
    needed = {"plan": "registry:read", "draft": "registry:draft", "apply": "registry:write"}[data.mode]
    if not allows(caller.role, needed):
        raise ForbiddenError(f"role {caller.role!r} lacks the permission {needed!r} that mode {data.mode!r} needs")
    registry = datasets.registry
    environments = Environments(registry.repository.session, caller.project_id, caller.actor, state.clock)
    allowed = allows(caller.role, "environments:write")
    if data.prune and data.mode == "apply" and not allows(caller.role, "registry:manage"):
        raise ForbiddenError(f"role {caller.role!r} lacks the permission 'registry:manage' that `prune` needs")
    sync = Sync(registry, DatasetFiles(datasets), environments, may_change_environments=allowed)
    return await sync.run(data)


def _decoded(data: bytes) -> DatasetCreate:
    if not data:
        raise BadRequestError("the body has 0 bytes; send JSON {content: {items: […]}}, CSV, JSON lines or Parquet")
    try:
        return msgspec.json.decode(data, type=DatasetCreate)
    except msgspec.ValidationError as error:
        field: FieldError = field_error(error)
        raise BadRequestError(f"{field.pointer or '/'}: {field.detail}", [field]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        at = re.search(r"\(byte (\d+)\)", str(error))
        where = f"line {1 + data[: int(at[1])].count(10)}: " if at else ""
        raise BadRequestError(f"{where}the body is not JSON: {error}") from error


router = Router("/", route_handlers=[mounted("datasets", [ArtifactController, DatasetController]), sync])
