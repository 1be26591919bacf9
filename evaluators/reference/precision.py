"""Precision over labels."""

from evaluators.reference.labels import LabelScorer


class Precision(LabelScorer, frozen=True):
    """Share of the labels in the output that are expected: |output and reference| / |output|, as sets.

    The reference is the set of expected labels: a list, or a text like the output. The output is a JSON array, or labels
    between commas, line ends or `separator`; JSON of another form is unparsable (0). An output without labels gives
    `zero_division` (0). Range [0, 1], higher is better. One value per sample; macro and micro means are a run's measures.
    Source: scikit-learn 1.9, `precision_score(average="samples")`.
    """

    name = "precision"
    example = {"ignore_case": True}

    def rate(self, common: int, found: int, expected: int) -> tuple[float, float]:
        return common, found
