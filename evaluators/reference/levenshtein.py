"""Normalised Levenshtein similarity."""

import math
from typing import Literal

from rapidfuzz.distance import Levenshtein as _Levenshtein

from evaluators.contract import ScorerConfigError
from evaluators.reference import promptfoo
from evaluators.reference.pairs import TextPairScorer

_MAX_DISTANCE = 5.0  # promptfoo's


class Levenshtein(TextPairScorer, frozen=True):
    """Edit similarity of output and reference: 1 - d / max(length), d the Levenshtein distance in code points.

    Range [0, 1], higher is better; two empty texts are equal (1), one empty text gives 0. Several references: the best
    counts. `profile: promptfoo` gives 1 when d, in UTF-16 units, is at most `max_distance` (5), else 0.
    Source: rapidfuzz 3, `Levenshtein.normalized_similarity`; promptfoo 0.123.1, `src/assertions/levenshtein.ts`.
    """

    name = "levenshtein"

    profile: Literal["reference", "promptfoo"] = "reference"
    max_distance: float = _MAX_DISTANCE

    def check(self) -> None:
        super().check()
        if self.profile == "promptfoo":
            promptfoo.refuse_others(self, ("profile", "max_distance"))
            if not 0 <= self.max_distance < math.inf:
                raise ScorerConfigError("max_distance must be a number of edits, 0 or more", "/args/max_distance")
        elif self.max_distance != _MAX_DISTANCE:
            raise ScorerConfigError(
                "max_distance has an effect with profile promptfoo only; the value here is a similarity, which"
                " `threshold` cuts",
                "/args/max_distance",
            )

    def compare(self, output: str, reference: str) -> float:
        if self.profile == "promptfoo":
            limit = math.floor(self.max_distance)
            units = promptfoo.utf16(output), promptfoo.utf16(reference)
            return float(_Levenshtein.distance(*units, score_cutoff=limit) <= limit)
        return _Levenshtein.normalized_similarity(output, reference)

    def verdict(self, value: float) -> bool | None:
        if self.profile == "promptfoo" and self.threshold is None:
            return value == 1
        return super().verdict(value)
