"""Sentence BLEU."""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from evaluators.contract import Sample, Score, ScorerConfigError
from evaluators.reference import ngram_batches, ngrams, promptfoo
from evaluators.reference.sacre import SacreScorer, Smooth, Tokenize, Words, bleu_metric

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

_AT_ONCE = 128
_LONGEST = 1_500_000  # characters of all texts, measured to be about two seconds


class Bleu(SacreScorer, frozen=True):
    """BLEU of one text: how many of the output's word sequences the references have.

    Geometric mean of the clipped precisions of 1- to `max_ngram_order`-grams, times exp(1 - r / c) where the output (c
    tokens) is shorter than the reference nearest in length (r). `smooth_method` says what a precision of 0 becomes
    (`smooth_value` for `floor` and `add-k`); `effective_order` leaves out orders that the output is too short for.
    Range [0, 1], higher is better; no common token, so an empty output or reference, gives 0. All references are
    given to sacrebleu at once: each n-gram may come from another of them.

    `profile: promptfoo` gives promptfoo's number instead: lower case, words between white space, orders 1 to 4 that the
    output is long enough for, 1e-7 for a precision of 0, matches of the one reference that has most of them.
    Source: sacrebleu 2.6.0, `BLEU.sentence_score` / 100; Papineni et al. 2002, aclanthology.org/P02-1040;
    promptfoo 0.123.1, `src/assertions/bleu.ts`.
    """

    name = "bleu"
    example = {"lowercase": True}

    tokenize: Tokenize = "13a"
    lowercase: bool = False
    smooth_method: Smooth = "exp"
    smooth_value: float | None = None
    max_ngram_order: int = 4
    effective_order: bool = True
    profile: Literal["reference", "promptfoo"] = "reference"

    def check(self) -> None:
        super().check()
        check_bleu(self.smooth_method, self.smooth_value, self.max_ngram_order)
        if self.profile == "promptfoo":
            promptfoo.refuse_others(self, ("profile",))

    def measure_batch(self, samples: Sequence[Sample]) -> list[Score]:
        if self.profile == "promptfoo":
            return [self.judged(sample, promptfoo.bleu) for sample in samples]
        split = Words().tokens if self.tokenize == "13a" else self._split
        scores: list[Score] = []
        for start in range(0, len(samples), _AT_ONCE):
            scores += self._several(samples[start : start + _AT_ONCE], split)
        return scores

    def _several(self, samples: Sequence[Sample], split: Callable[[str], list[str]]) -> list[Score]:
        refused: dict[int, Score] = {}
        tokens: list[tuple[list[str], list[list[str]]]] = []
        for number, sample in enumerate(samples):
            output, references = sample.output, self.references(sample)
            if (score := self.refused(output, references)) is not None:
                refused[number] = score
                output, references = "", [""]
            if self.lowercase:
                output, references = output.lower(), [each.lower() for each in references]
            tokens.append((split(output), [split(each) for each in references]))
        together = self._together(tokens)
        return [
            refused.get(number) or self.valued(self._bleu(found, expected, together.get(number)), len(expected))
            for number, (found, expected) in enumerate(tokens)
        ]

    def _together(self, tokens: Sequence[tuple[list[str], list[list[str]]]]) -> dict[int, list[int]]:
        """The shared n-grams of those samples that can be counted together, by number."""
        if self.max_ngram_order != ngram_batches.ORDER or len(tokens) < 2:
            return {}
        short = {
            number: (found, expected[0])
            for number, (found, expected) in enumerate(tokens)
            if len(expected) == 1 and len(found) + len(expected[0]) <= ngram_batches.MAX_WORDS
        }
        return dict(zip(short, ngram_batches.matches(list(short.values())), strict=True))

    def _bleu(self, found: list[str], expected: list[list[str]], matches: list[int] | None) -> float:
        order = self.max_ngram_order
        if matches is None:
            matches = ngrams.matches(found, expected, order)
        if not matches[0]:
            return 0.0
        nearest = min((abs(len(each) - len(found)), len(each)) for each in expected)[1]
        score = self._metric.compute_bleu(
            matches,
            ngrams.totals(len(found), order),
            len(found),
            nearest,
            self.smooth_method,
            self.smooth_value,
            self.effective_order,
            order,
        )
        return score.score / 100

    def _split(self, text: str) -> list[str]:
        tokens: str = self._metric.tokenizer(text.rstrip())
        return tokens.split()

    def too_long(self, output: str, references: Sequence[str]) -> str | None:
        size = len(output) + sum(map(len, references))
        return f"{size:,} characters" if size > _LONGEST else None

    @functools.cached_property
    def _metric(self) -> "BLEU":
        return bleu_metric(
            lowercase=self.lowercase,
            tokenize=self.tokenize,
            smooth_method=self.smooth_method,
            smooth_value=self.smooth_value,
            max_ngram_order=self.max_ngram_order,
            effective_order=self.effective_order,
        )


def check_bleu(smooth_method: Smooth, smooth_value: float | None, max_ngram_order: int) -> None:
    """Raises ScorerConfigError for arguments that contradict each other."""
    if max_ngram_order < 1:
        raise ScorerConfigError("max_ngram_order must be at least 1", "/args/max_ngram_order")
    if max_ngram_order > 1000:
        raise ScorerConfigError("max_ngram_order is at most 1000", "/args/max_ngram_order")
    if smooth_value is None:
        return
    pointer = "/args/smooth_value"
    if smooth_method not in ("floor", "add-k"):
        raise ScorerConfigError("smooth_value has an effect with smooth_method floor or add-k only", pointer)
    if not 0 < smooth_value < float("inf") or (smooth_method == "floor" and smooth_value > 1):
        top = " and at most 1" if smooth_method == "floor" else ""
        raise ScorerConfigError(f"smooth_value must be a number above 0{top}", pointer)
