"""Discounted gain of a graded ranking."""

import math
from typing import Literal

from evaluators.retrieval.ranking import CutRankingScorer

# Above this 2**grade has no exact successor; no scale of relevance goes there.
_EXPONENT_LIMIT = 50.0


class NDCGAtK(CutRankingScorer, frozen=True):
    """Discounted cumulative gain of the first `k` retrieved, divided by that of the best ranking possible.

    DCG = Σ gain(grade_i) / log2(i + 1) over the places i = 1…k. `gain: linear` takes the grade itself (Järvelin and
    Kekäläinen 2002, as in trec_eval and scikit-learn), `gain: exponential` 2^grade − 1 (Burges et al. 2005, as in Azure AI
    Evaluation and many learning-to-rank tools); with grades of 0 and 1 they are the same. The best ranking has the
    case's grades in descending order, retrieved or not. Ids in a list have grade 1. Nothing retrieved is 0; no relevant
    ids named: skipped. Ids that are retrieved twice count once. With `exponential`, grades count up to 50. Range [0, 1],
    higher is better. Source: `ndcg_cut_k` of trec_eval 9.0.
    """

    name = "ndcg_at_k"
    example = {"k": 10, "gain": "exponential"}

    gain: Literal["linear", "exponential"] = "linear"

    def value_of(self, gains: list[float], ideal: list[float]) -> float:
        return min(self._discounted(gains) / self._discounted(sorted(ideal, reverse=True)), 1.0)

    def _discounted(self, grades: list[float]) -> float:
        grades = grades[: self.k]
        if self.gain == "exponential":
            grades = [math.expm1(min(grade, _EXPONENT_LIMIT) * math.log(2)) for grade in grades]
        return sum(grade / math.log2(place + 1) for place, grade in enumerate(grades, 1))
