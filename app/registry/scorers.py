"""The scorers that this service knows, with the JSON Schemas of their arguments."""

from litestar import Router, get
from litestar.params import FromPath

from app.kit.errors import NotFoundError
from app.kit.pages import Page
from evaluators.contract import ScorerConfigError
from evaluators.registry import Description, describe, names


@get("/api/v1/scorers", operation_id="list_scorers", opt={"permission": "scorers:read"}, tags=["Scorers"])
async def listed() -> Page[Description]:
    """All scorers, bundled ones and those of installed packages."""
    return Page([describe(name) for name in names()])


@get("/api/v1/scorers/{name:str}", operation_id="get_scorer", opt={"permission": "scorers:read"}, tags=["Scorers"])
async def one(name: FromPath[str]) -> Description:
    """One scorer: formula, range, direction, source, and its arguments."""
    try:
        return describe(name)
    except ScorerConfigError as error:
        raise NotFoundError(error.message) from error


router = Router("/", route_handlers=[listed, one])
