"""What a decision is made from: the cells of one or two sides, as arrays. Loads numpy; import inside functions.

Arrays are [cases, repeats], in the order of `Evidence.cases`; the two sides may have different numbers of repeats.
A value that is not finite is missing: lost to infrastructure or to a judge that gave no verdict, or never run. What was
the model's own fault is a value (the worst one), never missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Case:
    """One dataset item. `fields` is its metadata; `cluster` names the group of items that it is not independent of."""

    id: str
    cluster: str | None = None
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """How a metric's values are to be read. `low` and `high` are the ends of its scale, None where it has none.
    `judge`: a model gave the values; `self_judged`: that model is one of those under test."""

    name: str
    direction: Literal["maximize", "minimize"] = "maximize"
    low: float | None = 0.0
    high: float | None = 1.0
    judge: bool = False
    self_judged: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One metric at one endpoint on one side.

    `passed` is 1 or 0 where the scorer said so, NaN elsewhere; None when this scorer never says. `skipped` marks cells
    to which the metric does not apply (no reference, another tag): they are neither counted nor missing. `confirmed`
    is `passed` of further runs made because a critical case had failed; a mean that took them in would favour the
    candidate, so that only `must_pass` reads them.
    """

    values: Array
    passed: Array | None = None
    skipped: Flags | None = None
    confirmed: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The candidate's or the baseline's cells.

    `scores` is keyed by (metric, endpoint), the other arrays by endpoint. `failed` is 1 where the candidate itself
    failed to give a usable answer, 0 where it gave one, NaN where infrastructure failed. `planned` and `finished` count
    cells: answered, cached, failed and errored ones are finished, cancelled ones are not. `pins` are the digests that
    decided these cells: `bundle`, `dataset`, `scorer/<metric>` and whatever else must be the same on both sides.
    `age_s` is the age of the oldest answer; `fresh` is False for the very answers that won the baseline its promotion.
    """

    run: str
    pins: Mapping[str, str]
    scores: Mapping[tuple[str, str], Scores]
    planned: int
    finished: int
    age_s: float | None
    fresh: bool = True
    failed: Mapping[str, Array] = field(default_factory=dict)
    cost_usd: Mapping[str, Array] = field(default_factory=dict)
    latency_ms: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """This is look `number` (from 0) of the planned `fractions` of the evidence. `passed` are the ids of the rules that
    passed at an earlier look; they stay passed."""

    number: int = 0
    fractions: tuple[float, ...] = (1.0,)
    passed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything `decide` may look at. `baseline` is None when nothing is live.

    `endpoints` are the labels under which the two sides are paired. `pins` say what the verdict is about: `candidate`
    and `baseline` (bundle digests), and any digest that both sides must carry, such as `dataset`. `approvals` counts
    people who agreed, by role; None where approvals cannot be known yet.
    """

    cases: tuple[Case, ...]
    endpoints: tuple[str, ...]
    metrics: Mapping[str, Metric]
    candidate: Side
    baseline: Side | None
    pins: Mapping[str, str]
    look: Look = Look()
    tries: int = 1
    approvals: Mapping[str, int] | None = None
