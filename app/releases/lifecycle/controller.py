"""The catalogue of prompts over HTTP."""

from typing import Annotated

from litestar import Controller, Router, get, post, put
from litestar.datastructures import State as AppState
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.kit.asgi import decoded_name
from app.kit.errors import BadRequestError
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit
from app.releases.lifecycle.schemas import STATES, CatalogueChange, CatalogueEntry, Retire
from app.releases.lifecycle.service import LifeCycles
from app.releases.service import Releases


async def provide_life_cycles(
    session: NamedDependency[AsyncSession], caller: NamedDependency[Caller], state: AppState
) -> LifeCycles:
    return LifeCycles(session, caller.project_id, caller.actor, state.clock)


class CatalogueController(Controller):
    tags = ("Catalogue",)
    dependencies = {"cycles": Provide(provide_life_cycles)}

    @get("/api/v1/catalogue", operation_id="list_catalogue", opt={"permission": "registry:read"})
    async def page(
        self,
        cycles: NamedDependency[LifeCycles],
        wanted: Annotated[str | None, QueryParameter(name="state")] = None,
        owner: FromQuery[str | None] = None,
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Page[CatalogueEntry]:
        """Every prompt as a whole: owner, purpose, where it is live, its last evaluation, who calls it, what comes after it.

        `state` is never_released, live, live_unevaluated, sunset_due or retired.
        """
        if wanted is not None and wanted not in STATES:
            raise BadRequestError.at("/state", f"{wanted!r} is no state; states are {', '.join(STATES)}")
        if owner is not None and "\x00" in owner:
            raise BadRequestError.at("/owner", "a NUL character occurs nowhere")
        return await cycles.page(wanted, owner, checked_limit(limit), cursor)  # type: ignore[arg-type]

    @get("/api/v1/prompts/{name:str}/catalogue", operation_id="get_catalogue", opt={"permission": "registry:read"})
    async def one(self, cycles: NamedDependency[LifeCycles], name: FromPath[str]) -> CatalogueEntry:
        """One prompt as a whole."""
        return await cycles.entry(decoded_name(name))

    @put("/api/v1/prompts/{name:str}/catalogue", operation_id="put_catalogue", opt={"permission": "registry:manage"})
    async def change(
        self, cycles: NamedDependency[LifeCycles], name: FromPath[str], data: JSONBody[CatalogueChange]
    ) -> CatalogueEntry:
        """Say whose a prompt is, what it is for, until when it is kept, and what comes after it."""
        return await cycles.change(decoded_name(name), data)

    @post(
        "/api/v1/prompts/{name:str}/retire",
        operation_id="retire_prompt",
        opt={"permission": "registry:manage"},
        status_code=200,
    )
    async def retire(
        self,
        cycles: NamedDependency[LifeCycles],
        caller: NamedDependency[Caller],
        session: NamedDependency[AsyncSession],
        state: AppState,
        name: FromPath[str],
        data: JSONBody[Retire],
    ) -> CatalogueEntry:
        """Retire a prompt: who fetches or calls it gets 410 with its successor. Refused while it is live and called, unless
        `force`."""
        entry = await cycles.retire(decoded_name(name), data)
        await session.commit()  # what is served is read anew only after this
        releases: Releases = state.releases
        releases.forget(caller.project_id, [(live.environment, entry.name) for live in entry.live])
        return entry

    @post(
        "/api/v1/prompts/{name:str}/revive",
        operation_id="revive_prompt",
        opt={"permission": "registry:manage"},
        status_code=200,
    )
    async def revive(
        self, cycles: NamedDependency[LifeCycles], name: FromPath[str], reason: FromQuery[str] = ""
    ) -> CatalogueEntry:
        """Take a retirement back."""
        return await cycles.revive(decoded_name(name), reason)


router = Router("/", route_handlers=[CatalogueController])
