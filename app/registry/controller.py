"""The routes of every kind: one controller, mounted once under each kind's plural."""

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Controller, Request, Response, Router, delete, get, post, put
from litestar.datastructures import ResponseHeader, State
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types.internal_types import PathParameterDefinition
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.roles import allows
from app.access.schemas import Caller
from app.kit.asgi import decoded_name
from app.kit.errors import BadRequestError, ForbiddenError
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit
from app.registry.catalogue import Catalogue, Search
from app.registry.kinds import by_plural, kinds
from app.registry.names import LATEST
from app.registry.schemas import (
    ArtifactDetail,
    ArtifactRead,
    Diff,
    LabelDelete,
    LabelMove,
    LabelPut,
    LabelRead,
    Version,
    VersionCreate,
    VersionSummary,
)
from app.registry.service import Registry

ETAG = [ResponseHeader(name="ETag", description="The digest of the content", documentation_only=True)]


async def provide_registry(
    session: NamedDependency[AsyncSession], caller: NamedDependency[Caller], state: State
) -> Registry:
    return Registry(session, caller.project_id, actor=caller.actor, clock=state.clock)


def operation(verb: str) -> Any:
    """Operation ids that say the kind: `create_version` under /prompts is `prompts_create_version`."""

    def named(_handler: Any, _method: Any, path: Sequence[str | PathParameterDefinition]) -> str:
        return f"{str(path[2]).replace('-', '_')}_{verb}"

    return named


def require_labels(caller: Caller, labels: Sequence[str]) -> None:
    """Labels may be set on the way by whoever may set them at all."""
    if labels and not allows(caller.role, "labels:write"):
        raise ForbiddenError(f"role {caller.role!r} lacks the permission 'labels:write'; leave `labels` out")


def version_response(version: Version, created: bool) -> Response[Version]:
    return Response(version, status_code=201 if created else 200, headers={"ETag": f'"{version.digest}"'})


class ArtifactController(Controller):
    """What every kind has."""

    opt = {"permission": "registry:read"}

    @get(operation_id=operation("list"))
    async def page(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        q: FromQuery[str | None] = None,
        tag: FromQuery[str | None] = None,
        label: FromQuery[str | None] = None,
        archived: FromQuery[bool] = False,
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Page[ArtifactRead]:
        """List and search by name. Every word of `q` must occur in the name, description, tags or content."""
        search = Search(q=q, tag=tag, label=label, archived=archived)
        return await Catalogue(registry).page(kind, search, checked_limit(limit), cursor)

    @get("/{name:str}", operation_id=operation("get"))
    async def artifact(
        self, registry: NamedDependency[Registry], kind: NamedDependency[str], name: FromPath[str]
    ) -> ArtifactDetail:
        """One artifact with the content of its latest version. A slash in the name is written %2F."""
        found = await Catalogue(registry).artifact(kind, decoded_name(name))
        latest = await registry.version(kind, found.name, LATEST)
        more = {field: getattr(latest, field) for field in ("content", "pins", "message", "author", "source")}
        return ArtifactDetail(**{f: getattr(found, f) for f in found.__struct_fields__}, **more)

    @get("/{name:str}/versions", operation_id=operation("list_versions"))
    async def versions(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        name: FromPath[str],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Page[VersionSummary]:
        """The versions, newest first, without their contents."""
        return await Catalogue(registry).versions(kind, decoded_name(name), checked_limit(limit), cursor)

    @get(
        "/{name:str}/versions/{ref:str}",
        operation_id=operation("get_version"),
        response_headers=ETAG,
        responses={304: ResponseSpec(None, description="`If-None-Match` holds this content's digest")},
    )
    async def version(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        request: Request[Any, Any, Any],
        name: FromPath[str],
        ref: FromPath[str],
    ) -> Response[Version | None]:
        """One version: `ref` is its number, a label, a digest (at least 12 hex digits), or `latest`."""
        found = await registry.version(kind, decoded_name(name), ref)
        headers = {"ETag": f'"{found.digest}"', "Cache-Control": "private, no-cache"}
        if _matches(request.headers.get("if-none-match"), headers["ETag"]):
            return Response(None, status_code=304, headers=headers)
        return Response(found, headers=headers)

    @get("/{name:str}/labels", operation_id=operation("list_labels"))
    async def labels(
        self, registry: NamedDependency[Registry], kind: NamedDependency[str], name: FromPath[str]
    ) -> list[LabelRead]:
        """Where each label points."""
        row = await registry.known(kind, decoded_name(name))
        return await registry.labels.listed(kind, row.name)

    @put("/{name:str}/labels/{label:str}", operation_id=operation("put_label"), opt={"permission": "labels:write"})
    async def put_label(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        name: FromPath[str],
        label: FromPath[str],
        data: JSONBody[LabelPut],
    ) -> LabelRead:
        """Put a label on a version. The label of an environment is refused: a release moves it."""
        return await registry.put_label(kind, decoded_name(name), label, data.version, data.reason)

    @delete(
        "/{name:str}/labels/{label:str}", operation_id=operation("delete_label"), opt={"permission": "labels:write"}
    )
    async def delete_label(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        request: Request[Any, Any, Any],
        name: FromPath[str],
        label: FromPath[str],
        reason: FromQuery[str] = "",
    ) -> None:
        """Remove a label. The reason is a query parameter, or a JSON body `{reason}` for clients that send one."""
        body = await request.body()
        try:
            given = msgspec.json.decode(body, type=LabelDelete) if body else LabelDelete(reason)
        except msgspec.MsgspecError as error:
            raise BadRequestError(f"the body is not {{reason}}: {error}") from error
        await registry.remove_label(kind, decoded_name(name), label, given.reason)

    @get("/{name:str}/labels/{label:str}/history", operation_id=operation("label_history"))
    async def label_history(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        name: FromPath[str],
        label: FromPath[str],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Page[LabelMove]:
        """Every move of a label, newest first: from, to, who, when, why."""
        row = await registry.known(kind, decoded_name(name))
        return await registry.labels.history(kind, row.name, label, checked_limit(limit), cursor)


class ContentController(Controller):
    """What differs for datasets, whose items are rows of their own, and is the same for all other kinds."""

    @post(
        "/{name:str}/versions",
        operation_id=operation("create_version"),
        opt={"permission": "registry:write"},
        response_headers=ETAG,
        responses={200: ResponseSpec(Version, description="The content is the latest version's; nothing was made")},
    )
    async def create_version(
        self,
        registry: NamedDependency[Registry],
        caller: NamedDependency[Caller],
        kind: NamedDependency[str],
        name: FromPath[str],
        data: JSONBody[VersionCreate],
    ) -> Response[Version]:
        """Make a version, and the artifact with its first one. References are resolved and pinned now."""
        require_labels(caller, data.labels)
        version, created = await registry.create_version(
            kind, decoded_name(name), data.content, data.message, data.labels, pointer="/content"
        )
        return version_response(version, created)

    @get("/{name:str}/diff", operation_id=operation("diff"), opt={"permission": "registry:read"})
    async def diff(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        request: Request[Any, Any, Any],
        name: FromPath[str],
        to: FromQuery[str | None] = None,
    ) -> Diff:
        """What changed from version `from` to version `to`; by default in the latest version."""
        return await Catalogue(registry).diff(kind, decoded_name(name), request.query_params.get("from"), to)


@get("/api/v1/schemas/{kind:str}", operation_id="schema", opt={"permission": "registry:read"}, tags=["Schemas"])
async def schema(kind: FromPath[str]) -> dict[str, Any]:
    """The JSON Schema of a kind's content, by its name in paths (`rag-configs`) or in answers (`rag_config`)."""
    declared = kinds()[kind] if kind in kinds() else by_plural(kind)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(declared.content)}


def mounted(plural: str, controllers: Sequence[type[Controller]]) -> Router:
    """Controllers under a kind's plural; their handlers get the kind's name as `kind`."""
    name = by_plural(plural).name
    return Router(
        f"/api/v1/{plural}",
        route_handlers=list(controllers),
        dependencies={
            "kind": Provide(lambda: name, sync_to_thread=False),
            "registry": Provide(provide_registry),
        },
        tags=[plural.replace("-", " ").capitalize().replace("Rag", "RAG")],
    )


def _matches(header: str | None, etag: str) -> bool:
    """`If-None-Match`: a list of tags, compared weakly, or `*`."""
    given = [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]
    return "*" in given or etag in given


# Datasets are mounted by their own room: their contents are made from items.
router = Router(
    "/",
    route_handlers=[
        schema,
        *(mounted(k.plural, [ArtifactController, ContentController]) for k in kinds().values() if k.name != "dataset"),
    ],
)
