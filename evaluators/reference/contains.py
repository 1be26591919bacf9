"""Whether the output contains a text."""

from collections.abc import Callable, Sequence
from typing import Literal

from evaluators.reference.phrases import PhraseScorer


class Contains(PhraseScorer, frozen=True):
    """1 when the output contains one (`mode: any`) or each (`mode: all`) of the values, else 0.

    The values are `values`, or without them the sample's references. Range {0, 1}, higher is better.

    Source: Python's `in`, as promptfoo's `contains` and `contains-any`.
    """

    name = "contains"
    example = {"values": ["refund", "30 days"], "mode": "all", "ignore_case": True}

    mode: Literal["any", "all"] = "any"

    def found(self, output: str, phrase: str) -> bool:
        return phrase in output

    def combine(self) -> Callable[[Sequence[bool]], bool]:
        return all if self.mode == "all" else any
