"""Similarity of the sets of words."""

from rapidfuzz import fuzz

from evaluators.reference.pairs import TextPairScorer


class FuzzTokenSetRatio(TextPairScorer, frozen=True):
    """The best `fuzz_ratio` among the common words and what each text has beside them: repeats and order do not matter.

    Range [0, 1], higher is better. Several references: the best counts.
    Source: rapidfuzz, `fuzz.token_set_ratio` / 100, without its optional preprocessing.
    """

    name = "fuzz_token_set_ratio"

    def compare(self, output: str, reference: str) -> float:
        return fuzz.token_set_ratio(output, reference) / 100
