"""One transaction's worth of answers and ratings: enter each by itself, store all of them in bulk."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import bindparam, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from app.access.schemas import Caller
from app.feedback import counting
from app.feedback.errors import ReceiptUsedError
from app.feedback.ledger import Known, Ledger, Log, Rate, Vote, known_of
from app.feedback.receipts import Signer
from app.feedback.schemas import UNITS, RatingCreate, RatingRead, Served, Tally
from app.feedback.tables import ExposureRow, InferenceRow, QuotaRow, RatingRow, TallyRow, VoteRow
from app.kit.db import batched_by_variables, core, insert_rows
from app.kit.errors import ConflictError, DomainError, InvalidContentError, NotFoundError, RateLimitedError
from app.kit.ids import new_id


class Caps(NamedTuple):
    """Ratings on one day: of one rater on one signal that count (what comes on top is kept and set aside), and of one key
    (what comes on top is refused)."""

    per_rater: int = 1_000
    per_key: int = 1_000_000


class _Entered(NamedTuple):
    """What one request adds, kept apart until all of it is known to be right."""

    ratings: list[dict[str, Any]]
    reads: list[RatingRead]
    superseded: list[str]
    votes: dict[tuple[str, str, str], Vote]
    tallies: list[tuple[str, Tally]]
    used: dict[str, str]
    current: dict[tuple[str, str, str], str]
    made: dict[str, Served]
    quotas: dict[str, int]


class Book:
    """Everything in it is of one project."""

    def __init__(self, session: AsyncSession, project_id: str, signer: Signer, now: datetime, caps: Caps) -> None:
        self._session, self._project_id, self._signer, self._now = session, project_id, signer, now
        self._caps = caps
        self._ledger = Ledger(session, project_id, signer, now)
        self._served: list[Served] = []
        self._exposures: list[dict[str, Any]] = []
        self._tallies: defaultdict[tuple[str, int, str, str, int], list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
        self._quotas: defaultdict[str, int] = defaultdict(int)
        self._all = _Entered([], [], [], {}, [], {}, {}, {}, {})
        self.touched: set[str] = set()
        """The releases whose tallies changed."""
        self.judged: set[str] = set()
        """Those of them whose votes changed, or that failed to answer: what a rollout is stopped for."""

    async def open(self, jobs: Sequence[Rate | Log]) -> None:
        """Takes the lock under which tallies change, and reads what these jobs touch."""
        await self._ledger.open(jobs)

    def log(self, served: Served) -> None:
        """An answer; what it adds to a rollout's tallies is entered with it. Raises `ConflictError` for an id that is taken."""
        if served.id in self._ledger.known:
            raise ConflictError.at("/id", f"there is an answer {served.id!r} already")
        self._served.append(served)
        split = served.split
        self._ledger.known[served.id] = known_of(served)
        if split is None:
            return
        for tally in counting.answer(served):
            self.add(split.release, tally)
        if served.status != "answered":
            self.judged.add(split.release)
        if (split.release, split.phase, split.unit) not in self._ledger.exposed:
            self._ledger.exposed.add((split.release, split.phase, split.unit))
            self._exposures.append(
                {
                    "project_id": self._project_id,
                    "split": split.release,
                    "phase": split.phase,
                    "unit": split.unit,
                    "arm": split.arm,
                }
            )
            self.add(split.release, Tally(split.phase, split.arm, UNITS, 0, 1, 1.0, 1.0))

    def rate(self, job: Rate) -> list[RatingRead]:
        """All ratings of a request, or its error and none of them."""
        entered = _Entered([], [], [], {}, [], {}, {}, {}, {})
        for i, rating in enumerate(job.ratings):
            self._rate(job.caller, rating, "" if job.single else f"/{i}", entered)
        for served in entered.made.values():
            self.log(served)
        self._all.ratings.extend(entered.ratings)
        self._all.superseded.extend(entered.superseded)
        self._all.votes.update(entered.votes)
        self._ledger.votes.update(entered.votes)
        self._ledger.current.update(entered.current)
        for inference_id, rater in entered.used.items():
            self._ledger.known[inference_id].used_by = rater
            self._all.used[inference_id] = rater
        for split, tally in entered.tallies:
            self.add(split, tally)
            self.judged.add(split)
        for who, n in entered.quotas.items():
            self._ledger.quotas[who] += n
            self._quotas[who] += n
        return entered.reads

    async def store(self) -> None:
        """Writes everything in bulk."""
        session = self._session
        await insert_rows(session, InferenceRow, [self._inference(served) for served in self._served])
        await insert_rows(session, ExposureRow, self._exposures)
        await insert_rows(session, RatingRow, self._all.ratings)
        for some in batched_by_variables(self._all.superseded):
            # Also those of this very transaction: a rater who changes their mind twice in one request.
            await session.execute(
                update(RatingRow)
                .where(col(RatingRow.project_id) == self._project_id, col(RatingRow.id).in_(some))
                .values(current=False)
                .execution_options(synchronize_session=False)
            )
        if self._all.used:
            table = core(InferenceRow)
            statement = (
                update(table)
                .where(table.c.project_id == self._project_id, table.c.id == bindparam("inference"))
                .values(used_by=bindparam("rater"))
            )
            connection = await session.connection()
            await connection.execute(statement, [{"inference": i, "rater": r} for i, r in self._all.used.items()])
        votes = [
            {"project_id": self._project_id, "split": split, "signal": signal, "unit": unit, **vote._asdict()}
            for (split, signal, unit), vote in self._all.votes.items()
        ]
        await self._upsert(VoteRow, votes, replace=("phase", "arm", "value", "rater"))
        tallies = [
            {
                "project_id": self._project_id,
                "split": split,
                "phase": phase,
                "arm": arm,
                "signal": signal,
                "bucket": bucket,
                "n": int(n),
                "total": total,
                "squares": squares,
            }
            for (split, phase, arm, signal, bucket), (n, total, squares) in sorted(self._tallies.items())
            if n or total or squares
        ]
        await self._upsert(TallyRow, tallies, add=("n", "total", "squares"))
        today = self._now.date()
        quotas = [
            {"project_id": self._project_id, "day": today, "who": who, "n": n}
            for who, n in sorted(self._quotas.items())
        ]
        await self._upsert(QuotaRow, quotas, add=("n",))

    # One rating

    def _rate(self, caller: Caller, rating: RatingCreate, at: str, entered: _Entered) -> None:
        value = counting.checked(rating.signal, rating.value, f"{at}/value")
        for name in ("inference_id", "id", "comment", "correction"):
            if "\0" in (getattr(rating, name) or ""):
                raise InvalidContentError.at(f"{at}/{name}", "text cannot hold the character U+0000")
        if any("\0" in tag for tag in rating.tags):
            raise InvalidContentError.at(f"{at}/tags", "text cannot hold the character U+0000")
        known = self._answer(caller, rating, at, entered)
        if rating.unit is not None and known.unit != self._signer.person(self._project_id, rating.unit):
            raise InvalidContentError.at(f"{at}/unit", "this answer was given to another unit")
        rater = self._rater(rating, known)
        if rating.receipt is not None:
            used_by = entered.used.get(known.id, known.used_by)
            if used_by is not None and used_by != rater:
                raise ReceiptUsedError.at(f"{at}/receipt", "a receipt is for one rater, who may change the rating")
            entered.used[known.id] = rater
        reason = self._quota(caller, rating.signal, rater, entered)
        place = (known.id, rating.signal, rater)
        before = entered.current.get(place, self._ledger.current.get(place)) if reason is None else None
        in_rollout = reason is None and known.split is not None and known.unit is not None
        rating_id = new_id("fb")
        if reason is None:
            entered.current[place] = rating_id
            if before is not None:
                entered.superseded.append(before)
        if in_rollout:
            self._vote(known, rating.signal, counting.scaled(rating.signal, value), rater, entered)
        row = {
            "project_id": self._project_id,
            "id": rating_id,
            "inference_id": known.id,
            "environment": known.environment,
            "prompt": known.prompt,
            "version": known.version,
            "release": known.release,
            "endpoint": known.endpoint,
            "signal": rating.signal,
            "value": value,
            "rater": rater,
            "comment": rating.comment,
            "correction": rating.correction,
            "tags": rating.tags,
            "key_id": caller.key_id,
            "counted": reason is None,
            "in_rollout": in_rollout,
            "current": reason is None,
            "reason": reason,
            "supersedes": before,
            "created_at": self._now,
        }
        entered.ratings.append(row)
        entered.reads.append(read(row))

    def _answer(self, caller: Caller, rating: RatingCreate, at: str, entered: _Entered) -> Known:
        given = [n for n in ("receipt", "inference_id", "id") if getattr(rating, n) is not None]
        if len(given) != 1:
            raise InvalidContentError.at(
                f"{at}/receipt",
                "name the answer once: its `receipt`, its `inference_id`, or an own `id` with its `prompt`",
            )
        if rating.receipt is not None:
            inference_id = self._signer.inference_of(rating.receipt, self._project_id, self._now, f"{at}/receipt")
        else:
            inference_id = rating.inference_id or rating.id or ""
        known = self._ledger.known.get(inference_id)
        if inference_id in entered.made:
            known = known_of(entered.made[inference_id])
        if rating.id is not None:
            return self._own(caller, rating, at, known, entered)
        if known is None:
            raise NotFoundError.at(f"{at}/{given[0]}", "there is no such answer in this project")
        return known

    def _own(self, caller: Caller, rating: RatingCreate, at: str, known: Known | None, entered: _Entered) -> Known:
        """An answer under an id of the caller's; it is logged when it is new."""
        prompt = None
        if rating.prompt is not None:
            prompt = self._ledger.prompts[rating.prompt]
            if isinstance(prompt, DomainError):
                raise InvalidContentError.at(f"{at}/prompt", prompt.detail)
            if known is not None and known.prompt != prompt.name:
                raise ConflictError.at(f"{at}/id", f"this id is an answer of {known.prompt!r}, not of {prompt.name!r}")
        if known is not None:
            return known
        if prompt is None:
            raise InvalidContentError.at(f"{at}/prompt", "say which prompt answered, such as docs/answer@7")
        served = Served(
            id=rating.id or "",
            project_id=self._project_id,
            environment=None,
            prompt=prompt.name,
            version=prompt.number,
            prompt_digest=prompt.digest,
            bundle=None,
            release=None,
            split=None,
            unit=None if rating.unit is None else self._signer.person(self._project_id, rating.unit),
            key_id=caller.key_id,
            status="answered",
            at=self._now,
        )
        entered.made[served.id] = served
        return known_of(served)

    def _rater(self, rating: RatingCreate, known: Known) -> str:
        if rating.rater is not None:
            return self._signer.person(self._project_id, rating.rater)
        return known.unit or self._signer.person(self._project_id, f"inference {known.id}")

    def _quota(self, caller: Caller, signal: str, rater: str, entered: _Entered) -> str | None:
        """Counts against the caps; why this rating is set aside, or None. Raises `RateLimitedError` for the key's cap."""
        key, person = f"key {caller.key_id}", f"rater {rater} {signal}"
        for who in (key, person):
            entered.quotas[who] = entered.quotas.get(who, 0) + 1
        if self._ledger.quotas[key] + entered.quotas[key] > self._caps.per_key:
            tomorrow = (self._now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            seconds = int((tomorrow - self._now).total_seconds()) + 1
            raise RateLimitedError(f"a key may give {self._caps.per_key:,} ratings a day", seconds)
        if self._ledger.quotas[person] + entered.quotas[person] > self._caps.per_rater:
            return f"more than {self._caps.per_rater:,} ratings of one rater on one signal in a day: kept, not counted"
        return None

    def _vote(self, known: Known, signal: str, value: float, rater: str, entered: _Entered) -> None:
        """The unit's last vote takes the place of its earlier one, wherever that was counted."""
        split, unit = known.split or "", known.unit or ""
        place = (split, signal, unit)
        before = entered.votes.get(place, self._ledger.votes.get(place))
        if before is not None:
            entered.tallies.append(
                (split, counting.taken_away(counting.vote(before.phase, before.arm, signal, before.value)))
            )
        now = Vote(known.phase or 0, known.arm or "", value, rater)
        entered.votes[place] = now
        entered.tallies.append((split, counting.vote(now.phase, now.arm, signal, value)))

    def add(self, split: str, tally: Tally) -> None:
        """Adds to a release's tallies."""
        counted = self._tallies[split, tally.phase, tally.arm, tally.signal, tally.bucket]
        counted[0] += tally.n
        counted[1] += tally.total
        counted[2] += tally.squares
        self.touched.add(split)

    async def _upsert(
        self,
        table: type[SQLModel],
        rows: list[dict[str, Any]],
        *,
        add: Sequence[str] = (),
        replace: Sequence[str] = (),
    ) -> None:
        if not rows:
            return
        target = core(table)
        make = postgresql_insert if self._session.get_bind().dialect.name == "postgresql" else sqlite_insert
        statement = make(target)
        changes = {name: target.c[name] + statement.excluded[name] for name in add}
        changes |= {name: statement.excluded[name] for name in replace}
        keys = [column.name for column in target.primary_key]
        await self._session.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes), rows)

    def _inference(self, served: Served) -> dict[str, Any]:
        split = served.split
        fields = {name: getattr(served, name) for name in Served.__struct_fields__ if name not in ("split", "unit")}
        return fields | {
            "split": None if split is None else split.release,
            "phase": None if split is None else split.phase,
            "arm": None if split is None else split.arm,
            "unit": served.unit if split is None else split.unit,
            "used_by": None,
        }


def read(row: dict[str, Any]) -> RatingRead:
    """A rating as it is answered."""
    fields = {name: row[name] for name in RatingRead.__struct_fields__ if name not in ("replaced", "rater")}
    return RatingRead(**fields, rater=row["rater"][:12], replaced=row["supersedes"] is not None)
