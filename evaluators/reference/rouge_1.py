"""Shared words."""

from typing import Literal

from evaluators.reference import promptfoo
from evaluators.reference.rouge import Counts, RougeScorer, ngram_counts


class Rouge1(RougeScorer, frozen=True):
    """Words that output and reference share, counted with repeats: F, precision or recall (`part`).

    Words are runs of a-z and 0-9 in the text in lower case; everything else separates. With c shared words,
    precision = c / words of the output, recall = c / words of the reference, F = 2PR / (P + R). Range [0, 1], higher is
    better; an output or a reference without words gives 0. Several references: the one with the best F counts.
    `stemmer` compares Porter stems and needs the extra `nlp`. `profile: promptfoo` gives the F of promptfoo's `rouge-n`:
    Penn Treebank tokens, so that punctuation counts, in lower case.
    Source: rouge_score 0.1.2, `rouge1`; Lin 2004, aclanthology.org/W04-1013; promptfoo 0.123.1,
    `src/assertions/rouge.ts`, with js-rouge 3.2.1.
    """

    name = "rouge_1"
    example = {"part": "recall"}

    profile: Literal["reference", "promptfoo"] = "reference"

    def check(self) -> None:
        super().check()
        if self.profile == "promptfoo":
            promptfoo.refuse_others(self, ("profile",))

    def counts(self, output: str, reference: str) -> Counts:
        if self.profile == "promptfoo":
            return Counts(*promptfoo.rouge_1(output, reference))
        return ngram_counts(1, self.tokens(output), self.tokens(reference))
