"""Similarity regardless of word order."""

from rapidfuzz import fuzz

from evaluators.reference.pairs import TextPairScorer


class FuzzTokenSortRatio(TextPairScorer, frozen=True):
    """`fuzz_ratio` of the two texts after sorting their words: word order does not matter.

    Range [0, 1], higher is better. Several references: the best counts.
    Source: rapidfuzz, `fuzz.token_sort_ratio` / 100, without its optional preprocessing.
    """

    name = "fuzz_token_sort_ratio"

    def compare(self, output: str, reference: str) -> float:
        return fuzz.token_sort_ratio(output, reference) / 100
