"""Google's BLEU for sentences."""

from typing import Literal

from evaluators.contract import ScorerConfigError
from evaluators.reference import ngrams, promptfoo
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
        if self.max_len > 1000:
            raise ScorerConfigError("max_len is at most 1000", "/args/max_len")
        if self.profile == "promptfoo":
            promptfoo.refuse_others(self, ("profile",))

    def compare(self, output: str, reference: str) -> float:
        if self.profile == "promptfoo":
            return promptfoo.gleu(output, reference)
        found, expected = output.split(), reference.split()
        shared = ngrams.matches(found, [expected], self.max_len)[self.min_len - 1 :]
        total = sum(ngrams.totals(max(len(found), len(expected)), self.max_len)[self.min_len - 1 :])
        return sum(shared) / total if total else 0.0

    def work(self, output: str, reference: str) -> float:
        return 0
