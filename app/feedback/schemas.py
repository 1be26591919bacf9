"""Inferences, ratings and what is counted of them."""

from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

Arm = Literal["candidate", "baseline"]
InferenceStatus = Literal["answered", "failed", "errored"]

RESPONSES, ERRORS, LATENCY, UNITS = ":responses", ":errors", ":latency", ":units"
"""Signals of a tally that no rating can have: answers given, answers that failed or errored, their latencies, units seen."""


SCALED = ("thumbs", "stars", "score")
"""Signals whose scale is known; every other name is a plain number."""
RANGED = "="


class Scale(NamedTuple):
    """The range that a rule gives a named number. Votes inside it are tallied as `name`, as shares of it; how many lie
    outside is tallied as `outside`. Two rules may give the same signal two ranges."""

    signal: str
    low: float
    high: float

    @property
    def name(self) -> str:
        """A signal that no rating can have, short enough for its column."""
        return RANGED + sha256(f"{self.signal} {self.low!r} {self.high!r}".encode()).hexdigest()[:24]

    @property
    def outside(self) -> str:
        return f":outside {self.name}"


class Split(msgspec.Struct, frozen=True):
    """Where in a rollout an answer was given: the candidate's release, the phase of constant share, the arm, and the unit."""

    release: str
    phase: int
    arm: Arm
    unit: str


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that was served. `release` is the release whose content answered (None for answers served elsewhere),
    `split` is None when no rollout was going on; `unit` is the keyed hash of the unit (`Feedback.unit_hash`)."""

    id: str
    project_id: str
    environment: str | None
    prompt: str
    version: int | None
    prompt_digest: str | None
    bundle: str | None
    release: str | None
    split: Split | None
    unit: str | None
    key_id: str
    status: InferenceStatus
    at: datetime
    latency_ms: float | None = None
    cost_nano: int | None = None
    usage: dict[str, Any] | None = None
    endpoint: str | None = None
    variables: dict[str, Any] | None = None
    messages: list[dict[str, Any]] | None = None
    output: str | None = None
    error: str | None = None
    tags: list[str] = []


class Tally(msgspec.Struct, frozen=True):
    """The counted votes (or answers) of one bucket: `n` of them, their sum and the sum of their squares.

    For a rating's signal values are shares of its scale and `bucket` is in hundredths of it, so that an exact sum and a
    coarse histogram are kept at once; a named number has a scale only as a rule's `Scale`, whose name is then the signal. For `:latency` it is `floor(log(latency_ms) / log(1.02))`, and sums are of natural logs of ms;
    for `:responses`, `:errors` and `:units` it is 0.
    """

    phase: int
    arm: Arm
    signal: str
    bucket: int
    n: int
    total: float
    squares: float


Text = Annotated[str, msgspec.Meta(max_length=20_000)]
Id = Annotated[str, msgspec.Meta(min_length=1)]
"""At most 120 characters, none of them a control character (`texts.checked_id`)."""
Person = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Tags = Annotated[list[Annotated[str, msgspec.Meta(min_length=1, max_length=60)]], msgspec.Meta(max_length=50)]


class RatingCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody says of an answer: by its `receipt`, by its `inference_id`, or by an own message `id` with the `prompt`
    that answered (which logs the answer as served elsewhere). `rater` is who says it; left out, it is the unit that the
    answer was for."""

    signal: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
    value: bool | float
    receipt: str | None = None
    inference_id: Id | None = None
    id: Id | None = None
    prompt: str | None = None
    unit: Person | None = None
    rater: Person | None = None
    comment: Text | None = None
    correction: Text | None = None
    tags: Tags = []


class RatingRead(msgspec.Struct, frozen=True, kw_only=True):
    """A stored rating. `rater` is the beginning of a keyed hash. `in_rollout`: it is what its unit says in the
    release's rollout, until the unit says something else there. `counted` is false for what a cap set aside, and `reason` says
    so. `replaced`: the same rater's earlier word on this answer is history; `current` is false for that history."""

    id: str
    inference_id: str
    environment: str | None
    prompt: str
    version: int | None
    release: str | None
    signal: str
    value: float
    rater: str
    comment: str | None
    correction: str | None
    tags: list[str]
    counted: bool
    in_rollout: bool
    current: bool
    replaced: bool
    reason: str | None
    created_at: datetime


class RatingsRead(msgspec.Struct, frozen=True):
    items: list[RatingRead]


class InferenceCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer served elsewhere. `prompt` is a reference (`docs/answer@7`); `id` is your own, or one is made."""

    prompt: str
    id: Id | None = None
    environment: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    unit: Person | None = None
    variables: dict[str, Any] | None = None
    messages: list[dict[str, Any]] | None = None
    output: Annotated[str, msgspec.Meta(max_length=1_000_000)] | None = None
    error: Text | None = None
    latency_ms: Annotated[float, msgspec.Meta(ge=0)] | None = None
    cost_usd: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    usage: dict[str, Any] | None = None
    endpoint: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    tags: Tags = []


class InferenceCreated(msgspec.Struct, frozen=True):
    id: str
    receipt: str


class InferenceRead(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    environment: str | None
    prompt: str
    version: int | None
    prompt_digest: str | None
    bundle: str | None
    release: str | None
    arm: str | None
    status: str
    at: datetime
    latency_ms: float | None
    cost_usd: float | None
    usage: dict[str, Any] | None
    endpoint: str | None
    variables: dict[str, Any] | None
    messages: list[Any] | None
    output: str | None
    error: str | None
    tags: list[str]


class SummaryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One signal of one `key` (a version as `name@number`, a release, …); `version` is its number where versions are the keys. `n` ratings of `raters` people; the mean is over ratings, `low` and
    `high` are two-sided at `confidence`: Wilson's for thumbs of different people, else Student's t clustered by rater, on the
    scale when it is known. Null where one person, or people who all say the same of a named number, cannot show a spread."""

    key: str
    version: int | None
    signal: str
    n: int
    raters: int
    mean: float
    low: float | None
    high: float | None
    confidence: float
    method: str


class Summary(msgspec.Struct, frozen=True):
    prompt: str | None
    by: str
    items: list[SummaryRow]


class Erased(msgspec.Struct, frozen=True):
    """What was erased of a person: ratings, and answers whose texts are gone."""

    ratings: int
    inferences: int
