"""A run at work in this process."""

import asyncio
from typing import NamedTuple

from app.generation.schemas import Bundle
from app.runs.budget import Budget
from app.runs.judge import Panel
from app.runs.scoring import LiveMetric
from app.runs.spec import Case, Cell, Spec
from app.runs.store import Loaded


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
    """One attempt of a run, as far as this process works on it.

    `pending` are the cells that it has taken up and not stored as ended, with their keys; `unended` those of them that have
    not been handed to the writer. `stopping`: no further call begins. `lost`: another process may have its work. `comparing`: all cells have ended, and what compares them is
    being scored.
    """

    def __init__(self, loaded: Loaded, bundles: list[Bundle], live: Live, budget: Budget) -> None:
        row = loaded.row
        self.project_id, self.id, self.attempt, self.priority = row.project_id, row.id, row.attempt, row.priority
        self.spec: Spec = loaded.spec
        self.cases: list[Case] = loaded.cases
        self.bundles, self.live, self.budget = bundles, live, budget
        self.pending: dict[Cell, str] = {}
        self.unended: set[Cell] = set()
        self.reads, self.alone, self.to_compare = live.reads, live.alone, live.compared
        self.measured = any(metric.measured for metric in loaded.spec.metrics)
        self.comparing = False
        self.stopping = False
        self.lost = False
        self.ended = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
