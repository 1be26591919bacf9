"""What was served, and what people said of it."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access.roles import allows
from app.access.schemas import Caller
from app.feedback import erasure
from app.feedback.book import Book
from app.feedback.entering import Caps, read
from app.feedback.filters import Filters, filtered
from app.feedback.ledger import Log, Rate
from app.feedback.receipts import RECEIPT_LIFE, Signer
from app.feedback.schemas import (
    Erased,
    InferenceCreate,
    InferenceCreated,
    InferenceRead,
    RatingCreate,
    RatingRead,
    Scale,
    Served,
    Tally,
)
from app.feedback.tables import InferenceRow, RatingRow
from app.feedback.tallies import tallies
from app.feedback.texts import checked_id, held, id_problem, storable
from app.feedback.writer import Entry, GroupWriter
from app.kit.changes import Change, record
from app.kit.clock import Clock
from app.kit.db import Sessions
from app.kit.errors import BadRequestError, DomainError, ForbiddenError, InvalidContentError, NotFoundError
from app.kit.ids import new_id
from app.kit.pages import Page, decode_cursor, encode_cursor
from app.registry.service import Registry

Listener = Callable[[str, frozenset[str], frozenset[str]], Awaitable[None]]
"""Takes the project, the releases whose tallies changed, and those of them whose votes or failures did."""
Job = Rate | Log

_log = logging.getLogger(__name__)


class Feedback:
    """What the application holds; projects are kept apart by every call. Everything is written by one task per project.

    `listeners` are told, after the commit and before anybody is answered, of which releases the tallies changed.
    """

    def __init__(self, sessions: Sessions, clock: Clock, secret: bytes) -> None:
        self._sessions, self._clock = sessions, clock
        self._signer = Signer(secret)
        self._writers: dict[str, GroupWriter[Job]] = {}
        self._closed = False
        self._wanted: dict[tuple[str, str], set[Scale]] = {}
        self.listeners: list[Listener] = []
        self.caps = Caps()

    async def close(self) -> None:
        """Writes what waits."""
        self._closed = True
        for writer in self._writers.values():
            await writer.close()

    # Answers

    def unit_hash(self, project_id: str, unit: str) -> str:
        """What stands for a unit (or a rater) in storage."""
        return self._signer.person(project_id, unit)

    def receipt(self, project_id: str, inference_id: str, at: datetime | None = None) -> str:
        """A signed receipt for an answer, good for thirty days."""
        return self._signer.receipt(project_id, inference_id, (at or self._clock()) + RECEIPT_LIFE)

    async def log(self, served: Served) -> None:
        """Keeps an answer; durable when it returns. It was given already, so what a database cannot hold is replaced."""
        texts = {name: held(getattr(served, name)) for name in ("variables", "messages", "output", "error", "usage")}
        await self._writer(served.project_id).submit(Log(msgspec.structs.replace(served, **texts)))

    async def log_elsewhere(self, session: AsyncSession, caller: Caller, asked: InferenceCreate) -> InferenceCreated:
        """An answer that was served elsewhere. Raises `InvalidContentError` for an unknown prompt and for text that cannot be
        stored, `ConflictError` for a taken id."""
        if asked.id is not None:
            checked_id(asked.id, "/id")
        storable(msgspec.to_builtins(asked), "")
        try:
            prompt = await Registry(session, caller.project_id).resolve("prompt", asked.prompt)
        except NotFoundError as error:
            raise InvalidContentError.at("/prompt", error.detail) from error
        served = Served(
            id=asked.id or new_id("inf"),
            project_id=caller.project_id,
            environment=asked.environment,
            prompt=prompt.name or asked.prompt,
            version=prompt.number,
            prompt_digest=prompt.digest,
            bundle=None,
            release=None,
            split=None,
            unit=None if asked.unit is None else self.unit_hash(caller.project_id, asked.unit),
            key_id=caller.key_id,
            status="answered" if asked.error is None else "errored",
            at=self._clock(),
            latency_ms=asked.latency_ms,
            cost_nano=None if asked.cost_usd is None else round(asked.cost_usd * 1e9),
            usage=asked.usage,
            endpoint=asked.endpoint,
            variables=asked.variables,
            messages=asked.messages,
            output=asked.output,
            error=asked.error,
            tags=asked.tags,
        )
        await self.log(served)
        return InferenceCreated(served.id, self.receipt(caller.project_id, served.id, served.at))

    async def inference(self, session: AsyncSession, project_id: str, inference_id: str) -> InferenceRead:
        row = None if id_problem(inference_id) else await session.get(InferenceRow, (project_id, inference_id))
        if row is None:
            raise NotFoundError(f"there is no answer {inference_id!r} in this project")
        fields = {name: getattr(row, name) for name in InferenceRead.__struct_fields__ if name != "cost_usd"}
        return InferenceRead(**fields, cost_usd=None if row.cost_nano is None else row.cost_nano / 1e9)

    # Ratings

    async def rate(self, caller: Caller, ratings: Sequence[RatingCreate], *, single: bool = False) -> list[RatingRead]:
        """Keeps all of the ratings or none; durable when it returns.

        Raises `ForbiddenError` when a key that may rate by receipt alone names an answer otherwise, and the errors of
        `app.feedback.errors`, each with the place in the body.
        """
        if not allows(caller.role, "feedback:by_id"):
            for i, rating in enumerate(ratings):
                if rating.inference_id is not None or rating.id is not None:
                    name = "inference_id" if rating.inference_id is not None else "id"
                    pointer = f"/{name}" if single else f"/{i}/{name}"
                    raise ForbiddenError.at(
                        pointer, f"role {caller.role!r} rates by receipt; a server's key may name ids"
                    )
        reads: list[RatingRead] = await self._writer(caller.project_id).submit(Rate(caller, ratings, single))
        return reads

    async def tallies(
        self, session: AsyncSession, project_id: str, release_id: str, scales: Sequence[Scale] = ()
    ) -> list[Tally]:
        """All that is counted of a rollout, named numbers on the `scales` that are asked for: the next votes keep those too."""
        found, missing = await tallies(session, project_id, release_id, scales)
        if missing:
            self._wanted[project_id, release_id] = missing
        else:
            self._wanted.pop((project_id, release_id), None)
        return found

    async def page(
        self, session: AsyncSession, project_id: str, filters: Filters, limit: int, cursor: str | None
    ) -> Page[RatingRead]:
        """Newest first."""
        query = await filtered(session, project_id, filters, select(RatingRow))
        if not filters.history:
            query = query.where(col(RatingRow.current).is_(True) | col(RatingRow.counted).is_(False))
        if cursor is not None:
            query = query.where(col(RatingRow.id) < _rating_id(cursor))
        rows = list(await session.scalars(query.order_by(col(RatingRow.id).desc()).limit(limit + 1)))
        items = [read(row.model_dump()) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def erase(self, caller: Caller, rater: str) -> Erased:
        """Takes away all that one person said, and the texts of the answers that were for them; `erasure` says what else.

        What they had replaced is not brought back: nobody's earlier vote counts again.
        """
        person, project_id, now = self.unit_hash(caller.project_id, rater), caller.project_id, self._clock()
        async with self._sessions.begin() as session:
            book = Book(session, project_id, self._signer, now, self.caps, self._wanted)
            await book.open([])
            erased = await erasure.erase(session, book, project_id, person, now)
            record(
                session,
                Change(
                    project_id=project_id,
                    actor=caller.actor,
                    action="rater.erased",
                    subject=f"rater {person[:12]}",
                    details={"ratings": erased.ratings, "inferences": erased.inferences},
                ),
            )
        await self._tell(project_id, book.touched, book.touched)
        return erased

    # Inside

    def _writer(self, project_id: str) -> GroupWriter[Job]:
        writer = self._writers.get(project_id)
        if writer is None:
            writer = self._writers[project_id] = GroupWriter(self._write)
            if not self._closed:
                writer.start()
        return writer

    async def _write(self, batch: Sequence[Entry[Job]]) -> None:
        first = batch[0].job
        project_id = first.caller.project_id if isinstance(first, Rate) else first.served.project_id
        async with self._sessions.begin() as session:
            book = Book(session, project_id, self._signer, self._clock(), self.caps, self._wanted)
            await book.open([entry.job for entry in batch])
            for entry in batch:
                try:
                    if isinstance(entry.job, Log):
                        book.log(entry.job.served)
                    else:
                        entry.result = book.rate(entry.job)
                except DomainError as error:
                    entry.error = error
            await book.store()
        await self._tell(project_id, book.touched, book.judged)

    async def _tell(self, project_id: str, releases: set[str], judged: set[str]) -> None:
        if not releases:
            return
        for listener in self.listeners:
            try:
                await listener(project_id, frozenset(releases), frozenset(judged))
            except Exception:  # noqa: BLE001
                # What was stored is stored; the next rating, or the next start, has them looked at again.
                _log.exception("ratings of %s were stored but not looked at", ", ".join(sorted(releases)))


def _rating_id(cursor: str) -> str:
    found: str = decode_cursor(cursor, (str,))[0]
    if id_problem(found) is not None:
        raise BadRequestError.at("/cursor", "this cursor was not made by this list; start again without it")
    return found
