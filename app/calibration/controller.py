from litestar import Controller, Router, get, post, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.calibration.queues import Queues
from app.calibration.schemas import (
    CalibrationCreate,
    CalibrationRead,
    CalibrationSummary,
    LabelItem,
    LabelPut,
    LabelQueue,
    QueueCreate,
)
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


class LabelQueueController(Controller):
    path = "/api/v1/rubrics/{name:str}/label-queue"
    tags = ("Calibration",)

    @post("/", operation_id="create_label_queue", opt=WRITE)
    async def create(
        self,
        caller: NamedDependency[Caller],
        state: State,
        name: FromPath[str],
        data: JSONBody[QueueCreate],
    ) -> LabelQueue:
        """Draw answers of a run for people to label."""
        queues: Queues = state.label_queues
        return await queues.create(caller, decoded_name(name), data)

    @get("/", operation_id="list_label_queue", opt=READ)
    async def items(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        name: FromPath[str],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
        queue: FromQuery[str | None] = None,
        labelled: FromQuery[bool | None] = None,
    ) -> Page[LabelItem]:
        """The answers of a queue, by default of the newest, or those of them that are (not) labelled."""
        queues: Queues = state.label_queues
        return await queues.items(session, caller, decoded_name(name), queue, labelled, checked_limit(limit), cursor)

    @put("/{item_id:str}", operation_id="label_answer", opt=WRITE)
    async def label(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        name: FromPath[str],
        item_id: FromPath[str],
        data: JSONBody[LabelPut],
    ) -> LabelItem:
        """Say what an answer is worth. What the judge said is shown from then on."""
        queues: Queues = state.label_queues
        return await queues.label(session, caller, decoded_name(name), item_id, data)


router = Router("/", route_handlers=[CalibrationController, LabelQueueController])
