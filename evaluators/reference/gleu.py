"""Google's BLEU for sentences."""

from collections import Counter
from typing import Literal

from evaluators.contract import ScorerConfigError
from evaluators.reference import promptfoo
from evaluators.reference.pairs import TextPairScorer


class Gleu(TextPairScorer, frozen=True):
    """The smaller of precision and recall over all n-grams of `min_len` to `max_len` words, counted with repeats.

    Words stand between white space (`str.split`). Range [0, 1], higher is better; an empty output or reference gives 0.
    Several references: the best counts. `profile: promptfoo` gives promptfoo's number: lower case, words without full
    stops at their end, equal texts 1.
    Source: nltk 3.10, `sentence_gleu` on `text.split()`; Wu et al. 2016, arXiv 1609.08144, section 5.2; promptfoo 0.123.1,
    `src/assertions/gleu.ts`.
    """

    name = "gleu"

    min_len: int = 1
    max_len: int = 4
    profile: Literal["reference", "promptfoo"] = "reference"

    def check(self) -> None:
        super().check()
        if self.min_len < 1:
            raise ScorerConfigError("min_len must be at least 1", "/args/min_len")
        if self.max_len < self.min_len:
            raise ScorerConfigError("max_len must not be below min_len", "/args/max_len")
        if self.profile == "promptfoo":
            promptfoo.refuse_others(self, ("profile",))

    def compare(self, output: str, reference: str) -> float:
        if self.profile == "promptfoo":
            return promptfoo.gleu(output, reference)
        found, expected = output.split(), reference.split()
        total = matches = 0
        longer = max(len(found), len(expected))
        for n in range(self.min_len, self.max_len + 1):
            total += max(longer - n + 1, 0)
            here = Counter(zip(*(found[start:] for start in range(n)), strict=False))
            there = Counter(zip(*(expected[start:] for start in range(n)), strict=False))
            shared = sum([min(here[gram], there[gram]) for gram in here.keys() & there.keys()])
            if not shared:  # a longer match would hold a shorter one; only the totals go on
                total += sum(max(longer - more + 1, 0) for more in range(n + 1, self.max_len + 1))
                break
            matches += shared
        return matches / total if total else 0.0

    def work(self, output: str, reference: str) -> float:
        return 0
