"""Environments over HTTP."""

from typing import Any

from litestar import Controller, Request, Response, Router, get, put
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.kit.pages import Page
from app.registry.environments import EnvironmentRead, Environments, parse


async def provide_environments(
    session: NamedDependency[AsyncSession], caller: NamedDependency[Caller], state: State
) -> Environments:
    return Environments(session, caller.project_id, caller.actor, state.clock)


class EnvironmentController(Controller):
    path = "/api/v1/environments"
    tags = ("Environments",)
    dependencies = {"environments": Provide(provide_environments)}

    @get(operation_id="list_environments", opt={"permission": "environments:read"})
    async def page(self, environments: NamedDependency[Environments]) -> Page[EnvironmentRead]:
        """Every environment with its rules; `production` exists from the start."""
        return Page(await environments.all())

    @get("/{name:str}", operation_id="get_environment", opt={"permission": "environments:read"})
    async def get(self, environments: NamedDependency[Environments], name: FromPath[str]) -> Response[EnvironmentRead]:
        """One environment with its rules. The ETag is their digest."""
        return _answer(await environments.get(name))

    @put("/{name:str}", operation_id="put_environment", opt={"permission": "environments:write"})
    async def put(
        self,
        environments: NamedDependency[Environments],
        name: FromPath[str],
        data: JSONBody[dict[str, Any]],
        request: Request[object, object, State],
    ) -> Response[EnvironmentRead]:
        """Declare an environment, or change its rules. Its label is protected from then on. `If-Match` with the digest that
        was read refuses to overwrite what somebody else changed.

        The body is `{after?, prompts: {<name>: {suites: […], policy?}}, approvals, rollout?: {steps: […]}, freeze?}`.
        """
        expected = request.headers.get("if-match", "").strip().strip('"') or None
        read, _ = await environments.put(name, parse(data), expected=None if expected == "*" else expected)
        return _answer(read)


def _answer(read: EnvironmentRead) -> Response[EnvironmentRead]:
    return Response(read, headers={"ETag": f'"{read.digest}"'})


router = Router("/", route_handlers=[EnvironmentController])
