"""The best of several fuzzy ratios, weighted."""

from rapidfuzz import fuzz

from evaluators.reference.pairs import TextPairScorer


class FuzzWratio(TextPairScorer, frozen=True):
    """The best of `fuzz_ratio`, `fuzz_partial_ratio` and the token ratios, each times a weight for how lenient it is.

    Range [0, 1], higher is better; an empty text is similar to nothing (0). Several references: the best counts.
    Source: rapidfuzz 3, `fuzz.WRatio` / 100, without its optional preprocessing.
    """

    name = "fuzz_wratio"

    def compare(self, output: str, reference: str) -> float:
        return fuzz.WRatio(output, reference) / 100

    def work(self, output: str, reference: str) -> float:
        """Where one text is at least half as long again as the other, its windows are compared as `fuzz_partial_ratio` does."""
        short, long = sorted((len(output), len(reference)))
        return float(short) * short * long * 4 if 2 * long >= 3 * short else float(short) * long
