"""The shared form of scorers that compare a set of labels with the expected set."""

from typing import Any, Literal

from evaluators import jsondata
from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.text import clip, texts

_SHOWN = 5


class LabelScorer(Scorer, frozen=True):
    """Compares the labels in the output with those of the reference, as sets.

    A list is one set, not alternatives. A text is a JSON array, or labels between `separator` (without one: between commas
    and line ends); white space around a label, empty labels and repeats do not count.
    """

    needs = frozenset({"reference"})

    separator: str | None = None
    ignore_case: bool = False
    zero_division: Literal[0, 1] = 0

    def check(self) -> None:
        super().check()
        if self.separator == "":
            raise ScorerConfigError("give the text that stands between two labels, or leave it out", "/args/separator")

    def rate(self, common: int, found: int, expected: int) -> tuple[float, float]:
        """Numerator and denominator, from the sizes of intersection, output and reference. Written by each scorer."""
        raise NotImplementedError

    def lacking(self, sample: Sample) -> str | None:
        reference = sample.reference
        if reference is None:
            return super().lacking(sample)
        if isinstance(reference, list) and all(isinstance(each, str | int | float) for each in reference):
            return None  # an empty list expects no label
        if isinstance(reference, str | int | float):
            return None
        return f"{self.name} needs labels, a list of texts, and the reference is {clip(str(reference))}"

    def measure(self, sample: Sample) -> Score:
        try:
            found = self._labels(sample.output)
        except jsondata.NotJSONError as exc:
            return Score.unparsable(f"{exc}; found {clip(sample.output)}")
        if found is None:
            return Score.unparsable(f"the output is JSON, but no list of labels: {clip(sample.output)}")
        expected = self._expected(sample.reference)
        common = found & expected
        numerator, denominator = self.rate(len(common), len(found), len(expected))
        value = numerator / denominator if denominator else float(self.zero_division)
        said = [f"{len(common)} of {len(expected)} expected labels among {len(found)} given"]
        for name, labels in (("missing", expected - found), ("not expected", found - expected)):
            if labels:
                said.append(f"{name}: {', '.join(map(clip, sorted(labels)[:_SHOWN]))}")
        return self.scored(min(value, 1.0), "; ".join(said))

    def _expected(self, reference: Any) -> frozenset[str]:
        if isinstance(reference, str):
            try:
                labels = self._labels(reference)
            except jsondata.NotJSONError:
                labels = None
            return self._clean([reference]) if labels is None else labels
        return self._clean(texts(reference if isinstance(reference, list) else [reference]))

    def _labels(self, text: str) -> frozenset[str] | None:
        """The labels of a text; None for JSON that is no list of them. Raises NotJSONError where a bracket begins none."""
        if text.lstrip().startswith(("[", "{")):
            value = jsondata.parse(text)
            if not isinstance(value, list) or any(isinstance(each, dict | list) or each is None for each in value):
                return None
            return self._clean(texts(value))
        if self.separator is not None:
            return self._clean(text.split(self.separator))
        return self._clean(text.replace("\r", "\n").replace("\n", ",").split(","))

    def _clean(self, labels: list[str]) -> frozenset[str]:
        cleaned = (each.strip() for each in labels)
        return frozenset((each.casefold() if self.ignore_case else each) for each in cleaned if each)
