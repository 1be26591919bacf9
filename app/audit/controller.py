"""The audit over HTTP."""

from datetime import datetime

from litestar import Controller, Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.audit.schemas import Entry, Verified
from app.audit.service import Audit
from app.kit.errors import BadRequestError
from app.kit.pages import DEFAULT_LIMIT, Page, checked_limit


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
    ) -> Page[Entry]:
        """Every change, newest first. `action` is whole (`label.moved`) or its noun (`release`); `subject` and `actor` are
        found anywhere in theirs."""
        for name, moment in (("since", since), ("until", until)):
            if moment is not None and moment.tzinfo is None:
                raise BadRequestError.at(f"/{name}", "give the time with its offset, such as 2027-01-31T00:00:00Z")
        filters = {"action": action, "subject": subject, "actor": actor, "since": since, "until": until}
        return await Audit(session, caller.project_id).page(filters, checked_limit(limit), cursor)

    @get("/verify", operation_id="verify_audit")
    async def verify(self, session: NamedDependency[AsyncSession], caller: NamedDependency[Caller]) -> Verified:
        """Computes the whole chain again, and says where it is broken if it is."""
        return await Audit(session, caller.project_id).verify()


router = Router("/", route_handlers=[AuditController])
