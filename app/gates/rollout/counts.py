"""Tallies as the rules read them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.feedback.schemas import ERRORS, LATENCY, RESPONSES, UNITS, Tally
from app.stats.sequential import Phase, Votes

SCALES = {"thumbs": (0.0, 1.0), "stars": (0.0, 1.0), "score": (0.0, 1.0)}
"""How tallies keep the signals whose scale is known: stars are shares of theirs already."""
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

    def levels(self, signal: str, scale: tuple[float, float]) -> list[Level]:
        """The histogram of a signal's votes on [0, 1]."""
        low, width = scale[0], scale[1] - scale[0]
        return [
            Level(t.phase, t.arm == "candidate", (t.total / t.n - low) / width, t.n) for t in self._by_signal[signal]
        ]

    def votes(self, signal: str, scale: tuple[float, float] = (0.0, 1.0)) -> dict[int, Phase]:
        """By phase: both arms' votes on [0, 1]."""
        low, width = scale[0], scale[1] - scale[0]
        found: defaultdict[int, list[Votes]] = defaultdict(lambda: [NO_VOTES, NO_VOTES])
        for t in self._by_signal[signal]:
            i = 0 if t.arm == "candidate" else 1
            n, total, squares = found[t.phase][i]
            found[t.phase][i] = Votes(
                n + t.n,
                total + (t.total - t.n * low) / width,
                squares + (t.squares - 2 * low * t.total + t.n * low * low) / (width * width),
            )
        return {phase: (arms[0], arms[1]) for phase, arms in sorted(found.items())}

    def fits(self, signal: str, scale: tuple[float, float]) -> bool:
        """Whether all votes lie on the scale: then no square sum can exceed its sum."""
        for candidate, baseline in self.votes(signal, scale).values():
            for votes in (candidate, baseline):
                if votes.total < -1e-9 or votes.squares > votes.total + 1e-6 * max(1.0, votes.n):
                    return False
        return True

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
