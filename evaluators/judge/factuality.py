"""A model compares the facts of the answer with those of the reference."""

from typing import Literal

from evaluators.contract import Sample, Score, ScorerConfigError
from evaluators.judge.asking import CaseJudge, chosen, prompt, reference_of
from evaluators.judging import Models

_SCORES = {"A": 0.4, "B": 0.6, "C": 1.0, "D": 0.0, "E": 1.0}
_PROMPTFOO = {"A": 1.0, "B": 1.0, "C": 1.0, "D": 0.0, "E": 1.0}

_TASK = """\
Compare the facts of the answer with those of the expert's reference. Ignore style, grammar and punctuation. A reference that \
is a JSON list holds several, of which any one will do.
First write your reason, naming the facts that decide. Then the verdict, one letter:
"A" when the answer is a subset of the reference and fully consistent with it,
"B" when the answer is a superset of the reference and fully consistent with it,
"C" when the answer has all the details of the reference and no others,
"D" when the answer and the reference disagree,
"E" when they differ, but in nothing that matters for the facts."""


class Factuality(CaseJudge, frozen=True):
    """A judge says how the answer's facts relate to the reference's: one of five letters, scored here.

    A subset .4, B superset .6, C the same 1, D disagreement 0, E differences that do not matter 1; `scores` sets others,
    `profile: promptfoo` is 1 for all but D. The letter is the label. Range [0, 1], higher is better. An empty output is
    judged like any other; without a reference it is skipped; several references: any one will do.
    Source: OpenAI evals `fact`; scores of autoevals' Factuality and promptfoo 0.123 (`factuality`).
    """

    name = "factuality"
    needs = frozenset({"reference", "inputs", "judge"})
    example = {"scores": {"A": 0.5}}

    scores: dict[str, float] = {}
    profile: Literal["promptfoo"] | None = None

    def check(self) -> None:
        super().check()
        for letter, score in self.scores.items():
            if letter not in _SCORES:
                raise ScorerConfigError(f"{letter!r} is not one of the letters A to E", "/args/scores")
            if not 0 <= score <= 1:
                raise ScorerConfigError(
                    f"{letter} scores {score:g}; scores lie between 0 and 1", f"/args/scores/{letter}"
                )
        if len(set(self._table().values())) < 2:
            raise ScorerConfigError("with fewer than two different scores nothing can fail", "/args/scores")

    def _table(self) -> dict[str, float]:
        return {**(_PROMPTFOO if self.profile else _SCORES), **self.scores}

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        blocks = {"question": self.asked(sample), "reference": reference_of(sample), "answer": sample.output}
        table = self._table()
        label, reason = await chosen(models.judge, prompt(_TASK, blocks), list(table), sample_index)
        return self.scored(table[label], reason, label=label)
