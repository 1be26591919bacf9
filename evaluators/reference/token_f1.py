"""SQuAD's token F1."""

from collections import Counter

from evaluators.reference.pairs import TextPairScorer
from evaluators.text import squad_normalize


class TokenF1(TextPairScorer, frozen=True):
    """Harmonic mean of precision and recall over the words that output and reference share, counted with repeats.

    Both are normalised first: lower case, no ASCII punctuation, no articles (a, an, the). Range [0, 1], higher is
    better; when nothing is left of either, 1 if nothing is left of both, else 0. Several references: the best counts.
    Source: SQuAD's official evaluation script (Rajpurkar et al. 2016, arXiv 1606.05250; the empty case as in 2.0).
    """

    name = "token_f1"

    def compare(self, output: str, reference: str) -> float:
        found, expected = squad_normalize(output).split(), squad_normalize(reference).split()
        if not found or not expected:
            return float(found == expected)
        common = (Counter(found) & Counter(expected)).total()
        return 2 * common / (len(found) + len(expected))

    def work(self, output: str, reference: str) -> float:
        return 0
