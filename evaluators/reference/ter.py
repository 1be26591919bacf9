"""Translation edit rate."""

import functools
from collections.abc import Sequence
from typing import Any

from evaluators.contract import ScorerConfigError
from evaluators.reference.sacre import SacreScorer, ter_metric

# Pairs of words. The search for shifts is slow: at this size two texts take a second, and ten where one is the other
# shuffled.
_LONGEST = 100_000


class Ter(SacreScorer, frozen=True):
    """Edits that make the output the reference: words inserted, deleted, replaced, and runs of words moved.

    Edits / mean length of the references in words. Range [0, ∞), lower is better: 0 for equal texts, above 1 where more
    edits are needed than the reference has words. An empty output gives 1; an empty reference 1, and 0 where both are
    empty. All references are given to sacrebleu at once: the one with the fewest edits counts.
    Source: sacrebleu 2.6.0, `TER.sentence_score` / 100; Snover et al. 2006, aclanthology.org/2006.amta-papers.25.
    """

    name = "ter"
    direction = "minimize"
    high = None
    example = {"normalized": True, "threshold": 0.4}

    normalized: bool = False
    no_punct: bool = False
    asian_support: bool = False
    case_sensitive: bool = False

    def check(self) -> None:
        super().check()
        check_ter(asian_support=self.asian_support, normalized=self.normalized, no_punct=self.no_punct)

    def evaluate(self, output: str, references: Sequence[str]) -> float:
        return float(self._metric.sentence_score(output, references).score) / 100

    def too_long(self, output: str, references: Sequence[str]) -> str | None:
        if (len(output) // 2 + 1) * (max(map(len, references)) // 2 + 1) <= _LONGEST:
            return None
        found = len(self._metric.tokenizer(output).split())
        expected = max(len(self._metric.tokenizer(each).split()) for each in references)
        return f"{found:,} and {expected:,} words" if found * expected > _LONGEST else None

    @functools.cached_property
    def _metric(self) -> Any:
        return ter_metric(
            normalized=self.normalized,
            no_punct=self.no_punct,
            asian_support=self.asian_support,
            case_sensitive=self.case_sensitive,
        )


def check_ter(*, asian_support: bool, normalized: bool, no_punct: bool) -> None:
    """Raises ScorerConfigError for `asian_support` where it would have no effect."""
    if asian_support and not (normalized or no_punct):
        raise ScorerConfigError("asian_support has an effect with normalized or no_punct only", "/args/asian_support")
