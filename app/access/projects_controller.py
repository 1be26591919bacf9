from typing import Any

from litestar import Controller, Router, delete, get, patch, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.idempotency import UNKEPT
from app.access.projects import ProjectService
from app.access.schemas import DEFAULT_PROJECT, Caller, ProjectCreate, ProjectCreated, ProjectRead, ProjectUpdate
from app.kit.errors import ForbiddenError
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit


async def require_default_project(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Runs after the application's guard: the caller is known and has the permission."""
    del handler
    caller: Caller = connection.scope["state"]["caller"]
    if caller.project_id != DEFAULT_PROJECT:
        raise ForbiddenError(
            f"projects are managed from the project {DEFAULT_PROJECT!r}; this key is an admin's of {caller.project_id!r}: "
            f"use an admin key of {DEFAULT_PROJECT!r}"
        )


class ProjectController(Controller):
    path = "/api/v1/projects"
    tags = ("Projects",)
    opt = {"permission": "projects:manage"}
    guards = (require_default_project,)

    @get(operation_id="list_projects")
    async def page(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Page[ProjectRead]:
        """All projects, archived ones too. Only an admin of `default` manages projects."""
        return await ProjectService(session, caller).page(checked_limit(limit), cursor)

    @post(operation_id="create_project", opt={UNKEPT: True}, response_headers={"Cache-Control": "no-store"})
    async def create(
        self, session: NamedDependency[AsyncSession], caller: NamedDependency[Caller], data: JSONBody[ProjectCreate]
    ) -> ProjectCreated:
        """Make a project and its first admin key. The key is shown in this answer and never again, so an Idempotency-Key has
        no effect here."""
        return await ProjectService(session, caller).create(data)

    @get("/{project_id:str}", operation_id="get_project")
    async def one(
        self, session: NamedDependency[AsyncSession], caller: NamedDependency[Caller], project_id: FromPath[str]
    ) -> ProjectRead:
        """One project."""
        return await ProjectService(session, caller).get(project_id)

    @patch("/{project_id:str}", operation_id="update_project")
    async def update(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        project_id: FromPath[str],
        data: JSONBody[ProjectUpdate],
    ) -> ProjectRead:
        """Rename, archive (`archived: true`) or restore (`archived: false`) a project."""
        return await ProjectService(session, caller).update(project_id, data)

    @delete("/{project_id:str}", operation_id="archive_project")
    async def archive(
        self, session: NamedDependency[AsyncSession], caller: NamedDependency[Caller], project_id: FromPath[str]
    ) -> None:
        """Archive a project: within five seconds its keys open nothing. Its data stays, and it can be restored."""
        await ProjectService(session, caller).update(project_id, ProjectUpdate(archived=True))


router = Router("/", route_handlers=[ProjectController])
