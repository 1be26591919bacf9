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
        if self.values is not None:
            return None
        if isinstance(sample.reference, str) and sample.reference:
            return None
        reason = super().lacking(sample)
        if reason is None and not any(texts(sample.references)):
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
        passed, found, combine = self.scored(1.0, "found"), self.found, self.combine()
        given = self._given
        folded = [each.casefold() for each in given] if self.ignore_case else given
        scores = []
        for sample in samples:
            output, phrases, wanted = sample.output, given, folded
            if self.ignore_case:
                output = output.casefold()
            if not given:
                reference = sample.reference
                phrases = (
                    [reference] if isinstance(reference, str) else [each for each in texts(sample.references) if each]
                )
                wanted = [each.casefold() for each in phrases] if self.ignore_case else phrases
            hits = [found(output, phrase) for phrase in wanted]
            scores.append(passed if combine(hits) else self._missed(phrases, hits))
        return scores

    def _missed(self, phrases: list[str], hits: list[bool]) -> Score:
        missing = [clip(phrase) for phrase, hit in zip(phrases, hits, strict=True) if not hit]
        return self.scored(0.0, f"not found: {', '.join(missing[:5])}")
