"""Whether anything relevant was found."""

from evaluators.retrieval.ranking import CutRankingScorer


class HitAtK(CutRankingScorer, frozen=True):
    """1 when a relevant chunk is among the first `k` retrieved, else 0.

    A list shorter than `k` is looked at as it is; nothing retrieved is 0; no relevant ids named: skipped. Ids that are
    retrieved twice count once. Range {0, 1}, higher is better. Source: `success_k` of trec_eval 9.0.
    """

    name = "hit_at_k"
    binary = True
    example = {"k": 5}

    def value_of(self, gains: list[float], ideal: list[float]) -> float:
        return float(any(gains[: self.k]))
