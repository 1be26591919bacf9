from typing import Any

import msgspec
from litestar import Controller, Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.datasets.parsing import checked, from_json, parse
from app.datasets.schemas import DatasetCreate, Item
from app.datasets.service import Datasets
from app.kit.asgi import decoded_name
from app.kit.db import writing
from app.kit.errors import BadRequestError
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit
from app.kit.problems import field_error
from app.registry.schemas import Version


class DatasetController(Controller):
    path = "/api/v1/datasets"
    tags = ("Datasets",)

    @post("/{name:str}/versions", operation_id="create_dataset_version", opt={"permission": "registry:write"})
    async def create(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        request: Request[Any, Any, Any],
        name: FromPath[str],
        message: FromQuery[str] = "",
    ) -> Response[Version]:
        """Make a version from JSON `{content: {items: […]}}`, CSV, JSON lines or Parquet, as the media type says."""
        data = await request.body()
        await writing(session)
        datasets = Datasets(session, caller.project_id, actor=caller.actor)
        media_type = request.headers.get("content-type", "")
        if media_type.partition(";")[0].strip().lower() in ("application/json", ""):
            try:
                sent = msgspec.json.decode(data, type=DatasetCreate)
            except msgspec.MsgspecError as error:
                field = field_error(error)
                raise BadRequestError(f"{field.pointer or '/'}: {field.detail}", [field]) from error
            content = sent.content
            version, created = await datasets.create_version(
                decoded_name(name),
                checked(from_json(content.items)),
                description=content.description,
                schema=content.schema,
                tags=content.tags,
                message=sent.message,
                labels=sent.labels,
            )
        else:
            version, created = await datasets.create_version(decoded_name(name), parse(data, media_type), message=message)
        return Response(version, status_code=201 if created else 200)

    @get("/{name:str}/versions/{ref:str}/items", operation_id="list_dataset_items", opt={"permission": "registry:read"})
    async def items(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        name: FromPath[str],
        ref: FromPath[str],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
        tag: FromQuery[str | None] = None,
    ) -> Page[Item]:
        """The items of a version, in its order."""
        datasets = Datasets(session, caller.project_id)
        dataset = await datasets.registry.resolve("dataset", f"{decoded_name(name)}@{ref}" if ref != "latest" else decoded_name(name))
        return await datasets.page(dataset, checked_limit(limit), cursor, tag)


router = Router("/", route_handlers=[DatasetController])
