"""The shared form of scorers that compare the output with reference texts, one pair at a time."""

from collections.abc import Sequence

from evaluators.contract import Sample, Score, Scorer
from evaluators.text import texts

# Character pairs that a quadratic comparison may look at; about two seconds of work.
QUADRATIC_LIMIT = 1e11

# Below this product of lengths no comparison is too much work: even a cubic one stays below the limit.
_SMALL = 1e6


class TextPairScorer(Scorer, frozen=True):
    """Compares the output with each reference text; the best counts. Numbers are compared as they are written."""

    needs = frozenset({"reference"})

    ignore_case: bool = False

    def compare(self, output: str, reference: str) -> float:
        """The value of one pair. Written by each scorer."""
        raise NotImplementedError

    def work(self, output: str, reference: str) -> float:
        """How much one comparison costs, in character pairs; 0 for scorers whose time is linear."""
        return float(len(output)) * len(reference)

    def lacking(self, sample: Sample) -> str | None:
        if isinstance(sample.reference, str):
            return None
        reason = super().lacking(sample)
        if reason is None and not texts(sample.references):
            return f"{self.name} compares text, and the reference is an object"
        return reason

    def measure(self, sample: Sample) -> Score:
        output = sample.output
        reference = sample.reference
        alternatives = [reference] if isinstance(reference, str) else texts(sample.references)
        if self.ignore_case:
            output, alternatives = output.casefold(), [each.casefold() for each in alternatives]
        if any(self.work(output, each) > QUADRATIC_LIMIT for each in alternatives):
            sizes = f"{len(output):,} and {max(map(len, alternatives)):,} characters"
            return Score.error(f"{self.name} would take too long on texts of {sizes}")
        if len(alternatives) == 1:
            return self.scored(self.compare(output, alternatives[0]))
        values = [self.compare(output, each) for each in alternatives]
        best = self.best(values)
        return self.scored(
            values[best],
            f"the best of {len(values)} references is number {best + 1}",
            evidence={"reference": best, "values": values},
        )

    def measure_batch(self, samples: Sequence[Sample]) -> list[Score]:
        compare, scored, measure = self.compare, self.scored, self.measure
        if self.ignore_case:
            return [measure(sample) for sample in samples]
        return [
            scored(compare(sample.output, sample.reference))
            if isinstance(sample.reference, str) and len(sample.output) * len(sample.reference) < _SMALL
            else measure(sample)
            for sample in samples
        ]

    def best(self, values: list[float]) -> int:
        """The index of the reference that counts: the first of the highest values, or of the lowest where less is better."""
        choose = max if self._range.direction == "maximize" else min
        return choose(range(len(values)), key=values.__getitem__)
