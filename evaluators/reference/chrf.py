"""Similarity of character sequences."""

import functools
from collections.abc import Sequence
from typing import Any

from evaluators.contract import ScorerConfigError
from evaluators.reference.sacre import SacreScorer

_LONGEST = 400_000  # characters of all texts, measured to be about two seconds


class Chrf(SacreScorer, frozen=True):
    """F-score of the character sequences that output and reference share, and with `word_order` of word sequences.

    Precision and recall are means over the orders 1 to `char_order` (characters without white space) and 1 to `word_order`
    (2 is chrF++); F = (1 + b²)PR / (b²P + R) with b = `beta`. Range [0, 1], higher is better; an empty output or
    reference gives 0. All references are given to sacrebleu at once: the one with the best F counts.
    Source: sacrebleu 2.6.0, `CHRF.sentence_score` / 100; Popović 2015, aclanthology.org/W15-3049.
    """

    name = "chrf"
    example = {"word_order": 2}

    char_order: int = 6
    word_order: int = 0
    beta: int = 2
    lowercase: bool = False
    whitespace: bool = False
    eps_smoothing: bool = False

    def check(self) -> None:
        super().check()
        check_chrf(self.char_order, self.word_order, self.beta)

    def evaluate(self, output: str, references: Sequence[str]) -> float:
        return float(self._metric.sentence_score(output, references).score) / 100

    def too_long(self, output: str, references: Sequence[str]) -> str | None:
        size = len(output) + sum(map(len, references))
        return f"{size:,} characters" if size * max(self.char_order + self.word_order, 6) > 6 * _LONGEST else None

    @functools.cached_property
    def _metric(self) -> Any:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(
            char_order=self.char_order,
            word_order=self.word_order,
            beta=self.beta,
            lowercase=self.lowercase,
            whitespace=self.whitespace,
            eps_smoothing=self.eps_smoothing,
        )


def check_chrf(char_order: int, word_order: int, beta: int) -> None:
    """Raises ScorerConfigError for orders and weights that mean nothing."""
    for name, value, least in (("char_order", char_order, 1), ("word_order", word_order, 0), ("beta", beta, 1)):
        if value < least:
            raise ScorerConfigError(f"{name} must be at least {least}", f"/args/{name}")
        if value > 1000:
            raise ScorerConfigError(f"{name} is at most 1000", f"/args/{name}")
