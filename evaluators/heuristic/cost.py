"""What the answer cost."""

from typing import cast

from evaluators.contract import Sample, Score, Scorer


class Cost(Scorer, frozen=True):
    """US dollars that the answer cost when it was made, from the endpoint's usage and price.

    A raw measure: unbounded, lower is better. With `threshold`, passed means at most that many dollars.
    """

    name = "cost"
    needs = frozenset({"cost"})
    direction = "minimize"
    high = None
    unit = "usd"

    def measure(self, sample: Sample) -> Score:
        return self.scored(cast("float", sample.cost_usd))
