"""Reciprocal rank."""

from evaluators.retrieval.ranking import RankingScorer


class MRR(RankingScorer, frozen=True):
    """1 divided by the place of the first relevant chunk; its mean over a run is MRR.

    0 when none was retrieved; no relevant ids named: skipped. Ids that are retrieved twice count once, at their first
    place. Range [0, 1], higher is better. Source: `recip_rank` of trec_eval 9.0 (Voorhees, TREC-8 QA track, 1999).
    """

    name = "mrr"

    def value_of(self, gains: list[float], ideal: list[float]) -> float:
        return next((1 / rank for rank, gain in enumerate(gains, 1) if gain), 0.0)
