"""From the `Authorization` header to the caller."""

import hmac
from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from app.access import keys
from app.access.roles import clearance_of
from app.access.schemas import DEFAULT_PROJECT, Caller
from app.access.tables import APIKey, ProjectRow
from app.kit.clock import Clock, utc_now
from app.kit.db import Sessions, writing
from app.kit.errors import UnauthorizedError

CACHE_S = 4.0
"""How long a checked key is trusted: a revoked key stops within five seconds on every replica."""


class Authenticator:
    """Turns the `Authorization` header into a `Caller`.

    `local_token` is the per-start token of a running service: whoever can read the home's 0600 file is its owner.
    """

    def __init__(self, sessions: Sessions, local_token: str, clock: Clock = utc_now) -> None:
        self._sessions = sessions
        self._local_token = local_token
        self._clock = clock
        self._checked: dict[str, tuple[float, Caller]] = {}

    async def caller(self, authorization: str | None) -> Caller:
        """The caller behind `Bearer pw_<id>_<secret>`; a 401 that does not say which part was wrong."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthorizedError("send `Authorization: Bearer pw_<id>_<secret>`")
        if hmac.compare_digest(token.encode(), self._local_token.encode()):
            return Caller(DEFAULT_PROJECT, "local", "admin", "local", clearance_of("admin"))
        now = self._clock().timestamp()
        known = self._checked.get(token)
        if known is not None and 0 <= now - known[0] < CACHE_S:
            return known[1]
        caller = await self._look_up(token)
        if len(self._checked) > 1000:
            self._checked.clear()
        self._checked[token] = (now, caller)
        return caller

    async def _look_up(self, token: str) -> Caller:
        refused = UnauthorizedError("this key is not valid: unknown, expired or revoked, or of an archived project")
        key = keys.parse(token)
        if key is None:
            raise refused
        async with self._sessions() as session:
            query = (
                select(APIKey, col(ProjectRow.archived_at))
                .outerjoin(ProjectRow, col(ProjectRow.id) == col(APIKey.project_id))
                .where(col(APIKey.id) == key.id)
            )
            found = (await session.execute(query)).first()
        row, archived_at = found if found is not None else (None, None)
        salt, mac = (row.salt, row.mac) if row else (b"\0" * 16, b"\0" * 32)
        matches = hmac.compare_digest(mac, keys.mac_of(salt, key.secret))
        now = self._clock()
        if (
            row is None
            or not matches
            or row.revoked_at is not None
            or archived_at is not None
            or (row.expires_at is not None and row.expires_at <= now)
        ):
            raise refused
        if row.last_used_at is None or now - row.last_used_at > timedelta(minutes=1):
            async with self._sessions.begin() as session:
                await writing(session)
                used = await session.get(APIKey, (row.project_id, row.id))
                if used is not None:
                    used.last_used_at = now
        return Caller(row.project_id, row.id, row.role, row.name, row.clearance or clearance_of(row.role))
