"""Inferences, ratings and what is counted of them."""

from datetime import datetime
from typing import Any, Literal

import msgspec

Arm = Literal["candidate", "baseline"]
InferenceStatus = Literal["answered", "failed", "errored"]

RESPONSES, ERRORS, LATENCY, UNITS = ":responses", ":errors", ":latency", ":units"
"""Signals of a tally that no rating can have: answers given, answers that failed or errored, their latencies, units seen."""


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

    For a rating's signal `bucket` is the value as a share of its scale in hundredths, so that an exact sum and a coarse
    histogram are kept at once; for `:latency` it is `floor(log(latency_ms) / log(1.02))`, and sums are of natural logs of ms;
    for `:responses`, `:errors` and `:units` it is 0.
    """

    phase: int
    arm: Arm
    signal: str
    bucket: int
    n: int
    total: float
    squares: float
