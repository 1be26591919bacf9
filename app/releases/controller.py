"""Releases over HTTP."""

from typing import Annotated

from litestar import Controller, Router, get, post
from litestar.datastructures import State as AppState
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.kit.errors import BadRequestError
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit
from app.releases.schemas import Act, Approve, EvaluateAgain, ReleaseCreate, ReleaseRead, ReleaseSummary, State
from app.releases.service import Releases

MAX_WAIT_S = 600.0
STATES: tuple[str, ...] = State.__args__  # type: ignore[attr-defined]


class ReleaseController(Controller):
    path = "/api/v1/releases"
    tags = ("Releases",)

    @post(operation_id="create_release", opt={"permission": "releases:propose"})
    async def create(
        self,
        state: AppState,
        caller: NamedDependency[Caller],
        data: JSONBody[ReleaseCreate],
        wait: FromQuery[float] = 0.0,
    ) -> ReleaseRead:
        """Ask for exactly this content to go live. It is evaluated by what the environment asks for; when every suite passes
        and nobody has to approve, its rollout begins. With `wait`, answers once it is evaluated or after so many seconds."""
        seconds = _seconds(wait)
        made = await _releases(state).create(caller, data)
        return await _releases(state).wait(caller.project_id, made.id, seconds) if seconds else made

    @get(operation_id="list_releases", opt={"permission": "releases:read"})
    async def page(
        self,
        session: NamedDependency[AsyncSession],
        state: AppState,
        caller: NamedDependency[Caller],
        environment: FromQuery[str | None] = None,
        prompt: FromQuery[str | None] = None,
        wanted: Annotated[str | None, QueryParameter(name="state")] = None,
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Page[ReleaseSummary]:
        """Releases, newest first; `state` is one state, or several with commas."""
        states = [] if wanted is None else wanted.split(",")
        for one in states:
            if one not in STATES:
                raise BadRequestError.at("/state", f"there is no state {one!r}; states are {', '.join(STATES)}")
        return await _releases(state).page(
            session, caller.project_id, checked_limit(limit), cursor, environment, prompt, states
        )

    @get("/{release_id:str}", operation_id="get_release", opt={"permission": "releases:read"})
    async def get(
        self,
        state: AppState,
        caller: NamedDependency[Caller],
        release_id: FromPath[str],
        wait: FromQuery[float] = 0.0,
    ) -> ReleaseRead:
        """One release with its timeline. With `wait`, answers once it is evaluated or after so many seconds."""
        return await _releases(state).wait(caller.project_id, release_id, _seconds(wait))

    @post(
        "/{release_id:str}/evaluate",
        operation_id="evaluate_release",
        status_code=200,
        opt={"permission": "releases:propose"},
    )
    async def evaluate(
        self,
        state: AppState,
        caller: NamedDependency[Caller],
        release_id: FromPath[str],
        data: JSONBody[EvaluateAgain | None] = None,
        wait: FromQuery[float] = 0.0,
    ) -> ReleaseRead:
        """Evaluate a blocked release again, by what the environment asks for now."""
        seconds, arrived = _seconds(wait), state.clock()
        read = await _releases(state).evaluate(caller, release_id, data or EvaluateAgain(), arrived)
        return await _releases(state).wait(caller.project_id, read.id, seconds) if seconds else read

    @post(
        "/{release_id:str}/approve",
        operation_id="approve_release",
        status_code=200,
        opt={"permission": "releases:approve"},
    )
    async def approve(
        self,
        state: AppState,
        caller: NamedDependency[Caller],
        release_id: FromPath[str],
        data: JSONBody[Approve | None] = None,
    ) -> ReleaseRead:
        """Approve; never one's own work. With `accept_risk` and a reason, an inconclusive release is let through."""
        return await _releases(state).approve(caller, release_id, data or Approve(), state.clock())


def _act(name: str, text: str) -> HTTPRouteHandler:
    """The route of an act that takes a reason and nothing else."""

    async def act(
        state: AppState,
        caller: NamedDependency[Caller],
        release_id: FromPath[str],
        data: JSONBody[Act | None] = None,
    ) -> ReleaseRead:
        done: ReleaseRead = await getattr(_releases(state), name)(caller, release_id, data or Act(), state.clock())
        return done

    act.__doc__ = text
    return post(
        f"/api/v1/releases/{{release_id:str}}/{name}",
        operation_id=f"{name}_release",
        status_code=200,
        opt={"permission": "releases:operate"},
        tags=["Releases"],
    )(act)


ACTS = {
    "reject": "Refuse a release that is not yet served.",
    "promote": "The next step of the rollout now, without waiting for ratings.",
    "pause": "Stay at this share until somebody resumes.",
    "resume": "Go on with a paused rollout; what paused it is overruled, and the timeline says so.",
    "rollback": "End a rollout, or put the predecessor back where this release is live.",
}


def _releases(state: AppState) -> Releases:
    releases: Releases = state.releases
    return releases


def _seconds(wait: float) -> float:
    if not 0 <= wait <= MAX_WAIT_S:
        raise BadRequestError.at("/wait", f"wait between 0 and {MAX_WAIT_S:g} seconds")
    return wait


router = Router("/", route_handlers=[ReleaseController, *(_act(name, text) for name, text in ACTS.items())])
