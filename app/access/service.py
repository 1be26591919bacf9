"""Keys: made, checked, listed, revoked."""

import hmac
import secrets
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access import keys
from app.access.roles import ROLES
from app.access.schemas import DEFAULT_PROJECT, Caller, KeyCreate, KeyCreated, KeyRead
from app.access.tables import APIKey
from app.kit.changes import Change, record
from app.kit.clock import Clock, utc_now
from app.kit.db import Sessions, writing
from app.kit.errors import ConflictError, InvalidContentError, NotFoundError, UnauthorizedError
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.kit.texts import require_text

CACHE_S = 4.0
"""How long a checked key is trusted: a revoked key stops within five seconds on every replica."""


class KeyService:
    """The keys of one project."""

    def __init__(self, session: AsyncSession, project_id: str, clock: Clock = utc_now, actor: str = "start") -> None:
        self._session = session
        self._actor = actor
        self._project_id = project_id
        self._clock = clock

    async def create(self, new: KeyCreate, key: keys.Key | None = None) -> KeyCreated:
        if new.role not in ROLES:
            raise InvalidContentError.at("/role", f"there is no role {new.role!r}; roles are {', '.join(ROLES)}")
        if new.expires_at is not None and (new.expires_at.tzinfo is None or new.expires_at <= self._clock()):
            raise InvalidContentError.at(
                "/expires_at", "give a moment in the future with its offset, such as 2027-01-31T00:00:00Z"
            )
        require_text(new.name, "/name")
        await writing(self._session)
        key = key or keys.make()
        salt = secrets.token_bytes(16)
        self._session.add(
            APIKey(
                project_id=self._project_id,
                id=key.id,
                name=new.name,
                role=new.role,
                salt=salt,
                mac=keys.mac_of(salt, key.secret),
                created_at=self._clock(),
                expires_at=new.expires_at,
            )
        )
        await self._session.flush()
        expires = {} if new.expires_at is None else {"expires_at": new.expires_at.isoformat()}
        self._note("created", key.id, {"role": new.role, "name": new.name, **expires})
        return KeyCreated(key.id, str(key), new.role)

    async def page(self, limit: int, cursor: str | None) -> Page[KeyRead]:
        query = (
            select(APIKey).where(col(APIKey.project_id) == self._project_id).order_by(col(APIKey.id)).limit(limit + 1)
        )
        if cursor is not None:
            query = query.where(col(APIKey.id) > decode_cursor(cursor, (str,))[0])
        rows = list(await self._session.scalars(query))
        items = [
            KeyRead(k.id, k.name, k.role, k.created_at, k.expires_at, k.last_used_at, k.revoked_at)
            for k in rows[:limit]
        ]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def revoke(self, key_id: str, caller: Caller) -> None:
        if key_id == caller.key_id:
            raise ConflictError("this is the key you are using; revoke it with another one")
        await writing(self._session)
        key = await self._session.get(APIKey, (self._project_id, key_id))
        if key is None:
            raise NotFoundError(f"there is no key {key_id!r} in this project")
        if key.revoked_at is None:
            key.revoked_at = self._clock()
            self._note("revoked", key.id, {"role": key.role, "name": key.name})

    def note_restored(self, key: APIKey, *, secret_changed: bool) -> None:
        """A key that takes effect again, or with another secret."""
        before = "active" if key.revoked_at is None else "revoked"
        details: dict[str, str | bool] = {"role": key.role, "name": key.name, "secret_changed": secret_changed}
        self._note("restored", key.id, details, before, "active")

    def _note(
        self,
        action: str,
        key_id: str,
        details: Mapping[str, str | bool],
        before: str | None = None,
        after: str | None = None,
    ) -> None:
        change = Change(
            project_id=self._project_id,
            actor=self._actor,
            action=f"key.{action}",
            subject=f"key {key_id}",
            before=before,
            after=after,
            details=dict(details),
        )
        record(self._session, change)

    async def any_admin(self) -> bool:
        query = (
            select(col(APIKey.id))
            .where(
                col(APIKey.project_id) == self._project_id,
                col(APIKey.role) == "admin",
                col(APIKey.revoked_at).is_(None),
            )
            .limit(1)
        )
        return (await self._session.execute(query)).first() is not None


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
            return Caller(DEFAULT_PROJECT, "local", "admin", "local")
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
        refused = UnauthorizedError("this key is not valid: unknown, expired or revoked")
        key = keys.parse(token)
        if key is None:
            raise refused
        async with self._sessions() as session:
            row = (await session.scalars(select(APIKey).where(col(APIKey.id) == key.id))).first()
        salt, mac = (row.salt, row.mac) if row else (b"\0" * 16, b"\0" * 32)
        matches = hmac.compare_digest(mac, keys.mac_of(salt, key.secret))
        now = self._clock()
        if (
            row is None
            or not matches
            or row.revoked_at is not None
            or (row.expires_at is not None and row.expires_at <= now)
        ):
            raise refused
        if row.last_used_at is None or now - row.last_used_at > timedelta(minutes=1):
            async with self._sessions.begin() as session:
                await writing(session)
                used = await session.get(APIKey, (row.project_id, row.id))
                if used is not None:
                    used.last_used_at = now
        return Caller(row.project_id, row.id, row.role, row.name)


async def ensure_admin_key(sessions: Sessions, given: str | None, clock: Clock = utc_now) -> str | None:
    """Makes sure that an admin key exists; returns it when it was made here and must be shown, once.

    `given` (PROMPTWARD_ADMIN_KEY) is stored under its own id and takes effect again when its secret changed. Raises
    `ValueError` when it does not have the form of a key.
    """
    async with sessions.begin() as session:
        await writing(session)
        service = KeyService(session, DEFAULT_PROJECT, clock)
        if given is None:
            if await service.any_admin():
                return None
            return (await service.create(KeyCreate("admin", "first admin key"))).key
        key = keys.parse(given)
        if key is None:
            raise ValueError(
                f"PROMPTWARD_ADMIN_KEY must look like pw_<id>_<secret>; the secret has {keys.MIN_SECRET} letters and digits or more"
            )
        old = await session.get(APIKey, (DEFAULT_PROJECT, key.id))
        if old is None:
            await service.create(KeyCreate("admin", "PROMPTWARD_ADMIN_KEY"), key)
        else:
            mac = keys.mac_of(old.salt, key.secret)
            same = hmac.compare_digest(mac, old.mac)
            if old.revoked_at is not None or not same:
                service.note_restored(old, secret_changed=not same)
            old.mac, old.revoked_at = mac, None
        return None
