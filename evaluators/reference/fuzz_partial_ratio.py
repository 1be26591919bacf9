"""Similarity of the best matching part."""

from rapidfuzz import fuzz

from evaluators.reference.pairs import TextPairScorer


class FuzzPartialRatio(TextPairScorer, frozen=True):
    """The best `fuzz_ratio` between the shorter text and any part of that length of the longer one.

    Range [0, 1], higher is better. Several references: the best counts.
    Source: rapidfuzz, `fuzz.partial_ratio` / 100, without its optional preprocessing.
    """

    name = "fuzz_partial_ratio"

    def compare(self, output: str, reference: str) -> float:
        return fuzz.partial_ratio(output, reference) / 100

    def work(self, output: str, reference: str) -> float:
        """Every window of the longer text is compared; measured up to 10,000 characters."""
        short, long = sorted((len(output), len(reference)))
        return float(short) * short * long * 4
