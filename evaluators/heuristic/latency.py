"""How long the answer took."""

from typing import cast

from evaluators.contract import Sample, Score, Scorer


class Latency(Scorer, frozen=True):
    """Milliseconds from request to complete answer, as measured when the answer was made (a kept answer keeps it).

    A raw measure: unbounded, lower is better. With `threshold`, passed means at most that many milliseconds.
    """

    name = "latency"
    needs = frozenset({"latency"})
    direction = "minimize"
    high = None
    unit = "ms"

    def measure(self, sample: Sample) -> Score:
        return self.scored(cast("float", sample.latency_ms))
