"""Whether the output starts with a text."""

from evaluators.reference.phrases import PhraseScorer


class StartsWith(PhraseScorer, frozen=True):
    """1 when the output starts with one of the values, else 0.

    The values are `values`, or without them the sample's references. Range {0, 1}, higher is better.

    Source: promptfoo's `starts-with`.
    """

    name = "starts_with"

    def found(self, output: str, phrase: str) -> bool:
        return output.startswith(phrase)
