"""What a batch of answers and ratings touches, read in bulk under the lock that keeps it so."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.access.schemas import Caller
from app.feedback.receipts import Signer
from app.feedback.schemas import RatingCreate, Scale, Served
from app.feedback.tables import ExposureRow, InferenceRow, QuotaRow, RatingRow, VoteRow
from app.feedback.texts import id_problem
from app.kit.db import batched_by_variables, writing
from app.kit.errors import DomainError, NotFoundError
from app.registry.service import Registry

FEW = 16
"""Up to this number of signals a vote is looked up by its whole key."""
Named = dict[tuple[str | None, str | None], str]
"""(receipt, id) of a rating, one of them given -> the answer that it is of."""


class Rate(NamedTuple):
    """The ratings of one request. `single`: the body was one object, so that pointers have no index."""

    caller: Caller
    ratings: Sequence[RatingCreate]
    single: bool


class Log(NamedTuple):
    served: Served


class Known(msgspec.Struct):
    """What a rating needs to know of an answer."""

    id: str
    environment: str | None
    prompt: str
    version: int | None
    release: str | None
    endpoint: str | None
    split: str | None
    phase: int | None
    arm: str | None
    unit: str | None
    used_by: str | None


class Vote(NamedTuple):
    phase: int
    arm: str
    value: float
    rater: str


class Ledger:
    """What is stored of everything that some jobs touch."""

    def __init__(self, session: AsyncSession, project_id: str, signer: Signer, now: datetime) -> None:
        self._session, self._project_id, self._signer, self._now = session, project_id, signer, now
        self.known: dict[str, Known] = {}
        self.prompts: dict[str, Any] = {}
        self.exposed: set[tuple[str, int, str]] = set()
        self.quotas: defaultdict[str, int] = defaultdict(int)
        self.current: dict[tuple[str, str, str], str] = {}
        """(answer, signal, rater) -> the rating that counts."""
        self.votes: dict[tuple[str, str, str], Vote] = {}
        """(release, signal, unit) -> the vote that counts."""
        self.voted: dict[tuple[str, str, str], list[str]] = {}
        """(release, signal, unit) -> the ratings that say they are that vote."""
        self.splits: set[str] = set()
        """The releases in whose rollouts these jobs may vote."""
        self.scales: defaultdict[str, set[Scale]] = defaultdict(set)
        """Release -> the ranges in which it counts named numbers."""

    async def open(self, jobs: Sequence[Rate | Log]) -> None:
        """Takes the lock under which tallies change, and reads what these jobs touch."""
        await writing(self._session)
        if self._session.get_bind().dialect.name == "postgresql":
            lock = text("SELECT pg_advisory_xact_lock(hashtextextended('feedback ' || :project, 0))")
            await self._session.execute(lock, {"project": self._project_id})
        logs = [job.served for job in jobs if isinstance(job, Log)]
        rates = [job for job in jobs if isinstance(job, Rate)]
        await self._read_exposures(logs)
        ratings = [rating for job in rates for rating in job.ratings]
        named = self._named(ratings)
        await self._read_inferences({*named.values(), *(served.id for served in logs)})
        await self._read_prompts(ratings)
        logged = {served.id: known_of(served) for served in logs}
        known = {one: found for one in named.values() if (found := self.known.get(one, logged.get(one))) is not None}
        await self._read_quotas(rates, named, known)
        await self._read_current(list(known))
        self.splits = {k.split for k in known.values() if k.split is not None and k.unit is not None}
        units = {k.unit for k in known.values() if k.split is not None and k.unit is not None}
        await self._read_votes(units, {rating.signal for rating in ratings})

    def _named(self, ratings: Iterable[RatingCreate]) -> Named:
        """The answers that these ratings name, as far as they name any."""
        found: Named = {}
        for rating in ratings:
            if rating.receipt is not None:
                try:
                    inference_id = self._signer.inference_of(rating.receipt, self._project_id, self._now, "")
                except DomainError:  # it is told when the rating is entered, with its place
                    continue
                found[rating.receipt, None] = inference_id
            elif (given := rating.inference_id or rating.id) and id_problem(given) is None:
                found[None, given] = given
        return found

    async def _read_exposures(self, logs: Sequence[Served]) -> None:
        splits = {s.split.release for s in logs if s.split is not None}
        units = {s.split.unit for s in logs if s.split is not None}
        phases = {s.split.phase for s in logs if s.split is not None}
        for some in batched_by_variables(units):
            query = select(col(ExposureRow.split), col(ExposureRow.phase), col(ExposureRow.unit)).where(
                col(ExposureRow.project_id) == self._project_id,
                col(ExposureRow.split).in_(splits),
                col(ExposureRow.phase).in_(phases),
                col(ExposureRow.unit).in_(some),
            )
            self.exposed |= {(row[0], row[1], row[2]) for row in (await self._session.execute(query)).all()}

    async def _read_inferences(self, ids: set[str]) -> None:
        names = Known.__struct_fields__
        for some in batched_by_variables(ids):
            query = select(*(getattr(InferenceRow, name) for name in names)).where(
                col(InferenceRow.project_id) == self._project_id, col(InferenceRow.id).in_(some)
            )
            for row in (await self._session.execute(query)).all():
                self.known[row[0]] = Known(*row)

    async def _read_prompts(self, ratings: Iterable[RatingCreate]) -> None:
        registry = Registry(self._session, self._project_id)
        for ref in {rating.prompt for rating in ratings if rating.prompt is not None}:
            try:
                self.prompts[ref] = await registry.resolve("prompt", ref)
            except NotFoundError as error:
                self.prompts[ref] = error

    async def _read_quotas(self, jobs: Sequence[Rate], named: Named, known: Mapping[str, Known]) -> None:
        """Of each rating's key, and of whoever its rater can turn out to be: an answer that is logged together with its
        rating is for the unit that any of these ratings gives."""
        ratings = [rating for job in jobs for rating in job.ratings]
        person: dict[str, str] = {}

        def whom(name: str) -> str:
            if name not in person:
                person[name] = self._signer.person(self._project_id, name)
            return person[name]

        units: defaultdict[str, set[str]] = defaultdict(set)
        for rating in ratings:
            inference_id = _of(rating, named)
            if rating.unit is not None and inference_id is not None and inference_id not in known:
                units[inference_id].add(whom(rating.unit))
        who = {f"key {job.caller.key_id}" for job in jobs}
        for rating in ratings:
            inference_id = _of(rating, named)
            if rating.rater is not None:
                people = {whom(rating.rater)}
            elif inference_id is None:
                continue
            elif inference_id in known and (unit := known[inference_id].unit) is not None:
                people = {unit}
            else:
                people = {whom(anonymous(inference_id)), *units[inference_id]}
            who |= {f"rater {one} {rating.signal}" for one in people}
        for some in batched_by_variables(who):
            query = select(col(QuotaRow.who), col(QuotaRow.n)).where(
                col(QuotaRow.project_id) == self._project_id,
                col(QuotaRow.day) == self._now.date(),
                col(QuotaRow.who).in_(some),
            )
            for name, n in (await self._session.execute(query)).all():
                self.quotas[name] = n

    async def _read_current(self, inferences: Sequence[str]) -> None:
        for some in batched_by_variables(inferences):
            query = select(
                col(RatingRow.inference_id), col(RatingRow.signal), col(RatingRow.rater), col(RatingRow.id)
            ).where(
                col(RatingRow.project_id) == self._project_id,
                col(RatingRow.inference_id).in_(some),
                col(RatingRow.current).is_(True),
            )
            for inference_id, signal, rater, rating_id in (await self._session.execute(query)).all():
                self.current[inference_id, signal, rater] = rating_id

    async def _read_votes(self, units: Iterable[str], signals: Set[str]) -> None:
        """The votes of these units, and the ratings that are them. Conditions name whole keys, and answers come before their
        ratings: without that the databases go through all of a release's votes, or of a project's ratings."""
        for some in batched_by_variables(units):
            query = select(
                col(VoteRow.split), col(VoteRow.signal), col(VoteRow.unit),
                col(VoteRow.phase), col(VoteRow.arm), col(VoteRow.value), col(VoteRow.rater),
            ).where(
                col(VoteRow.project_id) == self._project_id,
                col(VoteRow.split).in_(self.splits),
                col(VoteRow.unit).in_(some),
            )  # fmt: skip
            if len(signals) <= FEW:
                query = query.where(col(VoteRow.signal).in_(signals))
            for split, signal, unit, phase, arm, value, rater in (await self._session.execute(query)).all():
                self.votes[split, signal, unit] = Vote(phase, arm, value, rater)
        voting = {unit for _, _, unit in self.votes}
        answers: dict[str, tuple[str, str]] = {}
        for some in batched_by_variables(voting):
            given = select(col(InferenceRow.id), col(InferenceRow.split), col(InferenceRow.unit)).where(
                col(InferenceRow.project_id) == self._project_id,
                col(InferenceRow.split).in_(self.splits),
                col(InferenceRow.unit).in_(some),
            )
            for row in (await self._session.execute(given)).all():
                answers[row[0]] = (row[1] or "", row[2] or "")
        for some in batched_by_variables(answers):
            voted = select(col(RatingRow.inference_id), col(RatingRow.signal), col(RatingRow.id)).where(
                col(RatingRow.project_id) == self._project_id,
                col(RatingRow.inference_id).in_(some),
                col(RatingRow.in_rollout).is_(True),
            )
            for inference_id, signal, rating_id in (await self._session.execute(voted)).all():
                answered = answers[inference_id]
                self.voted.setdefault((answered[0], signal, answered[1]), []).append(rating_id)


def anonymous(inference_id: str) -> str:
    """Who rates an answer that was for no unit, and does not say who they are."""
    return f"inference {inference_id}"


def _of(rating: RatingCreate, named: Named) -> str | None:
    return named.get((rating.receipt, None if rating.receipt is not None else rating.inference_id or rating.id))


def known_of(served: Served) -> Known:
    split = served.split
    return Known(
        id=served.id,
        environment=served.environment,
        prompt=served.prompt,
        version=served.version,
        release=served.release,
        endpoint=served.endpoint,
        split=None if split is None else split.release,
        phase=None if split is None else split.phase,
        arm=None if split is None else split.arm,
        unit=served.unit if split is None else split.unit,
        used_by=None,
    )
