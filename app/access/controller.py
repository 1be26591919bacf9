from litestar import Controller, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.idempotency import UNKEPT
from app.access.schemas import Caller, KeyCreate, KeyCreated, KeyRead
from app.access.service import KeyService
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit


class KeyController(Controller):
    path = "/api/v1/keys"
    tags = ("Keys",)
    opt = {"permission": "keys:manage"}

    @get(operation_id="list_keys")
    async def page(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Page[KeyRead]:
        """The project's keys, without their secrets."""
        return await KeyService(session, caller.project_id).page(checked_limit(limit), cursor)

    @post(operation_id="create_key", opt={UNKEPT: True}, response_headers={"Cache-Control": "no-store"})
    async def create(
        self, session: NamedDependency[AsyncSession], caller: NamedDependency[Caller], data: JSONBody[KeyCreate]
    ) -> KeyCreated:
        """Make a key. It is shown in this answer and never again, so an Idempotency-Key has no effect here."""
        return await KeyService(session, caller.project_id, actor=caller.actor).create(data, up_to=caller.clearance)

    @delete("/{key_id:str}", operation_id="revoke_key")
    async def revoke(
        self, session: NamedDependency[AsyncSession], caller: NamedDependency[Caller], key_id: FromPath[str]
    ) -> None:
        """Revoke a key; it stops working within five seconds."""
        await KeyService(session, caller.project_id, actor=caller.actor).revoke(key_id, caller)


router = Router("/", route_handlers=[KeyController])
