"""One transaction's worth of answers and ratings: enter each by itself, store all of them in bulk."""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from app.feedback import counting
from app.feedback.entering import Caps, Entering
from app.feedback.ledger import Ledger, Log, Rate, Vote, known_of
from app.feedback.receipts import Signer
from app.feedback.schemas import SCALED, UNITS, RatingRead, Scale, Served, Tally
from app.feedback.tables import ExposureRow, InferenceRow, QuotaRow, RatingRow, TallyRow, VoteRow
from app.feedback.tallies import counted, kept_scales, mark
from app.kit.db import batched_by_variables, core, insert_rows
from app.kit.errors import ConflictError

Wanted = Mapping[tuple[str, str], Set[Scale]]
"""(project, release) -> the ranges in which its rollout rules want named numbers counted, and which nobody keeps yet."""


class Book:
    """Everything in it is of one project."""

    def __init__(
        self, session: AsyncSession, project_id: str, signer: Signer, now: datetime, caps: Caps, wanted: Wanted
    ) -> None:
        self._session, self._project_id, self._signer, self._now = session, project_id, signer, now
        self._caps, self._wanted = caps, wanted
        self._ledger = Ledger(session, project_id, signer, now)
        self._served: list[Served] = []
        self._exposures: list[dict[str, Any]] = []
        self._tallies: defaultdict[tuple[str, int, str, str, int], list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
        self._marks: list[dict[str, Any]] = []
        self._quotas: defaultdict[str, int] = defaultdict(int)
        self._ratings: list[dict[str, Any]] = []
        self._superseded: list[str] = []
        self._outvoted: list[str] = []
        self._votes: dict[tuple[str, str, str], Vote] = {}
        self._used: dict[str, str] = {}
        self.touched: set[str] = set()
        """The releases whose tallies changed."""
        self.judged: set[str] = set()
        """Those of them whose votes changed, or that failed to answer: what a rollout is stopped for."""

    async def open(self, jobs: Sequence[Rate | Log]) -> None:
        """Takes the lock under which tallies change, and reads what these jobs touch."""
        await self._ledger.open(jobs)
        signals = {rating.signal for job in jobs if isinstance(job, Rate) for rating in job.ratings}
        await self.read_scales(self._ledger.splits, signals)

    async def read_scales(self, splits: Set[str], signals: Set[str]) -> None:
        """Reads in which ranges votes on these signals are counted, and begins to keep those counts that are wanted."""
        wanted = {(split, scale) for split in splits for scale in self._wanted.get((self._project_id, split), ())}
        numbers = {signal for signal in signals if signal not in SCALED} | {scale.signal for _, scale in wanted}
        if not splits or not numbers:
            return
        kept = await kept_scales(self._session, self._project_id, splits, numbers)
        for split, scale in sorted(wanted - kept):
            for tally in await counted(self._session, self._project_id, split, scale):
                self.add(split, tally)
            self._marks.append(mark(self._project_id, split, scale))
        for split, scale in kept | wanted:
            self._ledger.scales[split].add(scale)

    def uncount(self, vote: VoteRow) -> None:
        """Takes a stored vote, whose scales were read, out of the tallies."""
        self.touched.add(vote.split)
        for tally in counting.vote(vote.phase, vote.arm, vote.signal, vote.value, self._ledger.scales[vote.split]):
            self.add(vote.split, counting.taken_away(tally))

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
        entering = Entering(self._ledger, self._signer, self._project_id, self._now, self._caps, job.caller)
        for i, rating in enumerate(job.ratings):
            entering.rate(rating, "" if job.single else f"/{i}")
        for served in entering.made.values():
            self.log(served)
        self._ratings.extend(entering.rows.values())
        self._superseded.extend(entering.superseded)
        self._outvoted.extend(entering.outvoted)
        self._votes.update(entering.votes)
        self._ledger.votes.update(entering.votes)
        self._ledger.voted.update(entering.voted)
        self._ledger.current.update(entering.current)
        for inference_id, rater in entering.used.items():
            self._ledger.known[inference_id].used_by = rater
            self._used[inference_id] = rater
        for split, tally in entering.tallies:
            self.add(split, tally)
        self.touched |= entering.splits
        self.judged |= entering.splits
        for who, n in entering.quotas.items():
            self._ledger.quotas[who] += n
            self._quotas[who] += n
        return entering.reads()

    async def store(self) -> None:
        """Writes everything in bulk."""
        session = self._session
        await insert_rows(session, InferenceRow, [self._inference(served) for served in self._served])
        await insert_rows(session, ExposureRow, self._exposures)
        await insert_rows(session, RatingRow, self._ratings)
        # Also those of this very transaction: a rater who changes their mind twice in one request.
        await self._mark(self._superseded, current=False)
        await self._mark(self._outvoted, in_rollout=False)
        if self._used:
            table = core(InferenceRow)
            statement = (
                update(table)
                .where(table.c.project_id == self._project_id, table.c.id == bindparam("inference"))
                .values(used_by=bindparam("rater"))
            )
            connection = await session.connection()
            await connection.execute(statement, [{"inference": i, "rater": r} for i, r in self._used.items()])
        votes = [
            {"project_id": self._project_id, "split": split, "signal": signal, "unit": unit, **vote._asdict()}
            for (split, signal, unit), vote in self._votes.items()
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
        await insert_rows(session, TallyRow, self._marks)
        today = self._now.date()
        quotas = [
            {"project_id": self._project_id, "day": today, "who": who, "n": n}
            for who, n in sorted(self._quotas.items())
        ]
        await self._upsert(QuotaRow, quotas, add=("n",))

    def add(self, split: str, tally: Tally) -> None:
        """Adds to a release's tallies."""
        of_bucket = self._tallies[split, tally.phase, tally.arm, tally.signal, tally.bucket]
        of_bucket[0] += tally.n
        of_bucket[1] += tally.total
        of_bucket[2] += tally.squares
        self.touched.add(split)

    async def _mark(self, ratings: Sequence[str], **values: bool) -> None:
        for some in batched_by_variables(ratings):
            await self._session.execute(
                update(RatingRow)
                .where(col(RatingRow.project_id) == self._project_id, col(RatingRow.id).in_(some))
                .values(**values)
                .execution_options(synchronize_session=False)
            )

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
