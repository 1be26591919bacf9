"""How much the output repeats itself."""

import itertools
from collections import Counter
from typing import Literal

import msgspec

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.folding import fold, ngrams, words
from evaluators.text import without_surrogates


class Repetition(Scorer, frozen=True):
    """The share of n-grams that repeat an earlier one: 1 - different n-grams / all n-grams (rep-n).

    `unit` says what n-grams are made of: `words` (folded, without punctuation; in scripts without spaces a word is a
    character), `chars` (for loops such as "aaaa"), or `lines` (stripped, empty ones left out; take `n` 1 for repeated
    lines). Evidence names the commonest n-gram, and how often the same unit stands in a row at most. Long texts repeat
    more by nature: compare texts of like length. Range [0, 1), lower is better; an output with at most one n-gram, as
    an empty one, repeats nothing and gets 0; with `threshold`, passed means at most that share.
    Source: Welleck et al. 2019 (arXiv 1908.04319), seq-rep-n.
    """

    name = "repetition"
    direction = "minimize"
    example = {"n": 4, "threshold": 0.2}

    n: int = 4
    # On the wire it is `unit`, which is taken here.
    unit_of: Literal["words", "chars", "lines"] = msgspec.field(name="unit", default="words")

    def check(self) -> None:
        super().check()
        if not 1 <= self.n <= 50:
            raise ScorerConfigError("n is from 1 to 50", "/args/n")

    def measure(self, sample: Sample) -> Score:
        items = self._items(sample.output)
        counts = Counter(ngrams(items, self.n))
        total = counts.total()
        if total <= 1:
            return self.scored(0.0, f"{len(items)} {self.unit_of} are too few to repeat anything")
        gram, most = counts.most_common(1)[0]
        repeated = 1 - len(counts) / total
        evidence = {
            "ngrams": total,
            "different": len(counts),
            "commonest": without_surrogates(("" if self.unit_of == "chars" else " ").join(gram)[:200]),
            "times": most,
            "in_a_row": _in_a_row(items),
        }
        return self.scored(
            repeated, f"{total - len(counts)} of {total} runs of {self.n} {self.unit_of} are repeats", evidence=evidence
        )

    def _items(self, text: str) -> list[str]:
        if self.unit_of == "words":
            return words(text)
        if self.unit_of == "lines":
            return [line for each in fold(text).splitlines() if (line := each.strip())]
        return list(fold(text))


def _in_a_row(items: list[str]) -> int:
    best = run = 1
    for before, item in itertools.pairwise(items):
        run = run + 1 if item == before else 1
        best = max(best, run)
    return best
