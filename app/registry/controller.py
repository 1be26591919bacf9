"""The routes of every kind: one controller, mounted once under each kind's plural."""

from collections.abc import Sequence
from typing import Annotated, Any

import anyio.to_thread
import msgspec
from litestar import Controller, Request, Response, Router, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.guard import caller_of
from app.access.roles import allows
from app.access.schemas import Caller
from app.kit.asgi import decoded_name
from app.kit.errors import ForbiddenError
from app.kit.etags import matches
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit
from app.registry import scanning
from app.registry.catalogue import Catalogue, Search, parse_order
from app.registry.fetching import Versions
from app.registry.kinds import by_plural, kinds
from app.registry.labels_controller import LabelController
from app.registry.lineage import Lineage
from app.registry.names import LATEST
from app.registry.removal import Removal
from app.registry.schemas import (
    ArtifactDetail,
    ArtifactRead,
    Dependencies,
    Dependents,
    Diff,
    Finding,
    ScanReport,
    Version,
    VersionCreate,
    VersionSummary,
)
from app.registry.service import Registry
from app.registry.wire import ETAG, checked_reason, operation

KIND = "kind"
"""The route option that holds the kind's name."""


async def provide_registry(
    session: NamedDependency[AsyncSession], caller: NamedDependency[Caller], state: State
) -> Registry:
    scan = state.settings.scan
    return Registry(session, caller.project_id, actor=caller.actor, clock=state.clock, scan=scan)


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
        owner: FromQuery[str | None] = None,
        folder: FromQuery[str | None] = None,
        archived: FromQuery[bool] = False,
        sort: FromQuery[str] = "name",
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Page[ArtifactRead]:
        """List and search. Every word of `q` must occur in the name, description, tags or content of the latest version.

        `folder` is what stands before a slash in names; `sort` is name, created_at or updated_at, with `-` for downwards.
        """
        search = Search(q=q, tag=tag, label=label, owner=owner, folder=folder, archived=archived)
        return await Catalogue(registry).page(kind, search, checked_limit(limit), cursor, parse_order(sort))

    @get("/{name:str}", operation_id=operation("get"))
    async def artifact(
        self, registry: NamedDependency[Registry], kind: NamedDependency[str], name: FromPath[str]
    ) -> ArtifactDetail:
        """One artifact with the content of its latest version. A slash in the name is written %2F."""
        found = await Catalogue(registry).artifact(kind, decoded_name(name))
        latest = await registry.version(kind, found.name, LATEST)
        more = {field: getattr(latest, field) for field in ("content", "pins", "message", "author", "source")}
        return ArtifactDetail(**{f: getattr(found, f) for f in found.__struct_fields__}, **more)

    @delete("/{name:str}", operation_id=operation("archive"), opt={"permission": "registry:manage"})
    async def archive(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        name: FromPath[str],
        reason: FromQuery[str] = "",
    ) -> None:
        """Archive a name: it leaves the lists, its versions stay and references to them resolve. Refused while an environment
        serves it."""
        await Removal(registry).archive(kind, decoded_name(name), checked_reason(reason))

    @post(
        "/{name:str}/restore", operation_id=operation("restore"), opt={"permission": "registry:manage"}, status_code=200
    )
    async def restore(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        name: FromPath[str],
        reason: FromQuery[str] = "",
    ) -> ArtifactRead:
        """Bring an archived name back into use."""
        await Removal(registry).restore(kind, decoded_name(name), checked_reason(reason))
        return await Catalogue(registry).artifact(kind, decoded_name(name))

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
        self, request: Request[Any, Any, Any], name: FromPath[str], ref: FromPath[str]
    ) -> Response[Version | None]:
        """One version: `ref` is its number, a label, a digest (at least 12 hex digits), or `latest`."""
        # Nothing is injected here: that would cost more than all the rest of this, the hottest of the registry's routes.
        versions: Versions = request.app.state.versions
        kind: str = request.route_handler.opt[KIND]
        body, etag = await versions.get(caller_of(request).project_id, kind, decoded_name(name), ref)
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        if matches(request.headers.get("if-none-match"), etag):
            return Response(None, status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)  # type: ignore[arg-type]

    @delete(
        "/{name:str}/versions/{ref:str}",
        operation_id=operation("delete_version"),
        opt={"permission": "registry:manage"},
    )
    async def delete_version(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        name: FromPath[str],
        ref: FromPath[str],
        reason: FromQuery[str] = "",
    ) -> None:
        """Delete a version that was a mistake. 409 `in-use` names each label, version, run or release that refers to it."""
        await Removal(registry).delete_version(kind, decoded_name(name), ref, checked_reason(reason))

    @get("/{name:str}/versions/{ref:str}/dependencies", operation_id=operation("dependencies"))
    async def list_dependencies(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        name: FromPath[str],
        ref: FromPath[str],
        transitive: FromQuery[bool] = False,
    ) -> Dependencies:
        """What a version refers to, as it was pinned when it was made; with `transitive` also what that refers to."""
        artifact = await registry.resolve(kind, f"{decoded_name(name)}@{ref}")
        found = await Lineage(registry.repository).dependencies(artifact, transitive=transitive)
        return Dependencies(artifact.digest, found)

    @get("/{name:str}/versions/{ref:str}/dependents", operation_id=operation("dependents"))
    async def list_dependents(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        name: FromPath[str],
        ref: FromPath[str],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Dependents:
        """What refers to a version: other versions, page by page, and the labels, environments, runs and releases that used
        exactly its content (`limit` of each, newest first)."""
        artifact = await registry.resolve(kind, f"{decoded_name(name)}@{ref}")
        lineage = Lineage(registry.repository)
        page = await lineage.dependents(artifact, checked_limit(limit), cursor)
        used_by = await lineage.users(artifact, limit)
        return Dependents(artifact.digest, page.items, page.next_cursor, used_by)


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

    @get("/{name:str}/versions/{ref:str}/scan", operation_id=operation("scan"), opt={"permission": "registry:read"})
    async def scan(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        name: FromPath[str],
        ref: FromPath[str],
    ) -> ScanReport:
        """What in a version looks like personal data or a secret, each with its place and in a masked form."""
        version = await registry.version(kind, decoded_name(name), ref)
        body = bytes(version.content)
        found = await anyio.to_thread.run_sync(scanning.scan, msgspec.json.decode(body), body)
        return ScanReport(version.digest, [Finding(*one) for one in found])

    @get("/{name:str}/diff", operation_id=operation("diff"), opt={"permission": "registry:read"})
    async def diff(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        name: FromPath[str],
        from_: Annotated[str | None, QueryParameter(name="from")] = None,
        to: FromQuery[str | None] = None,
    ) -> Diff:
        """What changed from version `from` to version `to`; by default in the latest version."""
        return await Catalogue(registry).diff(kind, decoded_name(name), from_, to)


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
        route_handlers=[LabelController, *controllers],
        dependencies={
            "kind": Provide(lambda: name, sync_to_thread=False),
            "registry": Provide(provide_registry),
        },
        tags=[plural.replace("-", " ").capitalize().replace("Rag", "RAG")],
        opt={KIND: name},
    )


# Datasets are mounted by their own room: their contents are made from items.
router = Router(
    "/",
    route_handlers=[
        schema,
        *(mounted(k.plural, [ArtifactController, ContentController]) for k in kinds().values() if k.name != "dataset"),
    ],
)
