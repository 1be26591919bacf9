"""How soon the answer began."""

from typing import cast

from evaluators.contract import Sample, Score, Scorer


class TimeToFirstToken(Scorer, frozen=True):
    """Milliseconds from request to the first token, as measured when the answer was streamed (a kept answer keeps it).

    A raw measure: unbounded, lower is better. With `threshold`, passed means at most that many milliseconds. An answer
    that was not streamed has no such time and is skipped; an empty output is measured like any other.
    """

    name = "time_to_first_token"
    needs = frozenset({"time_to_first_token"})
    direction = "minimize"
    high = None
    unit = "ms"

    def measure(self, sample: Sample) -> Score:
        return self.scored(cast("float", sample.ttft_ms))
