"""How fast a run gets on, from what is stored of it."""

from collections import deque
from time import monotonic

from app.runs.schemas import RESTING, Progress, RunRead, VariantProgress

WINDOW_S = 5.0


class Pace:
    """For one watcher: its first look shows no rate yet."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int, int]] = deque()

    def progress(self, run: RunRead) -> Progress:
        """Calls are answers that were asked for; what was known before costs none, but brings the end nearer."""
        cells, now = run.cells, monotonic()
        called = cells.answered + cells.failed + cells.errored
        self._looks.append((now, called, cells.ended))
        while len(self._looks) > 2 and self._looks[1][0] < now - WINDOW_S:
            self._looks.popleft()
        then, called_then, ended_then = self._looks[0]
        passed = max(now - then, 0.1)
        rate, ending = (called - called_then) / passed, (cells.ended - ended_then) / passed
        left = cells.planned - cells.ended
        at_rest = run.status in RESTING
        return Progress(
            status=run.status,
            done=cells.ended,
            total=cells.planned,
            variants=[VariantProgress(v.id, v.cells.ended, v.cells.planned) for v in run.variants],
            calls_per_s=0.0 if at_rest else round(rate, 1),
            errors=run.errors,
            cost_usd=run.cost_usd,
            eta_s=0.0 if at_rest else round(left / ending, 1) if ending > 0 else None,
        )
