"""`Idempotency-Key` on every POST: the first answer is kept and given again for 24 hours.

The same key with another body is a 422, a key whose first request still runs a 409. What failed on our side (5xx), came too
soon (429) or was streamed is not kept, so that it can be tried again; nor is the answer of a route with the option `unkept`.
"""

import hashlib
import re
from collections.abc import Set
from datetime import datetime, timedelta
from typing import Any

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from sqlalchemy import LargeBinary, String, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from app.kit.clock import Clock
from app.kit.db import Sessions, Table, UTCDateTime, batched_by_variables, writing
from app.kit.errors import BadRequestError, ConflictError, InvalidContentError, TooLargeError

KEPT = timedelta(hours=24)
IN_FLIGHT = timedelta(minutes=15)
"""After this long without an answer the first request is taken for dead."""
_ERASED = (
    b'{"type":"urn:promptward:erased","title":"This answer was erased","status":410,'
    b'"detail":"it held what a person said or was given, and they were erased"}'
)
_STRING = re.compile(rb'"([^"\\]{1,120})"')
UNKEPT = "unkept"
"""The route option of answers that hold a secret: a kept answer would be a kept secret."""
MAX_KEY = 255
MAX_BODY = 4 * 1024 * 1024
"""Larger answers are not kept."""
MAX_REQUEST = 256 * 1024 * 1024


class IdempotentRequest(Table, table=True):
    """One key: the fingerprint of its request, and its answer once there is one."""

    __tablename__ = "idempotent_request"

    project_id: str = Field(sa_type=String(40), primary_key=True)
    key: str = Field(sa_type=String(64), primary_key=True)
    fingerprint: str = Field(sa_type=String(64))
    created_at: datetime = Field(sa_type=UTCDateTime)
    status: int | None = None
    content_type: str | None = Field(default=None, sa_type=String(120))
    body: bytes | None = Field(default=None, sa_type=LargeBinary)


class Idempotency(ASGIMiddleware):
    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if scope.get("method") != "POST":
            return await next_app(scope, receive, send)
        headers = {name.lower(): value for name, value in scope["headers"]}
        given = headers.get(b"idempotency-key")
        if given is None:
            return await next_app(scope, receive, send)
        if not 0 < len(given) <= MAX_KEY:
            raise BadRequestError(f"Idempotency-Key must have 1 to {MAX_KEY} characters")
        state = scope["litestar_app"].state
        # Every use needs a valid key of ours, so that nobody can read another caller's kept answers.
        caller = await state.authenticator.caller((headers.get(b"authorization") or b"").decode("latin-1"))
        body = await _whole_body(receive)
        if body is None:
            return None
        path = scope["path"].encode() + b"?" + scope["query_string"]
        fingerprint = hashlib.sha256(path + b"\0" + body).hexdigest()
        key = hashlib.sha256(b"\0".join((caller.key_id.encode(), given))).hexdigest()
        kept = Kept(state.sessions, state.clock, caller.project_id, key)
        earlier = await kept.begin(fingerprint)
        if earlier is not None:
            return await _answer(send, earlier)
        answer = _Capture(send)
        secret = UNKEPT in scope["route_handler"].opt
        try:
            await next_app(scope, _replay(body, receive), answer)
        except BaseException:
            await kept.forget()
            raise
        if answer.status is None or answer.status >= 500 or answer.status == 429 or answer.streamed or secret:
            await kept.forget()
            await answer.release()
        else:
            await kept.finish(answer.status, answer.content_type, bytes(answer.body))
            await answer.release()
        return None


class Kept:
    """The row of one key; each step is a transaction of its own."""

    def __init__(self, sessions: Sessions, clock: Clock, project_id: str, key: str) -> None:
        self._sessions, self._clock = sessions, clock
        self._identity = (project_id, key)

    async def begin(self, fingerprint: str) -> IdempotentRequest | None:
        """None when this request is the first; the earlier one when its answer is there."""
        now = self._clock()
        project_id, key = self._identity
        try:
            async with self._sessions.begin() as session:
                await writing(session)
                await session.execute(delete(IdempotentRequest).where(col(IdempotentRequest.created_at) < now - KEPT))
                old = await session.get(IdempotentRequest, self._identity)
                if old is not None and old.status is None and now - old.created_at > IN_FLIGHT:
                    await session.delete(old)
                    await session.flush()
                    old = None
                if old is None:
                    session.add(
                        IdempotentRequest(project_id=project_id, key=key, fingerprint=fingerprint, created_at=now)
                    )
        except IntegrityError:
            async with self._sessions() as session:
                query = select(IdempotentRequest).where(
                    col(IdempotentRequest.project_id) == project_id, col(IdempotentRequest.key) == key
                )
                old = (await session.scalars(query)).first()
        if old is None:
            return None
        if old.fingerprint != fingerprint:
            raise InvalidContentError(
                "this Idempotency-Key was used with another request; use a new key for a new request"
            )
        if old.status is None:
            error = ConflictError("the first request with this Idempotency-Key is still running; try again shortly")
            error.headers = {"Retry-After": "1"}
            raise error
        return old

    async def finish(self, status: int, content_type: str | None, body: bytes) -> None:
        async with self._sessions.begin() as session:
            await writing(session)
            row = await session.get(IdempotentRequest, self._identity)
            if row is not None:
                row.status, row.content_type, row.body = status, content_type, body

    async def forget(self) -> None:
        async with self._sessions.begin() as session:
            await writing(session)
            row = await session.get(IdempotentRequest, self._identity)
            if row is not None:
                await session.delete(row)


async def erase_answers(session: AsyncSession, project_id: str, holding: Set[bytes]) -> None:
    """Takes away the kept answers of a project that hold one of these strings (plain ones, as JSON has them between its
    quotes). Their keys go on being used, so that whoever sends the request again is told so (410) and nothing is done twice."""
    kept = await session.stream(
        select(col(IdempotentRequest.key), col(IdempotentRequest.body))
        .where(col(IdempotentRequest.project_id) == project_id, col(IdempotentRequest.body).is_not(None))
        .execution_options(yield_per=50)
    )
    keys = [key async for key, body in kept if not holding.isdisjoint(_STRING.findall(body or b""))]
    for some in batched_by_variables(keys):
        await session.execute(
            update(IdempotentRequest)
            .where(col(IdempotentRequest.project_id) == project_id, col(IdempotentRequest.key).in_(some))
            .values(status=410, content_type="application/problem+json", body=_ERASED)
            .execution_options(synchronize_session=False)
        )


class _Capture:
    """Holds an answer back until its row is stored; a stream is passed on as it comes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: list[Message] = []
        self.status: int | None = None
        self.content_type: str | None = None
        self.body = bytearray()
        self.streamed = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            for name, value in message["headers"]:
                if name.lower() == b"content-type":
                    self.content_type = value.decode("latin-1")
            self.streamed = (self.content_type or "").startswith("text/event-stream")
        elif message["type"] == "http.response.body":
            self.body += message["body"]
            if len(self.body) > MAX_BODY:
                self.streamed = True
        if self.streamed:
            await self.release()
            self.body.clear()
            await self._send(message)
        else:
            self._held.append(message)

    async def release(self) -> None:
        held, self._held = self._held, []
        for message in held:
            await self._send(message)


async def _whole_body(receive: Receive) -> bytes | None:
    """None when the client went away before all of it was there: half a request is none, and its key stays free.

    Raises `TooLargeError`, before more than that is held.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message: Any = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_REQUEST:
            raise TooLargeError(f"a request has at most {MAX_REQUEST:,} bytes")
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def once() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


async def _answer(send: Send, kept: IdempotentRequest) -> None:
    headers = [(b"content-type", (kept.content_type or "application/json").encode()), (b"idempotent-replayed", b"true")]
    body = kept.body or b""
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": kept.status or 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
