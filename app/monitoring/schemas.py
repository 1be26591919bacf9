"""Schedules and what their runs say over time, on the wire."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from app.runs.schemas import Cells, PairedMetric

Trigger = Literal["cron", "now", "endpoint"]
State = Literal["starting", "started", "ended", "skipped", "failed"]


class ScheduleRead(msgspec.Struct, frozen=True):
    """A schedule. `definition` is what it says, without what is as by default; `next_at` is null for one that is off or waits
    for endpoints; `last` is what became of it last."""

    name: str
    definition: dict[str, Any]
    digest: str
    enabled: bool
    next_at: datetime | None
    last: "ScheduledRun | None"
    created_at: datetime
    updated_at: datetime
    updated_by: str


class ScheduleRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`endpoint` is what a sentinel is to evaluate."""

    endpoint: str | None = None


class Compared(msgspec.Struct, frozen=True):
    """A candidate of the run against its baseline, over all cases. `reason` is why they cannot be compared."""

    candidate: str
    baseline: str
    metrics: list[PairedMetric]
    reason: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """How a scheduled run ended. `comparisons` are there when it has a baseline."""

    status: str
    cells: Cells
    cost_usd: float
    comparisons: list[Compared] = []


class ScheduledRun(msgspec.Struct, frozen=True):
    """One suite of one time at which a schedule was due (`due_at`; it was taken up `at`).

    `skipped`: the one before was still at work. `failed`: no run could be made; `reason` says why. `ended`: the run is at
    rest, and `outcome` says how. `endpoint` is the new one, for a sentinel.
    """

    id: str
    schedule: str
    trigger: Trigger
    suite: str
    endpoint: str | None
    due_at: datetime
    at: datetime
    state: State
    reason: str | None
    run: str | None
    outcome: Outcome | None


class Standing(msgspec.Struct, frozen=True):
    """What one run says of an endpoint. `cost_per_cell_usd` is over the cells that this run paid for, `latency_ms` the median
    where the suite measures it; both may be unknown."""

    run: str
    at: datetime
    prompt: str
    endpoint: str
    suite: str
    cases: int
    n: int
    missing: int
    mean: float | None
    low: float | None
    high: float | None
    cost_per_cell_usd: float | None
    latency_ms: float | None


class Place(msgspec.Struct, frozen=True):
    """One endpoint with one prompt on the leaderboard. `history` is newest first and begins with `latest`.

    `same_data` is false when its latest run is about other cases than the newest run of all: then the two are no fair
    comparison. `cost_per_cell_usd` and `latency_ms` are the latest that are known.
    """

    endpoint: str
    prompt: str
    latest: Standing
    cost_per_cell_usd: float | None
    latency_ms: float | None
    same_data: bool
    history: list[Standing]


class Leaderboard(msgspec.Struct, frozen=True):
    """The best first. `complete` is false when there are older runs than were read."""

    suite: str
    metric: str
    direction: Literal["maximize", "minimize"]
    unit: str | None
    places: list[Place]
    runs: int
    complete: bool


class Moved(msgspec.Struct, frozen=True):
    """One metric then and now, paired by case. `p` is two-sided, `adjusted` by Holm over all that is compared at this look;
    `changed` when that is at most the look's level."""

    metric: str
    n: int
    before: float | None
    now: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    adjusted: float | None
    changed: bool


class Against(msgspec.Struct, frozen=True):
    """The latest run against an earlier one. `models` are the names that answers carried, then and now."""

    what: Literal["first", "previous"]
    run: str
    at: datetime
    models_before: list[str]
    models_now: list[str]
    model_changed: bool
    metrics: list[Moved]


class Sample(msgspec.Struct, frozen=True):
    run: str
    at: datetime
    means: dict[str, float | None]


class Series(msgspec.Struct, frozen=True):
    """Fresh runs of exactly the same content on exactly the same cases, oldest first.

    `look` counts the comparisons until now; this one may cry wolf with probability `level` = 0.05 / (look * (look + 1)), so
    that all together do so with 0.05 at most. `changed` says what moved.
    """

    prompt: str
    endpoint: str
    bundle: str
    dataset: str
    cases: int
    samples: list[Sample]
    look: int
    level: float
    against: list[Against]
    changed: list[str]


class Drift(msgspec.Struct, frozen=True):
    """`drifted` when any series has changed. `complete` is false when there are older runs than were read."""

    suite: str
    endpoint: str | None
    drifted: bool
    series: list[Series]
    complete: bool
