"""Jaro-Winkler similarity."""

from rapidfuzz.distance import JaroWinkler as _JaroWinkler

from evaluators.contract import ScorerConfigError
from evaluators.reference.pairs import TextPairScorer

_HIGHEST_WEIGHT = 0.25  # more would give values above 1: up to four characters of the prefix count


class JaroWinkler(TextPairScorer, frozen=True):
    """Jaro similarity j, raised by a common prefix of l <= 4 characters: j + l * prefix_weight * (1 - j), where j > 0.7.

    Jaro counts characters that both texts have within half the longer one's length of each other, and of these the ones
    out of order. For names and other short texts. Range [0, 1], higher is better; two empty texts are equal (1), one
    empty text gives 0. Several references: the best counts.
    Source: rapidfuzz 3, `JaroWinkler.normalized_similarity`; Winkler 1990.
    """

    name = "jaro_winkler"

    prefix_weight: float = 0.1

    def check(self) -> None:
        super().check()
        if not 0 <= self.prefix_weight <= _HIGHEST_WEIGHT:
            raise ScorerConfigError(f"prefix_weight must be from 0 to {_HIGHEST_WEIGHT}", "/args/prefix_weight")

    def compare(self, output: str, reference: str) -> float:
        return _JaroWinkler.normalized_similarity(output, reference, prefix_weight=self.prefix_weight)
