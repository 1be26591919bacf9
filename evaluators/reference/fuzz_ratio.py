"""Similarity by insertions and deletions."""

from rapidfuzz import fuzz

from evaluators.reference.pairs import TextPairScorer


class FuzzRatio(TextPairScorer, frozen=True):
    """Similarity 1 - d / (sum of lengths), d the least number of insertions and deletions.

    Range [0, 1], higher is better. Several references: the best counts.
    Source: rapidfuzz, `fuzz.ratio` / 100, without its optional preprocessing.
    """

    name = "fuzz_ratio"

    def compare(self, output: str, reference: str) -> float:
        return fuzz.ratio(output, reference) / 100
