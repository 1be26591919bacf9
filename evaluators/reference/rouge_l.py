"""The longest common subsequence of words."""

from evaluators.reference.rouge import Counts, RougeScorer, lcs_length


class RougeL(RougeScorer, frozen=True):
    """The longest sequence of words that both texts have in this order, gaps allowed: F, precision or recall (`part`).

    Words are runs of a-z and 0-9 in the text in lower case; everything else separates. With l words in the sequence,
    precision = l / words of the output, recall = l / words of the reference, F = 2PR / (P + R). Range [0, 1], higher is
    better; an output or a reference without words gives 0. Several references: the one with the best F counts.
    `stemmer` compares Porter stems and needs the extra `nlp`.
    Source: rouge_score 0.1.2, `rougeL`; Lin 2004, aclanthology.org/W04-1013. The length is found by rapidfuzz.
    """

    name = "rouge_l"

    def counts(self, output: str, reference: str) -> Counts:
        found, expected = self.tokens(output), self.tokens(reference)
        return Counts(lcs_length(expected, found), len(found), len(expected))
