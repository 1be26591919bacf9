"""Keys: made, checked, listed, revoked."""

import hmac
import secrets
from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access import keys
from app.access.names import checked_title
from app.access.roles import CLEARANCES, ROLES, clearance_of
from app.access.schemas import DEFAULT_PROJECT, Caller, KeyCreate, KeyCreated, KeyRead
from app.access.tables import APIKey
from app.kit.changes import Change, record
from app.kit.clock import Clock, utc_now
from app.kit.db import Sessions, writing
from app.kit.errors import ConflictError, ForbiddenError, InvalidContentError, NotFoundError
from app.kit.pages import Page, decode_cursor, encode_cursor


class KeyService:
    """The keys of one project."""

    def __init__(self, session: AsyncSession, project_id: str, clock: Clock = utc_now, actor: str = "start") -> None:
        self._session = session
        self._actor = actor
        self._project_id = project_id
        self._clock = clock

    async def create(self, new: KeyCreate, key: keys.Key | None = None, up_to: str = CLEARANCES[-1]) -> KeyCreated:
        """A new key, or `key` itself. No key is given more clearance than `up_to`, that of who makes it.

        Raises `InvalidContentError` for a role, clearance, name or end that cannot be, `ForbiddenError` for a clearance above
        `up_to`.
        """
        if new.role not in ROLES:
            raise InvalidContentError.at("/role", f"there is no role {new.role!r}; roles are {', '.join(ROLES)}")
        if new.expires_at is not None and (new.expires_at.tzinfo is None or new.expires_at <= self._clock()):
            raise InvalidContentError.at(
                "/expires_at", "give a moment in the future with its offset, such as 2027-01-31T00:00:00Z"
            )
        clearance = _clearance(new, up_to)
        checked_title(new.name)
        await writing(self._session)
        key = key or keys.make()
        salt = secrets.token_bytes(16)
        self._session.add(
            APIKey(
                project_id=self._project_id,
                id=key.id,
                name=new.name,
                role=new.role,
                clearance=clearance,
                salt=salt,
                mac=keys.mac_of(salt, key.secret),
                created_at=self._clock(),
                expires_at=new.expires_at,
            )
        )
        await self._session.flush()
        expires = {} if new.expires_at is None else {"expires_at": new.expires_at.isoformat()}
        self._note("created", key.id, {"role": new.role, "clearance": clearance, "name": new.name, **expires})
        return KeyCreated(key.id, str(key), new.role, clearance)

    async def page(self, limit: int, cursor: str | None) -> Page[KeyRead]:
        query = (
            select(APIKey).where(col(APIKey.project_id) == self._project_id).order_by(col(APIKey.id)).limit(limit + 1)
        )
        if cursor is not None:
            query = query.where(col(APIKey.id) > decode_cursor(cursor, (str,))[0])
        rows = list(await self._session.scalars(query))
        items = [
            KeyRead(
                k.id,
                k.name,
                k.role,
                k.clearance or clearance_of(k.role),
                k.created_at,
                k.expires_at,
                k.last_used_at,
                k.revoked_at,
            )
            for k in rows[:limit]
        ]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def names(self, ids: Iterable[str]) -> dict[str, str]:
        """What keys are called, by their ids."""
        query = select(col(APIKey.id), col(APIKey.name)).where(
            col(APIKey.project_id) == self._project_id, col(APIKey.id).in_(set(ids))
        )
        return {row[0]: row[1] for row in (await self._session.execute(query)).all()}

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


def _clearance(new: KeyCreate, up_to: str) -> str:
    clearance = clearance_of(new.role) if new.clearance is None else new.clearance
    if clearance not in CLEARANCES:
        raise InvalidContentError.at(
            "/clearance", f"there is no clearance {clearance!r}; clearances are {', '.join(CLEARANCES)}"
        )
    if CLEARANCES.index(clearance) > CLEARANCES.index(up_to):
        raise ForbiddenError.at(
            "/clearance", f"your own key has the clearance {up_to!r}; a key that you make cannot have {clearance!r}"
        )
    return clearance


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
