"""The scorers that this service knows, with the JSON Schemas of their arguments."""

import importlib.util
from collections.abc import Iterator
from typing import Literal

import msgspec
from litestar import Router, get
from litestar.params import FromPath, FromQuery

from app.kit.errors import BadRequestError, NotFoundError
from app.kit.pages import Page
from evaluators import registry
from evaluators.contract import NEEDS, ScorerConfigError
from evaluators.registry import Description, describe, names


class ScorerRead(Description, frozen=True):
    """A scorer as this service has it. `family` is the folder or the package that it comes from; one that is not `available`
    lacks packages, which `extra` installs."""

    family: str
    available: bool


@get("/api/v1/scorers", operation_id="list_scorers", opt={"permission": "scorers:read"}, tags=["Scorers"])
async def listed(
    kind: FromQuery[Literal["code", "judge"] | None] = None,
    needs: FromQuery[str | None] = None,
    q: FromQuery[str | None] = None,
) -> Page[ScorerRead]:
    """All scorers, bundled ones and those of installed packages; or those of a kind, those that need something, and those
    whose name or documentation has the text `q`."""
    if needs is not None and needs not in NEEDS:
        raise BadRequestError.at("/needs", f"no scorer can need {needs!r}; there is {', '.join(sorted(NEEDS))}")
    return Page(list(_fitting(kind, needs, (q or "").lower())))


@get("/api/v1/scorers/{name:str}", operation_id="get_scorer", opt={"permission": "scorers:read"}, tags=["Scorers"])
async def one(name: FromPath[str]) -> ScorerRead:
    """One scorer: formula, range, direction, source, and its arguments."""
    try:
        return _read(name)
    except ScorerConfigError as error:
        raise NotFoundError(error.message) from error


def _fitting(kind: str | None, needs: str | None, text: str) -> Iterator[ScorerRead]:
    for name in names():
        scorer = _read(name)
        if kind not in (None, scorer.kind) or (needs is not None and needs not in scorer.needs):
            continue
        if text in scorer.name or text in scorer.doc.lower():
            yield scorer


def _read(name: str) -> ScorerRead:
    scorer = describe(name)
    package, *folders = scorer.origin.split(".")
    family = package  # of a package that was installed beside this one
    if package == "evaluators":
        family = folders[0] if len(folders) > 1 else "combination"
    available = all(importlib.util.find_spec(module) is not None for module in registry.get(name).modules)
    return ScorerRead(**msgspec.structs.asdict(scorer), family=family, available=available)


router = Router("/", route_handlers=[listed, one])
