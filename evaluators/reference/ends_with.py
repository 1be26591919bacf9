"""Whether the output ends with a text."""

from evaluators.reference.phrases import PhraseScorer


class EndsWith(PhraseScorer, frozen=True):
    """1 when the output ends with one of the values, else 0.

    The values are `values`, or without them the sample's references. Range {0, 1}, higher is better.

    Source: Python's `str.endswith`.
    """

    name = "ends_with"
    example = {"values": [".", "!", "?"]}

    def found(self, output: str, phrase: str) -> bool:
        return output.endswith(phrase)
