"""Shared form of scorers that report a fault: 1 means that it is there."""

from evaluators.contract import Scorer


class FaultScorer(Scorer, frozen=True):
    """Lower is better: passed means 0, unless a threshold says how much is borne."""

    direction = "minimize"

    def verdict(self, value: float) -> bool | None:
        return value == 0 if self.threshold is None else super().verdict(value)
