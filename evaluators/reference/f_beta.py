"""F-beta over labels."""

import math

from evaluators.contract import ScorerConfigError
from evaluators.reference.labels import LabelScorer


class FBeta(LabelScorer, frozen=True):
    """Weighted harmonic mean of precision and recall over labels; `beta` is how much more recall weighs.

    (1 + b²)c / (b² |reference| + |output|), c labels in both, as sets. The reference is the set of expected labels: a
    list, or a text like the output. The output is a JSON array, or labels between commas, line ends or `separator`; JSON
    of another form is unparsable (0). Without labels on either side `zero_division` (0), on one side 0. Range [0, 1],
    higher is better. One value per sample; macro and micro means are a run's measures.
    Source: scikit-learn 1.9, `fbeta_score(average="samples")`.
    """

    name = "f_beta"
    example = {"beta": 2.0}

    beta: float = 1.0

    def check(self) -> None:
        super().check()
        if not 0 < self.beta < math.inf:
            raise ScorerConfigError(
                "beta must be a number above 0; precision and recall are scorers of their own", "/args/beta"
            )

    def rate(self, common: int, found: int, expected: int) -> tuple[float, float]:
        weight = self.beta**2
        return (1 + weight) * common, weight * expected + found
