"""Releases on the wire, and what is live as the gateway sees it."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.gates.rollout.schemas import RolloutVerdict
from app.generation.schemas import Bundle, Draft
from app.kit.texts import STORABLE

State = Literal[
    "evaluating",
    "blocked",
    "awaiting_approval",
    "rolling_out",
    "live",
    "paused",
    "rolled_back",
    "rejected",
    "superseded",
]
ACTIVE: tuple[State, ...] = ("evaluating", "awaiting_approval", "rolling_out", "paused")
"""States in which a release holds its prompt's place in the environment: there is one such release at a time."""
SERVING: tuple[State, ...] = ("rolling_out", "paused")

Text = Annotated[str, msgspec.Meta(max_length=4000, pattern=STORABLE)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a rollout: the share of units that get the candidate."""

    share: Share


class Rollout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rising shares; a last step of 1 may be left out. A number stands for a step of that share."""

    steps: Annotated[list[Share | Step], msgspec.Meta(min_length=1, max_length=20)]


class ReleaseCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`run` offers a finished run as evidence; `rollout` replaces the environment's, null goes live at once."""

    environment: str
    prompt: str | Draft
    endpoint: str | Draft
    rag_config: str | Draft | UnsetType | None = UNSET
    tool_config: str | Draft | UnsetType | None = UNSET
    params: dict[str, Any] = {}
    run: str | None = None
    rollout: Rollout | UnsetType | None = UNSET
    notes: Text = ""


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why somebody acts. With `revision` (as read before) the act counts only if nothing has happened since; with
    `bundle` only if the release is about exactly that content."""

    reason: Text = ""
    revision: int | None = None
    bundle: str | None = None


class EvaluateAgain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`run` offers a finished run as evidence."""

    reason: Text = ""
    revision: int | None = None
    run: str | None = None


class Approve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`accept_risk` lets an inconclusive release through; it needs a reason."""

    reason: Text = ""
    revision: int | None = None
    bundle: str | None = None
    accept_risk: bool = False


class Approval(msgspec.Struct, frozen=True):
    by: str
    role: str
    at: datetime
    reason: str
    accepted_risk: bool = False


class SuiteVerdict(msgspec.Struct, frozen=True):
    """The gate's verdict of one suite. `exit_code` is the command line's; `only_approvals`: people's approvals alone are
    missing."""

    suite: str
    policy: str
    run: str | None
    verdict_id: str | None
    verdict: str | None
    headline: str
    exit_code: int
    only_approvals: bool = False


class Event(msgspec.Struct, frozen=True):
    """One transition, or one thing that was said about the release without moving it (`from` equal to `to`)."""

    no: int
    at: datetime
    by: str
    action: str
    from_: str | None = msgspec.field(name="from")
    to: str
    share: float | None
    reason: str
    details: dict[str, Any]


class Refs(msgspec.Struct, frozen=True):
    prompt: str
    endpoint: str
    rag_config: str | None
    tool_config: str | None


class BaselineRead(msgspec.Struct, frozen=True):
    """What was live when the release was evaluated."""

    release: str
    bundle: str
    prompt: str


class ReleaseSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A release in a list. `name` is the prompt's, `prompt` its version; `share` is the share of units that it serves."""

    id: str
    environment: str
    name: str
    prompt: str
    version: int
    rag_config: str | None
    tool_config: str | None
    endpoint: str
    bundle: str
    state: State
    verdict: Literal["pass", "fail", "inconclusive"] | None
    exit_code: int | None
    share: float
    revision: int
    reason: str
    notes: str
    created_by: str
    created_at: datetime
    updated_at: datetime


class ReleaseRead(ReleaseSummary, frozen=True, kw_only=True):
    """A whole release. `pins` are the digests of its parts and of the evidence's (`suite/<name>`, `policy/<suite>`,
    `environment`); `step` is the number of the rollout's step, from 0; `rollout_verdict` the latest word of the ratings;
    `timeline` everything that happened, oldest first."""

    pins: dict[str, str]
    params: dict[str, Any]
    baseline: BaselineRead | None
    predecessor: str | None
    steps: list[float]
    step: int | None
    verdicts: list[SuiteVerdict]
    approvals_needed: int
    approvals: list[Approval]
    rollout_verdict: RolloutVerdict | None
    timeline: list[Event]


class LiveArm(msgspec.Struct, frozen=True):
    """One release as it is served."""

    release: str
    prompt: str
    version: int
    bundle: Bundle


class Deployment(msgspec.Struct, frozen=True):
    """What is live for one prompt in one environment: the release itself, and beside it the candidate of a rollout with
    its share and phase. `revision` rises with every change."""

    project_id: str
    environment: str
    prompt: str
    revision: int
    live: LiveArm
    candidate: LiveArm | None = None
    share: float = 0.0
    phase: int = 0
