"""A run at work in this process."""

import asyncio
from collections import deque
from time import monotonic
from typing import NamedTuple

from app.generation.schemas import Bundle
from app.kit.changes import Change
from app.runs.budget import Budget
from app.runs.judge import Panel
from app.runs.schemas import Progress, RunStatus, VariantProgress, usd
from app.runs.scoring import LiveMetric
from app.runs.spec import Case, Cell, Spec
from app.runs.store import Loaded

RATE_WINDOW_S = 5.0


class Live(NamedTuple):
    """What a run's metrics are computed with; `judges` by the number of their metric."""

    metrics: list[LiveMetric]
    judges: dict[int, Panel]

    @property
    def alone(self) -> list[int]:
        """The numbers of the metrics that need no other cell than the one they score."""
        return [number for number, live in enumerate(self.metrics) if not live.compares]

    @property
    def compared(self) -> list[int]:
        """The numbers of the metrics that compare a cell with the other variants' answers."""
        return [number for number, live in enumerate(self.metrics) if live.compares]

    @property
    def reads(self) -> frozenset[str]:
        """What any of the scorers reads of a sample."""
        return frozenset().union(*(live.scorer.reads for live in self.metrics))


class ActiveRun:
    """`pending` are the cells that have not been stored as ended, with their keys. `stopping`: no further call begins.
    `change` is what the audit is told when the run comes to rest. `comparing` is the last pass of a run with metrics
    `to_compare`: it begins when no cell is pending, and all of it is stored when the run is `compared`."""

    def __init__(
        self, loaded: Loaded, bundles: list[Bundle], live: Live, pending: dict[Cell, str], budget: Budget
    ) -> None:
        self.project_id, self.id = loaded.row.project_id, loaded.row.id
        self.spec: Spec = loaded.spec
        self.cases: list[Case] = loaded.cases
        self.bundles, self.live, self.pending, self.budget = bundles, live, pending, budget
        self.unended = len(pending)
        self.reads, self.alone, self.to_compare = live.reads, live.alone, live.compared
        self.comparing: asyncio.Task[None] | None = None
        self.compared = False
        self.measured = any(metric.measured for metric in loaded.spec.metrics)
        self.ends_as: RunStatus = loaded.row.ends_as  # type: ignore[assignment]  # what was written was one of them
        self.reason: str | None = loaded.row.reason
        self.stopping = False
        self.change: Change | None = None
        self.ended = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self.done = [0] * len(loaded.spec.variants)
        self.planned = [0] * len(loaded.spec.variants)
        self.errors: dict[str, int] = {}
        self.cost_nano = 0
        self._calls: deque[float] = deque()

    def called(self, cost_nano: int) -> None:
        """A call was answered."""
        self.cost_nano += cost_nano
        now = monotonic()
        self._calls.append(now)
        self._forget(now)

    def ended_as(self, cell: Cell, error_kind: str | None) -> None:
        """A cell's end is stored."""
        self.pending.pop(cell, None)
        self.done[cell.variant_no] += 1
        if error_kind is not None:
            self.errors[error_kind] = self.errors.get(error_kind, 0) + 1

    def progress(self) -> Progress:
        now = monotonic()
        self._forget(now)
        rate = len(self._calls) / max(now - self._calls[0], 0.1) if self._calls else 0.0
        return Progress(
            status="running",
            done=sum(self.done),
            total=sum(self.planned),
            variants=[
                VariantProgress(v.id, done, planned)
                for v, done, planned in zip(self.spec.variants, self.done, self.planned, strict=True)
            ],
            calls_per_s=round(rate, 1),
            errors=dict(self.errors),
            cost_usd=usd(self.cost_nano),
            eta_s=round(len(self.pending) / rate, 1) if rate > 0 else None,
        )

    def _forget(self, now: float) -> None:
        while self._calls and self._calls[0] < now - RATE_WINDOW_S:
            self._calls.popleft()
