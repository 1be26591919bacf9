"""Average precision."""

from evaluators.contract import ScorerConfigError
from evaluators.retrieval.ranking import RankingScorer


class AveragePrecision(RankingScorer, frozen=True):
    """Sum of the precision at the place of each relevant chunk retrieved, divided by the number of relevant ids.

    AP = 1/R · Σ (relevant up to place i)/i over the places i with a relevant chunk, the first `k` only if `k` is given; R
    is all that the case names, so that what was not found counts 0. Its mean over a run is MAP. Nothing retrieved is 0; no
    relevant ids named: skipped. Ids that are retrieved twice count once. Range [0, 1], higher is better.
    Source: `map` and `map_cut_k` of trec_eval 9.0; equal to scikit-learn's `average_precision_score` where all relevant
    ids were retrieved and no scores tie.
    """

    name = "average_precision"

    k: int | None = None

    def check(self) -> None:
        super().check()
        if self.k is not None and self.k < 1:
            raise ScorerConfigError(f"k must be at least 1, not {self.k}", "/args/k")

    def value_of(self, gains: list[float], ideal: list[float]) -> float:
        places = [place for place, gain in enumerate(gains[: self.k], 1) if gain]
        return sum(number / place for number, place in enumerate(places, 1)) / len(ideal)
