from litestar import Controller, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.calibration.schemas import CalibrationCreate, CalibrationRead, CalibrationSummary
from app.calibration.service import Calibrations
from app.kit.asgi import decoded_name
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit

READ, WRITE = {"permission": "runs:read"}, {"permission": "runs:write"}


class CalibrationController(Controller):
    path = "/api/v1"
    tags = ("Calibration",)

    @post("/rubrics/{name:str}/calibrations", operation_id="calibrate", opt=WRITE)
    async def create(
        self,
        caller: NamedDependency[Caller],
        state: State,
        name: FromPath[str],
        data: JSONBody[CalibrationCreate],
    ) -> CalibrationRead:
        """Measure a rubric's judge against what people say of the same answers."""
        calibrations: Calibrations = state.calibrations
        return await calibrations.create(caller, decoded_name(name), data)

    @get("/rubrics/{name:str}/calibrations", operation_id="list_calibrations", opt=READ)
    async def page(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        name: FromPath[str],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Page[CalibrationSummary]:
        """The calibrations of a rubric, newest first."""
        calibrations: Calibrations = state.calibrations
        return await calibrations.page(session, caller, decoded_name(name), checked_limit(limit), cursor)

    @get("/calibrations/{calibration_id:str}", operation_id="get_calibration", opt=READ)
    async def one(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        calibration_id: FromPath[str],
    ) -> CalibrationRead:
        """One calibration with all its figures."""
        calibrations: Calibrations = state.calibrations
        return await calibrations.get(session, caller.project_id, calibration_id)


router = Router("/", route_handlers=[CalibrationController])
