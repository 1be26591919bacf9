"""One request's ratings, kept apart until all of them are known to be right."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from app.access.schemas import Caller
from app.feedback import counting
from app.feedback.errors import ReceiptUsedError
from app.feedback.ledger import Known, Ledger, Vote, anonymous, known_of
from app.feedback.receipts import Signer
from app.feedback.schemas import RatingCreate, RatingRead, Served, Tally
from app.feedback.texts import checked_id, storable
from app.kit.errors import DomainError, InvalidContentError, NotFoundError, RateLimitedError
from app.kit.ids import new_id
from app.registry.names import parse_ref
from app.registry.schemas import Artifact


class Caps(NamedTuple):
    """Ratings on one day: of one rater on one signal that count (what comes on top is kept and set aside), and of one key
    (what comes on top is refused)."""

    per_rater: int = 1_000
    per_key: int = 1_000_000


class Entering:
    """What a request adds to what its transaction holds already (`ledger`), which stays as it is."""

    def __init__(
        self, ledger: Ledger, signer: Signer, project_id: str, now: datetime, caps: Caps, caller: Caller
    ) -> None:
        self._ledger, self._signer, self._project_id = ledger, signer, project_id
        self._now, self._caps, self._caller = now, caps, caller
        self.rows: dict[str, dict[str, Any]] = {}
        self.superseded: list[str] = []
        """Ratings that their raters replaced."""
        self.outvoted: list[str] = []
        """Ratings whose unit has another vote now."""
        self.votes: dict[tuple[str, str, str], Vote] = {}
        self.voted: dict[tuple[str, str, str], list[str]] = {}
        self.tallies: list[tuple[str, Tally]] = []
        self.splits: set[str] = set()
        """The releases whose votes change."""
        self.used: dict[str, str] = {}
        self.current: dict[tuple[str, str, str], str] = {}
        self.made: dict[str, Served] = {}
        self.quotas: dict[str, int] = {}

    def reads(self) -> list[RatingRead]:
        """The ratings as they are after all of the request."""
        return [read(row) for row in self.rows.values()]

    def rate(self, rating: RatingCreate, at: str) -> None:
        """Enters one rating; `at` is its place in the body."""
        value = counting.checked(rating.signal, rating.value, f"{at}/value")
        for name in ("comment", "correction"):
            storable(getattr(rating, name), f"{at}/{name}")
        for tag in rating.tags:
            storable(tag, f"{at}/tags")
        known = self._answer(rating, at)
        if rating.unit is not None and known.unit != self._signer.person(self._project_id, rating.unit):
            raise InvalidContentError.at(f"{at}/unit", "this answer was given to another unit")
        rater = self._rater(rating, known)
        if rating.receipt is not None:
            used_by = self.used.get(known.id, known.used_by)
            if used_by is not None and used_by != rater:
                raise ReceiptUsedError.at(f"{at}/receipt", "a receipt is for one rater, who may change the rating")
            self.used[known.id] = rater
        reason = self._quota(rating.signal, rater)
        place = (known.id, rating.signal, rater)
        before = self.current.get(place, self._ledger.current.get(place)) if reason is None else None
        in_rollout = reason is None and known.split is not None and known.unit is not None
        rating_id = new_id("fb")
        if reason is None:
            self.current[place] = rating_id
            if before is not None:
                self.superseded.append(before)
                if before in self.rows:
                    self.rows[before]["current"] = False
        if in_rollout:
            self._vote(known, rating.signal, counting.scaled(rating.signal, value), rater, rating_id)
        self.rows[rating_id] = {
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
            "key_id": self._caller.key_id,
            "counted": reason is None,
            "in_rollout": in_rollout,
            "current": reason is None,
            "reason": reason,
            "supersedes": before,
            "created_at": self._now,
        }

    def _answer(self, rating: RatingCreate, at: str) -> Known:
        given = [n for n in ("receipt", "inference_id", "id") if getattr(rating, n) is not None]
        if len(given) != 1:
            raise InvalidContentError.at(
                f"{at}/receipt",
                "name the answer once: its `receipt`, its `inference_id`, or an own `id` with its `prompt`",
            )
        if rating.receipt is not None:
            inference_id = self._signer.inference_of(rating.receipt, self._project_id, self._now, f"{at}/receipt")
        else:
            inference_id = checked_id(rating.inference_id or rating.id or "", f"{at}/{given[0]}")
        known = self._ledger.known.get(inference_id)
        if inference_id in self.made:
            known = known_of(self.made[inference_id])
        prompt = self._prompt(rating, at)
        if known is not None:
            _agree(rating, prompt, known, at)
            return known
        if rating.id is None:
            raise NotFoundError.at(f"{at}/{given[0]}", "there is no such answer in this project")
        return self._own(rating, prompt, at)

    def _prompt(self, rating: RatingCreate, at: str) -> Artifact | None:
        if rating.prompt is None:
            return None
        prompt: Artifact | DomainError = self._ledger.prompts[rating.prompt]
        if isinstance(prompt, DomainError):
            raise InvalidContentError.at(f"{at}/prompt", prompt.detail)
        return prompt

    def _own(self, rating: RatingCreate, prompt: Artifact | None, at: str) -> Known:
        """A new answer under an id of the caller's, which is logged."""
        if prompt is None:
            raise InvalidContentError.at(f"{at}/prompt", "say which prompt answered, such as docs/answer@7")
        served = Served(
            id=rating.id or "",
            project_id=self._project_id,
            environment=None,
            prompt=prompt.name or "",
            version=prompt.number,
            prompt_digest=prompt.digest,
            bundle=None,
            release=None,
            split=None,
            unit=None if rating.unit is None else self._signer.person(self._project_id, rating.unit),
            key_id=self._caller.key_id,
            status="answered",
            at=self._now,
        )
        self.made[served.id] = served
        return known_of(served)

    def _rater(self, rating: RatingCreate, known: Known) -> str:
        if rating.rater is not None:
            return self._signer.person(self._project_id, rating.rater)
        return known.unit or self._signer.person(self._project_id, anonymous(known.id))

    def _quota(self, signal: str, rater: str) -> str | None:
        """Counts against the caps; why this rating is set aside, or None. Raises `RateLimitedError` for the key's cap."""
        key, person = f"key {self._caller.key_id}", f"rater {rater} {signal}"
        for who in (key, person):
            self.quotas[who] = self.quotas.get(who, 0) + 1
        if self._ledger.quotas[key] + self.quotas[key] > self._caps.per_key:
            tomorrow = (self._now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            seconds = int((tomorrow - self._now).total_seconds()) + 1
            raise RateLimitedError(f"a key may give {self._caps.per_key:,} ratings a day", seconds)
        if self._ledger.quotas[person] + self.quotas[person] > self._caps.per_rater:
            return f"more than {self._caps.per_rater:,} ratings of one rater on one signal in a day: kept, not counted"
        return None

    def _vote(self, known: Known, signal: str, value: float, rater: str, rating_id: str) -> None:
        """The unit's last vote takes the place of its earlier one, wherever that was counted."""
        split, unit = known.split or "", known.unit or ""
        place = (split, signal, unit)
        before = self.votes.get(place, self._ledger.votes.get(place))
        scales = self._ledger.scales[split]
        if before is not None:
            for tally in counting.vote(before.phase, before.arm, signal, before.value, scales):
                self.tallies.append((split, counting.taken_away(tally)))
        now = Vote(known.phase or 0, known.arm or "", value, rater)
        self.votes[place] = now
        self.tallies.extend((split, tally) for tally in counting.vote(now.phase, now.arm, signal, value, scales))
        self.splits.add(split)
        earlier = self.voted.get(place, self._ledger.voted.get(place, []))
        self.outvoted.extend(earlier)
        for rating in earlier:
            if rating in self.rows:
                self.rows[rating]["in_rollout"] = False
        self.voted[place] = [rating_id]


def _agree(rating: RatingCreate, prompt: Artifact | None, known: Known, at: str) -> None:
    """A rating that says which prompt answered must be right. A bare name, or a label, may have moved on since: of those
    only the name counts."""
    if rating.prompt is None or prompt is None:
        return
    ref = parse_ref(rating.prompt)
    exact = ref.number is not None or ref.digest is not None
    if prompt.name != known.prompt or (exact and prompt.number != known.version):
        answered = known.prompt if known.version is None else f"{known.prompt}@{known.version}"
        raise InvalidContentError.at(
            f"{at}/prompt", f"the answer {known.id!r} was given by {answered}, not by {rating.prompt}"
        )


def read(row: dict[str, Any]) -> RatingRead:
    """A rating as it is answered."""
    fields = {name: row[name] for name in RatingRead.__struct_fields__ if name not in ("replaced", "rater")}
    return RatingRead(**fields, rater=row["rater"][:12], replaced=row["supersedes"] is not None)
