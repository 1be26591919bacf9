"""Equality with the reference."""

from collections.abc import Sequence
from typing import Any, Literal

from evaluators import jsondata
from evaluators.contract import Sample, Score, Scorer
from evaluators.text import clip, squad_normalize, texts


class ExactMatch(Scorer, frozen=True):
    """1 when the output equals the reference, else 0.

    Texts are compared as they are, or after SQuAD's normalisation (`normalize: squad`: lower case, no ASCII
    punctuation, no articles, single spaces); numbers as they are written in JSON. A reference that is an object or an
    array is compared with the output parsed as JSON: key order does not matter, 1 equals 1.0; an output that is not
    JSON is unparsable (0). Several references: the best counts. Range {0, 1}, higher is better.
    Source of the normalisation: SQuAD's official evaluation script (arXiv 1606.05250).
    """

    name = "exact_match"
    needs = frozenset({"reference"})
    binary = True
    example = {"normalize": "squad"}

    normalize: Literal["none", "squad"] = "none"
    ignore_case: bool = False

    def measure(self, sample: Sample) -> Score:
        alternatives = sample.references
        written, structured = texts(alternatives), [each for each in alternatives if isinstance(each, dict | list)]
        output = self._prepared(sample.output)
        if any(self._prepared(each) == output for each in written):
            return self._equal
        if structured:
            return self._structured(sample.output, structured, bool(written))
        return self._different

    def measure_batch(self, samples: Sequence[Sample]) -> list[Score]:
        if self.normalize != "none" or self.ignore_case:
            return super().measure_batch(samples)
        equal, different = self._equal, self._different
        return [
            (equal if sample.output == sample.reference else different)
            if isinstance(sample.reference, str)
            else self.measure(sample)
            for sample in samples
        ]

    def _structured(self, output: str, alternatives: list[Any], has_texts: bool) -> Score:
        try:
            found = jsondata.parse(output)
        except jsondata.NotJSONError as exc:
            return self._different if has_texts else Score.unparsable(f"{exc}; found {clip(output)}")
        return self._equal if any(jsondata.equal(found, each) for each in alternatives) else self._different

    def _prepared(self, text: str) -> str:
        if self.normalize == "squad":
            return squad_normalize(text)
        return text.casefold() if self.ignore_case else text

    @property
    def _equal(self) -> Score:
        return self.scored(1.0, "the output equals the reference")

    @property
    def _different(self) -> Score:
        return self.scored(0.0, "the output differs from every reference")
