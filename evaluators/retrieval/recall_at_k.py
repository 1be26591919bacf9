"""Recall of the first places."""

from evaluators.retrieval.ranking import CutRankingScorer


class RecallAtK(CutRankingScorer, frozen=True):
    """Relevant chunks among the first `k` retrieved, divided by all that the case names as relevant.

    Nothing retrieved is 0; no relevant ids named: skipped. Ids that are retrieved twice count once. Range [0, 1], higher
    is better; below 1 for a perfect ranking when more than `k` are relevant. Source: `recall_k` of trec_eval 9.0.
    """

    name = "recall_at_k"
    example = {"k": 10}

    def value_of(self, gains: list[float], ideal: list[float]) -> float:
        return sum(gain > 0 for gain in gains[: self.k]) / len(ideal)
