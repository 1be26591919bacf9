from datetime import datetime
from typing import Annotated, Any

from litestar import Controller, Router, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.kit.asgi import decoded_name
from app.kit.errors import InvalidContentError
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit
from app.kit.texts import require_findable
from app.monitoring import drift as drifting
from app.monitoring import leaderboard as standings
from app.monitoring.book import Book
from app.monitoring.definition import parse
from app.monitoring.schedules import Schedules
from app.monitoring.schemas import Drift, Leaderboard, ScheduledRun, ScheduleRead, ScheduleRun

READ, WRITE = {"permission": "schedules:read"}, {"permission": "schedules:write"}
RUNS = {"permission": "runs:read"}


async def provide_book(session: NamedDependency[AsyncSession], caller: NamedDependency[Caller], state: State) -> Book:
    schedules: Schedules = state.schedules
    return schedules.book(session, caller)


class ScheduleController(Controller):
    path = "/api/v1/schedules"
    tags = ("Schedules",)
    dependencies = {"book": Provide(provide_book)}

    @get("/", operation_id="list_schedules", opt=READ)
    async def page(self, book: NamedDependency[Book]) -> Page[ScheduleRead]:
        """Every schedule, with when it is due and what became of it last."""
        return Page(await book.all())

    @post("/", operation_id="create_schedule", opt=WRITE)
    async def create(self, book: NamedDependency[Book], data: JSONBody[dict[str, Any]]) -> ScheduleRead:
        """Declare a recurring evaluation, or a sentinel for new endpoints.

        The body is `{name, cron, timezone?, suite, candidates | live, baseline?, …}`, or
        `{name, on: "new_endpoint", suites, prompt, champion?, …}`, with `repeats`, `budget_usd`, `max_cases`, `fresh`,
        `priority` and `enabled` as for runs.
        """
        name = data.pop("name", None)
        if not isinstance(name, str):
            raise InvalidContentError.at("/name", "give the schedule a name")
        return await book.create(name, parse(data))

    @get("/{name:str}", operation_id="get_schedule", opt=READ)
    async def one(self, book: NamedDependency[Book], name: FromPath[str]) -> ScheduleRead:
        """One schedule."""
        return await book.get(decoded_name(name))

    @patch("/{name:str}", operation_id="change_schedule", opt=WRITE)
    async def change(
        self, book: NamedDependency[Book], name: FromPath[str], data: JSONBody[dict[str, Any]]
    ) -> ScheduleRead:
        """Change some fields of a schedule; null puts one back to its default."""
        return await book.change(decoded_name(name), data)

    @delete("/{name:str}", operation_id="delete_schedule", opt=WRITE)
    async def remove(self, book: NamedDependency[Book], name: FromPath[str]) -> None:
        """Take a schedule away. Its runs stay."""
        await book.delete(decoded_name(name))

    @post("/{name:str}/run", operation_id="run_schedule", opt=WRITE, status_code=200)
    async def run(
        self,
        caller: NamedDependency[Caller],
        state: State,
        name: FromPath[str],
        data: JSONBody[ScheduleRun | None] = None,
    ) -> Page[ScheduledRun]:
        """Run a schedule now, due or not; one run per suite. For a sentinel, say which endpoint it is to evaluate."""
        schedules: Schedules = state.schedules
        return Page(await schedules.run_now(caller, decoded_name(name), data or ScheduleRun()))

    @get("/{name:str}/runs", operation_id="list_scheduled_runs", opt=READ)
    async def runs(
        self,
        book: NamedDependency[Book],
        name: FromPath[str],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Page[ScheduledRun]:
        """What became of each time that it was due, newest first; with how the runs ended and what they compared."""
        return await book.runs(decoded_name(name), checked_limit(limit), cursor)


@get("/api/v1/leaderboard", operation_id="leaderboard", opt=RUNS, tags=["Schedules"])
async def leaderboard(
    session: NamedDependency[AsyncSession],
    caller: NamedDependency[Caller],
    suite: Annotated[str, QueryParameter(min_length=1)],
    metric: FromQuery[str | None] = None,
    since: FromQuery[datetime | None] = None,
) -> Leaderboard:
    """Endpoints and prompts side by side on one suite, the best first, each with its history."""
    require_findable(suite, "/suite")
    if since is not None and since.tzinfo is None:
        raise InvalidContentError.at("/since", "give the time with its offset, such as 2027-01-31T00:00:00Z")
    return await standings.leaderboard(session, caller.project_id, suite, metric, since)


@get("/api/v1/drift", operation_id="drift", opt=RUNS, tags=["Schedules"])
async def drift(
    session: NamedDependency[AsyncSession],
    caller: NamedDependency[Caller],
    state: State,
    suite: Annotated[str, QueryParameter(min_length=1)],
    endpoint: FromQuery[str | None] = None,
) -> Drift:
    """Whether the same content, asked afresh on the same cases, answers as it did: the latest run against the first and the
    one before. It is fed by runs with `fresh: true`."""
    require_findable(suite, "/suite")
    return await drifting.drift(session, state.runs, caller.project_id, suite, endpoint)


router = Router("/", route_handlers=[ScheduleController, leaderboard, drift])
"""Schedules, and what runs say over time."""
