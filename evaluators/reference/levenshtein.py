"""Normalised Levenshtein similarity."""

from rapidfuzz.distance import Levenshtein as _Levenshtein

from evaluators.reference.pairs import TextPairScorer


class Levenshtein(TextPairScorer, frozen=True):
    """Edit similarity of output and reference: 1 - d / max(length), d the Levenshtein distance in code points.

    Range [0, 1], higher is better; two empty texts are equal (1). Several references: the best counts.
    Source: rapidfuzz, `Levenshtein.normalized_similarity`.
    """

    name = "levenshtein"

    def compare(self, output: str, reference: str) -> float:
        return _Levenshtein.normalized_similarity(output, reference)
