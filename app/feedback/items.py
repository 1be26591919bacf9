"""From production into a dataset: answers that were served, with what people said they should have been."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, Router, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access.schemas import Caller
from app.datasets.parsing import Place, checked
from app.datasets.service import KIND, Datasets
from app.feedback.tables import InferenceRow, RatingRow
from app.kit.asgi import decoded_name
from app.kit.db import batched_by_variables
from app.kit.errors import FieldError, InvalidContentError
from app.kit.texts import Note
from app.registry.controller import require_labels, version_response
from app.registry.kinds.base import Tag
from app.registry.schemas import Version
from app.registry.wire import ETAG

MAX_INFERENCES = 1_000


class FromInference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which answers become items: the inference's id is the item's, its variables are the inputs.

    The reference is `reference` for all of them, else the newest correction that a person gave, else with `use_output` what was
    answered (for answers that people liked), else none.
    """

    inferences: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_INFERENCES)]
    reference: Any = None
    use_output: bool = False
    tags: list[Tag] = []
    split: str = ""
    message: Note = ""
    labels: list[str] = []


class ItemsController(Controller):
    tags = ("Datasets",)

    @post(
        "/api/v1/datasets/{name:str}/items:from-inference",
        operation_id="datasets_items_from_inference",
        opt={"permission": "registry:write"},
        response_headers=ETAG,
        responses={200: ResponseSpec(Version, description="These items are there already; nothing was made")},
    )
    async def create(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        state: State,
        name: FromPath[str],
        data: JSONBody[FromInference],
    ) -> Response[Version]:
        """A new version of a dataset with answers from production as items, or the first one. A question that went wrong
        becomes a case that every later version must pass."""
        require_labels(caller, data.labels)
        scan = state.settings.scan
        datasets = Datasets(session, caller.project_id, actor=caller.actor, clock=state.clock, scan=scan)
        await datasets.registry.repository.lock()
        rows = await _inferences(session, caller.project_id, data.inferences)
        corrections = await _corrections(session, caller.project_id, data.inferences)
        put = checked(
            (Place(f"/inferences/{i}", f"inference {i + 1}"), _item(row, corrections.get(row.id), data))
            for i, row in enumerate(rows)
        )
        named = decoded_name(name)
        source = {"via": "inference"}
        if await datasets.registry.repository.artifact(KIND, named) is None:
            made = await datasets.create_version(named, put, message=data.message, labels=data.labels, source=source)
        else:
            made = await datasets.amend(named, put, [], message=data.message, labels=data.labels, source=source)
        return version_response(*made)


async def _inferences(session: AsyncSession, project_id: str, ids: Sequence[str]) -> list[InferenceRow]:
    found: dict[str, InferenceRow] = {}
    for some in batched_by_variables(ids):
        query = select(InferenceRow).where(col(InferenceRow.project_id) == project_id, col(InferenceRow.id).in_(some))
        found |= {row.id: row for row in await session.scalars(query)}
    problems = []
    for i, identifier in enumerate(ids):
        if identifier not in found:
            problems.append(FieldError(f"/inferences/{i}", f"there is no inference {identifier!r}"))
        elif found[identifier].variables is None:
            detail = (
                f"{identifier!r} was logged without its variables, or they were erased: there is nothing to ask again"
            )
            problems.append(FieldError(f"/inferences/{i}", detail))
    if problems:
        raise InvalidContentError("; ".join(p.detail for p in problems[:3]), problems[:20])
    return [found[identifier] for identifier in dict.fromkeys(ids)]


async def _corrections(session: AsyncSession, project_id: str, ids: Sequence[str]) -> dict[str, str]:
    """The newest correction of each answer that its rater still stands by."""
    found: dict[str, str] = {}
    for some in batched_by_variables(ids):
        query = select(col(RatingRow.inference_id), col(RatingRow.correction)).where(
            col(RatingRow.project_id) == project_id,
            col(RatingRow.inference_id).in_(some),
            col(RatingRow.current),
            col(RatingRow.correction).is_not(None),
        )
        rows = (await session.execute(query.order_by(col(RatingRow.created_at)))).all()
        found |= {str(row[0]): str(row[1]) for row in rows}
    return found


def _item(row: InferenceRow, correction: str | None, asked: FromInference) -> dict[str, Any]:
    reference = asked.reference
    if reference is None:
        reference = correction if correction is not None else (row.output if asked.use_output else None)
    metadata = {
        "inference": row.id,
        "prompt": row.prompt if row.version is None else f"{row.prompt}@{row.version}",
        "environment": row.environment,
        "corrected": correction is not None and asked.reference is None,
    }
    item = {
        "id": row.id,
        "inputs": row.variables,
        "reference": reference,
        "history": row.messages or [],
        "tags": asked.tags,
        "split": asked.split,
        "metadata": {name: value for name, value in metadata.items() if value is not None},
    }
    if row.output is not None and row.endpoint is not None:
        item["recorded"] = {row.endpoint.partition("@")[0]: {"text": row.output}}
    return item


router = Router("/", route_handlers=[ItemsController])
