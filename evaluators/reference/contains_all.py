"""Whether the output contains all of several texts."""

from collections.abc import Callable, Sequence

from evaluators.reference.phrases import PhraseScorer


class ContainsAll(PhraseScorer, frozen=True):
    """1 when the output contains each of the values, else 0.

    The values are `values`, or without them the sample's references. An empty output contains none of them. Range {0, 1},
    higher is better. `contains` is satisfied with one of them.

    Source: promptfoo's `contains-all`.
    """

    name = "contains_all"
    example = {"values": ["refund", "30 days"], "ignore_case": True}

    def found(self, output: str, phrase: str) -> bool:
        return phrase in output

    def combine(self) -> Callable[[Sequence[bool]], bool]:
        return all
