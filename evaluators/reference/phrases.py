"""The shared form of scorers that look for given texts, or for the reference, in the output."""

from collections.abc import Callable, Sequence

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.text import clip, texts


class PhraseScorer(Scorer, frozen=True):
    """Looks for `values`, or without them for the sample's reference texts, in the output."""

    needs = frozenset({"reference"})
    binary = True

    values: str | list[str] | None = None
    ignore_case: bool = False

    def check(self) -> None:
        super().check()
        if self.values == []:
            raise ScorerConfigError("give at least one value, or leave `values` out", "/args/values")
        for index, value in enumerate(self._given):
            if not value:
                pointer = "/args/values" if isinstance(self.values, str) else f"/args/values/{index}"
                raise ScorerConfigError("every output has the empty text, so this cannot fail", pointer)

    @property
    def reads(self) -> frozenset[str]:
        return frozenset() if self.values is not None else self.needs

    @property
    def _given(self) -> list[str]:
        return [self.values] if isinstance(self.values, str) else self.values or []

    def lacking(self, sample: Sample) -> str | None:
        reason = super().lacking(sample)
        if reason is None and self.values is None and not any(texts(sample.references)):
            return f"{self.name} needs a text to look for, and the reference is empty or an object"
        return reason

    def found(self, output: str, phrase: str) -> bool:
        """Whether the output has the phrase in the way that the scorer asks for. Written by each scorer."""
        raise NotImplementedError

    def combine(self) -> Callable[[Sequence[bool]], bool]:
        return any

    def measure(self, sample: Sample) -> Score:
        return self.measure_batch([sample])[0]

    def measure_batch(self, samples: Sequence[Sample]) -> list[Score]:
        passed = self.scored(1.0, "found")
        given = [each.casefold() for each in self._given] if self.ignore_case else self._given
        return [passed if self._holds(sample, given) else self._missed(sample) for sample in samples]

    def _holds(self, sample: Sample, given: list[str]) -> bool:
        output = sample.output.casefold() if self.ignore_case else sample.output
        if not given:
            phrases = [each for each in texts(sample.references) if each]
            given = [each.casefold() for each in phrases] if self.ignore_case else phrases
        return self.combine()([self.found(output, phrase) for phrase in given])

    def _missed(self, sample: Sample) -> Score:
        phrases = self._given or [each for each in texts(sample.references) if each]
        output = sample.output.casefold() if self.ignore_case else sample.output
        missing = [each for each in phrases if not self.found(output, each.casefold() if self.ignore_case else each)]
        return self.scored(0.0, f"not found: {', '.join(clip(each) for each in missing[:5])}")
