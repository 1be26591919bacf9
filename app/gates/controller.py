from litestar import Controller, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.gates.schemas import Backtest, BacktestCreate, Evaluate, VerdictRecord
from app.gates.service import Gates
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit


class GateController(Controller):
    path = "/api/v1/gates"
    tags = ("Gates",)

    @post("/evaluate", status_code=200, operation_id="evaluate_gate", opt={"permission": "gates:evaluate"})
    async def evaluate(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        data: JSONBody[Evaluate],
    ) -> VerdictRecord:
        """Judge a candidate of a run against a baseline by a policy. Every verdict is kept."""
        return await Gates(session, caller, state.runs, state.clock).evaluate(data)

    @post("/backtest", status_code=200, operation_id="backtest_gate", opt={"permission": "gates:evaluate"})
    async def backtest(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        data: JSONBody[BacktestCreate],
    ) -> Backtest:
        """How often this gate and three common ones would have blocked, over many small suites of recorded answers."""
        return await Gates(session, caller, state.runs, state.clock).backtest(data)

    @get("/verdicts", operation_id="list_verdicts", opt={"permission": "runs:read"})
    async def page(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Page[VerdictRecord]:
        """The verdicts that were given, newest first."""
        return await Gates(session, caller, state.runs, state.clock).page(checked_limit(limit), cursor)

    @get("/verdicts/{verdict_id:str}", operation_id="get_verdict", opt={"permission": "runs:read"})
    async def one(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        verdict_id: FromPath[str],
    ) -> VerdictRecord:
        """One verdict with all its rules."""
        return await Gates(session, caller, state.runs, state.clock).get(verdict_id)


router = Router("/", route_handlers=[GateController])
