"""Which ratings are asked for."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, func, literal, select, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.feedback.tables import RatingRow
from app.kit.errors import BadRequestError, NotFoundError
from app.registry.service import Registry

MAX_VERSION = 2**31 - 1


@dataclass(frozen=True)
class Filters:
    """What is left out does not filter. `prompt` is a name, or a reference such as `name@7`; `history` includes ratings that
    their raters replaced."""

    prompt: str | None = None
    version: int | None = None
    release: str | None = None
    environment: str | None = None
    signal: str | None = None
    inference_id: str | None = None
    tag: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    history: bool = False


async def filtered(session: AsyncSession, project_id: str, filters: Filters, query: Select[Any]) -> Select[Any]:
    """`query` on ratings with these filters.

    Raises `NotFoundError` for a prompt that does not exist, `BadRequestError` for a filter that nothing can match.
    """
    for field in fields(filters):
        value = getattr(filters, field.name)
        if isinstance(value, str) and "\0" in value:
            raise BadRequestError.at(f"/{field.name}", "text cannot hold the character U+0000")
    query = query.where(col(RatingRow.project_id) == project_id)
    version = filters.version
    if version is not None and not 1 <= version <= MAX_VERSION:
        raise BadRequestError.at("/version", f"versions are numbers from 1, not {version}")
    if filters.prompt is not None:
        name, of_it = await _prompt(session, project_id, filters.prompt)
        if version is not None and of_it is not None and version != of_it:
            raise BadRequestError.at("/version", f"{filters.prompt} is version {of_it}: say the version once")
        version = version if of_it is None else of_it
        query = query.where(col(RatingRow.prompt) == name)
    if version is not None:
        query = query.where(col(RatingRow.version) == version)
    for column in ("release", "environment", "signal", "inference_id"):
        if (value := getattr(filters, column)) is not None:
            query = query.where(getattr(RatingRow, column) == value)
    if filters.tag is not None:
        query = query.where(_tagged(session, filters.tag))
    if filters.since is not None:
        query = query.where(col(RatingRow.created_at) >= _moment(filters.since, "/since"))
    if filters.until is not None:
        query = query.where(col(RatingRow.created_at) < _moment(filters.until, "/until"))
    return query


async def _prompt(session: AsyncSession, project_id: str, ref: str) -> tuple[str, int | None]:
    """The name that a reference means, and its version when it says one."""
    registry = Registry(session, project_id)
    try:
        if "@" not in ref:
            return (await registry.known("prompt", ref)).name, None
        found = await registry.resolve("prompt", ref)
    except NotFoundError as error:
        raise NotFoundError.at("/prompt", error.detail) from error
    if found.number is None:
        raise NotFoundError.at("/prompt", f"{ref} is a draft, and what answers is a version")
    return found.name or ref.partition("@")[0], found.number


def _tagged(session: AsyncSession, tag: str) -> Any:
    if session.get_bind().dialect.name == "postgresql":
        return type_coerce(col(RatingRow.tags), JSONB).contains([tag])
    parts = func.json_each(col(RatingRow.tags)).table_valued("value")
    return select(literal(1)).select_from(parts).where(parts.c.value == tag).exists()


def _moment(moment: datetime, pointer: str) -> datetime:
    if moment.tzinfo is None:
        raise BadRequestError.at(pointer, "give the time with its offset, such as 2027-01-31T00:00:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise BadRequestError.at(
            pointer, f"{moment.isoformat()} is before the first year, or after the last"
        ) from error
