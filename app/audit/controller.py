"""The audit over HTTP."""

from datetime import UTC, datetime

from litestar import Controller, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.audit.chain import Head
from app.audit.repository import Filters
from app.audit.schemas import Checkpoint, Entries, Verified
from app.audit.service import Audit, export
from app.kit.errors import BadRequestError
from app.kit.pages import DEFAULT_LIMIT, checked_limit


class AuditController(Controller):
    path = "/api/v1/audit"
    tags = ("Audit",)
    opt = {"permission": "audit:read"}

    @get(operation_id="list_audit")
    async def page(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        action: FromQuery[str | None] = None,
        subject: FromQuery[str | None] = None,
        actor: FromQuery[str | None] = None,
        since: FromQuery[datetime | None] = None,
        until: FromQuery[datetime | None] = None,
        limit: FromQuery[int] = DEFAULT_LIMIT,
        cursor: FromQuery[str | None] = None,
    ) -> Entries:
        """Every change, newest first. `action` is whole (`label.moved`) or its noun (`release`); `subject` and `actor` are
        found anywhere in theirs, upper and lower case apart."""
        filters = Filters(
            _text("/action", action),
            _text("/subject", subject),
            _text("/actor", actor),
            _moment("/since", since),
            _moment("/until", until),
        )
        return await Audit(session, caller.project_id).page(filters, checked_limit(limit), cursor)

    @get("/verify", operation_id="verify_audit")
    async def verify(
        self,
        session: NamedDependency[AsyncSession],
        caller: NamedDependency[Caller],
        head: FromQuery[str | None] = None,
    ) -> Verified:
        """Computes the whole chain again, and says where it is broken if it is. `head` is `<no>:<hash>` of an earlier
        checkpoint, which has to lie on the chain still."""
        return await Audit(session, caller.project_id).verify(None if head is None else _head(head))

    @get("/checkpoint", operation_id="audit_checkpoint")
    async def checkpoint(
        self, session: NamedDependency[AsyncSession], caller: NamedDependency[Caller], state: State
    ) -> Checkpoint:
        """Where the chain ends now, with a MAC of this service. Kept elsewhere, it tells a chain that was rewritten."""
        return await Audit(session, caller.project_id).checkpoint(state.audit_sealer, state.clock())

    @get("/export", operation_id="export_audit")
    async def export(self, caller: NamedDependency[Caller], state: State, since_no: FromQuery[int] = 1) -> Stream:
        """The chain as JSON lines, oldest first, from entry `since_no`; the last line is `{"checkpoint": …}`.

        Each line is an entry with its project in canonical JSON (RFC 8785). Its `hash` is the SHA-256 of the same object
        without `hash`, so that anyone can check the file without this service.
        """
        if not 1 <= since_no < 2**53:
            raise BadRequestError.at("/since_no", f"since_no is the number of an entry, from 1, not {since_no}")
        pieces = export(state.sessions, caller.project_id, state.audit_sealer, state.clock, since_no)
        headers = {
            "Content-Disposition": 'attachment; filename="audit.jsonl"',
            "X-Content-Type-Options": "nosniff",
        }
        return Stream(pieces, media_type="application/x-ndjson", headers=headers)


def _text(pointer: str, text: str | None) -> str | None:
    if text is not None and "\x00" in text:
        raise BadRequestError.at(pointer, "a NUL character occurs nowhere")
    return text


def _moment(pointer: str, moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise BadRequestError.at(pointer, "give the time with its offset, such as 2027-01-31T00:00:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise BadRequestError.at(pointer, "this time lies outside of the years 1 to 9999 in UTC") from error


def _head(text: str) -> Head:
    try:
        return Head.parse(text)
    except ValueError as error:
        raise BadRequestError.at("/head", str(error)) from error


router = Router("/", route_handlers=[AuditController])
