"""Recall over labels."""

from evaluators.reference.labels import LabelScorer


class Recall(LabelScorer, frozen=True):
    """Share of the expected labels that the output has: |output and reference| / |reference|, as sets.

    The reference is the set of expected labels: a list, or a text like the output. The output is a JSON array, or labels
    between commas, line ends or `separator`; JSON of another form is unparsable (0). An empty list of expected labels
    gives `zero_division` (0). Range [0, 1], higher is better. One value per sample; macro and micro means are a run's
    measures. Source: scikit-learn 1.9, `recall_score(average="samples")`.
    """

    name = "recall"
    example = {"separator": ";"}

    def rate(self, common: int, found: int, expected: int) -> tuple[float, float]:
        return common, expected
