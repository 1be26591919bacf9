"""Shared pairs of neighbouring words."""

from evaluators.reference.rouge import Counts, RougeScorer, ngram_counts


class Rouge2(RougeScorer, frozen=True):
    """Pairs of neighbouring words that output and reference share, counted with repeats: F, precision or recall (`part`).

    Words are runs of a-z and 0-9 in the text in lower case; everything else separates. With c shared pairs,
    precision = c / pairs of the output, recall = c / pairs of the reference, F = 2PR / (P + R). Range [0, 1], higher is
    better; an output or a reference of fewer than two words gives 0. Several references: the one with the best F counts.
    `stemmer` compares Porter stems and needs the extra `nlp`.
    Source: rouge_score 0.1.2, `rouge2`; Lin 2004, aclanthology.org/W04-1013.
    """

    name = "rouge_2"

    def counts(self, output: str, reference: str) -> Counts:
        return ngram_counts(2, self.tokens(output), self.tokens(reference))
