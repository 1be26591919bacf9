"""Sync, import and export over HTTP."""

from litestar import Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, JSONBody

from app.access.roles import allows
from app.access.schemas import Caller
from app.datasets.controller import provide_datasets
from app.datasets.files import DatasetFiles
from app.datasets.service import Datasets
from app.formats import service as formats
from app.kit.errors import ForbiddenError
from app.registry.environments import Environments
from app.registry.sync.schemas import SyncRequest, SyncResult
from app.registry.sync.service import Sync
from app.transfer.exporting import NATIVE, Exporting
from app.transfer.importing import Importing
from app.transfer.schemas import ExportResult, Formats, ImportRequest, ImportResult

DATASETS = {"datasets": Provide(provide_datasets)}


@post(
    "/api/v1/sync",
    operation_id="sync",
    status_code=200,
    opt={"permission": "registry:read"},
    tags=["Import and export"],
    dependencies=DATASETS,
)
async def sync(
    datasets: NamedDependency[Datasets], caller: NamedDependency[Caller], state: State, data: JSONBody[SyncRequest]
) -> SyncResult:
    """Bring a project's files into the registry, all or nothing; or plan that, or keep them as drafts by digest.

    `plan` needs `registry:read`, `draft` needs `registry:draft`, `apply` needs `registry:write`,
    `environments:write` when it changes an environment's rules, and `schedules:write` when it changes a schedule.
    """
    needed = {"plan": "registry:read", "draft": "registry:draft", "apply": "registry:write"}[data.mode]
    if not allows(caller.role, needed):
        raise ForbiddenError(f"role {caller.role!r} lacks the permission {needed!r} that mode {data.mode!r} needs")
    registry = datasets.registry
    environments = Environments(registry.repository.session, caller.project_id, caller.actor, state.clock)
    allowed = allows(caller.role, "environments:write")
    if data.prune and data.mode == "apply" and not allows(caller.role, "registry:manage"):
        raise ForbiddenError(f"role {caller.role!r} lacks the permission 'registry:manage' that `prune` needs")
    sync = Sync(
        registry,
        DatasetFiles(datasets),
        environments,
        may_change_environments=allowed,
        may_label=allows(caller.role, "labels:write"),
        schedules=state.schedules.book(registry.repository.session, caller),
    )
    return await sync.run(data)


@post(
    "/api/v1/import",
    operation_id="import_project",
    status_code=200,
    opt={"permission": "registry:read"},
    tags=["Import and export"],
    dependencies=DATASETS,
)
async def import_project(
    datasets: NamedDependency[Datasets], caller: NamedDependency[Caller], state: State, data: JSONBody[ImportRequest]
) -> ImportResult:
    """Take over what another tool left: its prompts, suites and datasets become ours, its prompts' history versions. What
    cannot be carried over is in `losses`, with file and line.

    `apply` needs `registry:write`.
    """
    if data.mode == "apply" and not allows(caller.role, "registry:write"):
        raise ForbiddenError(f"role {caller.role!r} lacks the permission 'registry:write' that mode 'apply' needs")
    session = datasets.registry.repository.session
    environments = Environments(session, caller.project_id, caller.actor, state.clock)
    return await Importing(datasets, environments, caller).run(data)


@get(
    "/api/v1/export",
    operation_id="export_project",
    opt={"permission": "registry:read"},
    tags=["Import and export"],
    dependencies=DATASETS,
)
async def export_project(
    datasets: NamedDependency[Datasets],
    caller: NamedDependency[Caller],
    state: State,
    format: FromQuery[str] = NATIVE,  # noqa: A002 - the route's own word
    prompt: FromQuery[list[str] | None] = None,
    suite: FromQuery[list[str] | None] = None,
) -> ExportResult:
    """The latest versions as files: `promptward`'s own, which a sync finds unchanged, or another tool's (`prompt` and `suite`
    then choose). The same versions give the same bytes. Items of datasets are fetched from where `items` says."""
    session = datasets.registry.repository.session
    environments = Environments(session, caller.project_id, caller.actor, state.clock)
    exporting = Exporting(
        datasets, environments, caller.clearance, await state.schedules.book(session, caller).declared()
    )
    if format == NATIVE:
        return await exporting.native()
    return await exporting.foreign(format, prompt or [], suite or [])


@get("/api/v1/formats", operation_id="list_formats", opt={"permission": "registry:read"}, tags=["Import and export"])
async def list_formats() -> Formats:
    """Which formats can be imported, and which exported."""
    return Formats(sorted(formats.READERS), [NATIVE, *sorted(formats.WRITERS)])


router = Router("/", route_handlers=[sync, import_project, export_project, list_formats])
