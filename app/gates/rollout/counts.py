"""Tallies as the rules read them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.feedback.schemas import ERRORS, LATENCY, RESPONSES, UNITS, Scale, Tally
from app.stats.sequential import Phase, Votes

LATENCY_STEP = 1.02
NO_VOTES = Votes(0, 0.0, 0.0)


class Level(NamedTuple):
    """Votes of about one value, in one arm of one phase; `value` is their mean."""

    phase: int
    candidate: bool
    value: float
    n: int


class Counts:
    """Everything that was counted of one rollout."""

    def __init__(self, tallies: Iterable[Tally]) -> None:
        self._by_signal: defaultdict[str, list[Tally]] = defaultdict(list)
        for tally in tallies:
            if tally.n > 0:
                self._by_signal[tally.signal].append(tally)

    def levels(self, signal: str) -> list[Level]:
        """The histogram of a signal's votes on [0, 1]."""
        return [Level(t.phase, t.arm == "candidate", t.total / t.n, t.n) for t in self._by_signal[signal]]

    def votes(self, signal: str) -> dict[int, Phase]:
        """By phase: both arms' votes on [0, 1]."""
        found: defaultdict[int, list[Votes]] = defaultdict(lambda: [NO_VOTES, NO_VOTES])
        for t in self._by_signal[signal]:
            i = 0 if t.arm == "candidate" else 1
            n, total, squares = found[t.phase][i]
            found[t.phase][i] = Votes(n + t.n, total + t.total, squares + t.squares)
        return {phase: (arms[0], arms[1]) for phase, arms in sorted(found.items())}

    def outside(self, scale: Scale) -> int:
        """How many votes of a named number lie outside the range that a rule gives it, in both arms."""
        return sum(t.n for t in self._by_signal[scale.outside])

    def answers(self, *, candidate: bool) -> tuple[int, int]:
        """How many answers an arm gave, and how many of them failed."""
        arm = "candidate" if candidate else "baseline"
        return tuple(sum(t.n for t in self._by_signal[s] if t.arm == arm) for s in (RESPONSES, ERRORS))  # type: ignore[return-value]

    def log_latencies(self) -> dict[int, Phase]:
        """By phase: natural logs of milliseconds."""
        return self.votes(LATENCY)

    def slower(self, limit_ms: float) -> tuple[int, int, int]:
        """The candidate's answers: surely above a limit, possibly above it, and all."""
        surely = possibly = n = 0
        for t in self._by_signal[LATENCY]:
            if t.arm != "candidate":
                continue
            n += t.n
            surely += t.n if LATENCY_STEP**t.bucket > limit_ms else 0
            possibly += t.n if LATENCY_STEP ** (t.bucket + 1) > limit_ms else 0
        return surely, possibly, n

    def units(self, shares: Mapping[int, float]) -> list[tuple[float, float, float]]:
        """Per phase: candidate's units, baseline's units, and the share that the candidate should have."""
        return [(c.n, b.n, shares[phase]) for phase, (c, b) in self.votes(UNITS).items() if phase in shares]

    def unit_counts(self) -> dict[int, tuple[float, float]]:
        return {phase: (c.n, b.n) for phase, (c, b) in self.votes(UNITS).items()}
