"""What a transaction changes, noted where it happens; the audit room writes it down before the transaction ends."""

from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

CHANGES = "changes"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change by one actor.

    `action` is `<noun>.<past participle>`, such as `label.moved`; `subject` names what was changed, such as
    `prompt docs/answer` or a release's id. `before` and `after` are digests, or the states that stand for them; None where there
    was or is nothing. `details` hold what else a reader needs, never a secret.
    """

    project_id: str
    actor: str
    action: str
    subject: str
    before: str | None = None
    after: str | None = None
    reason: str = ""
    details: dict[str, Any] = {}


def record(session: AsyncSession, change: Change) -> None:
    """Notes a change of the session's transaction. It is kept if and only if the transaction is committed."""
    if session.get_transaction() is None:
        session.sync_session.begin()  # so that there is one whose end is the change's own
    session.info.setdefault(CHANGES, []).append(change)
