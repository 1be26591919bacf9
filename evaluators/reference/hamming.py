"""Hamming similarity."""

from rapidfuzz.distance import Hamming as _Hamming

from evaluators.reference.pairs import TextPairScorer


class Hamming(TextPairScorer, frozen=True):
    """Share of positions at which output and reference have the same character; the longer one's rest differs.

    1 - d / length of the longer text. For codes of a fixed form. Range [0, 1], higher is better; two empty texts are
    equal (1). Several references: the best counts.
    Source: rapidfuzz 3, `Hamming.normalized_similarity` with padding.
    """

    name = "hamming"

    def compare(self, output: str, reference: str) -> float:
        return _Hamming.normalized_similarity(output, reference)

    def work(self, output: str, reference: str) -> float:
        return 0
