"""The routes of labels, the same for every kind."""

from typing import Any

import msgspec
from litestar import Controller, Request, Response, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from app.kit.asgi import decoded_name
from app.kit.errors import BadRequestError
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit
from app.registry.labels import ANYTHING, Expected
from app.registry.schemas import LabelDelete, LabelMove, LabelPut, LabelRead
from app.registry.service import Registry
from app.registry.wire import ETAG, operation


class LabelController(Controller):
    """Where labels point, and every move of them. An environment's label moves by a release alone."""

    opt = {"permission": "registry:read"}

    @get("/{name:str}/labels", operation_id=operation("list_labels"))
    async def labels(
        self, registry: NamedDependency[Registry], kind: NamedDependency[str], name: FromPath[str]
    ) -> list[LabelRead]:
        """Where each label points."""
        row = await registry.known(kind, decoded_name(name))
        return await registry.labels.listed(kind, row.name)

    @get("/{name:str}/labels/{label:str}", operation_id=operation("get_label"), response_headers=ETAG)
    async def label(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        name: FromPath[str],
        label: FromPath[str],
    ) -> Response[LabelRead]:
        """Where a label points. The ETag is the digest there: send it as `If-Match` to move the label only from there."""
        row = await registry.known(kind, decoded_name(name))
        return _label_response(await registry.labels.one(kind, row.name, label))

    @put(
        "/{name:str}/labels/{label:str}",
        operation_id=operation("put_label"),
        opt={"permission": "labels:write"},
        response_headers=ETAG,
    )
    async def put_label(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        request: Request[Any, Any, Any],
        name: FromPath[str],
        label: FromPath[str],
        data: JSONBody[LabelPut],
    ) -> Response[LabelRead]:
        """Put a label on a version. The label of an environment is refused: a release moves it.

        `If-Match` with the digest that the label stood on, or `If-None-Match: *` for a label that is not there yet, answers
        412 when somebody else moved it meanwhile.
        """
        found = await registry.put_label(
            kind, decoded_name(name), label, data.version, data.reason, expected_of(request)
        )
        return _label_response(found)

    @delete(
        "/{name:str}/labels/{label:str}", operation_id=operation("delete_label"), opt={"permission": "labels:write"}
    )
    async def delete_label(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        request: Request[Any, Any, Any],
        name: FromPath[str],
        label: FromPath[str],
        reason: FromQuery[str] = "",
    ) -> None:
        """Remove a label. The reason is a query parameter, or a JSON body `{reason}` for clients that send one."""
        body = await request.body()
        try:
            given = msgspec.json.decode(body, type=LabelDelete) if body else LabelDelete(reason)
        except msgspec.MsgspecError as error:
            raise BadRequestError(f"the body is not {{reason}}: {error}") from error
        await registry.remove_label(kind, decoded_name(name), label, given.reason, expected_of(request))

    @get("/{name:str}/labels/{label:str}/history", operation_id=operation("label_history"))
    async def label_history(
        self,
        registry: NamedDependency[Registry],
        kind: NamedDependency[str],
        name: FromPath[str],
        label: FromPath[str],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Page[LabelMove]:
        """Every move of a label, newest first: from, to, who, when, why."""
        row = await registry.known(kind, decoded_name(name))
        return await registry.labels.history(kind, row.name, label, checked_limit(limit), cursor)


def expected_of(request: Request[Any, Any, Any]) -> Expected:
    """What `If-Match` and `If-None-Match: *` say of where a label stands."""
    match, none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
    if none_match is not None:
        if none_match.strip() != "*" or match is not None:
            raise BadRequestError('send either `If-Match: "<digest>"` or `If-None-Match: *`')
        return Expected(nowhere=True, anywhere=False)
    if match is None:
        return ANYTHING
    tags = frozenset(tag.strip().removeprefix("W/").strip('"') for tag in match.split(","))
    return Expected(frozenset() if "*" in tags else tags, anywhere=False)


def _label_response(label: LabelRead) -> Response[LabelRead]:
    return Response(label, headers={"ETag": f'"{label.digest}"', "Cache-Control": "private, no-cache"})
