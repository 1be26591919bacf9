"""Precision of the first places."""

from evaluators.retrieval.ranking import CutRankingScorer


class PrecisionAtK(CutRankingScorer, frozen=True):
    """Relevant chunks among the first `k` retrieved, divided by `k`.

    The divisor is `k` also where fewer were retrieved: what is missing is not relevant. Nothing retrieved is 0; no
    relevant ids named: skipped. Ids that are retrieved twice count once. Range [0, 1], higher is better; below 1 for a
    perfect ranking when fewer than `k` are relevant. Source: `P_k` of trec_eval 9.0.
    """

    name = "precision_at_k"
    example = {"k": 5}

    def value_of(self, gains: list[float], ideal: list[float]) -> float:
        return sum(gain > 0 for gain in gains[: self.k]) / self.k
