"""Whether the useful passages are ranked first, as a model says."""

from typing import Literal

from evaluators.contract import Sample, Score
from evaluators.judge.asking import CaseJudge, Marked, marked, passages_of, reference_of
from evaluators.judging import Models

_TASK = """\
For each of the numbered passages decide whether it was useful for arriving at the {goal} to the question.
First write your reason. Then the verdict: "yes" if the passage holds something of the {goal}, "no" if not."""


class ContextPrecision(CaseJudge, frozen=True):
    """Average precision of the retrieved passages: sum(P@k * rel_k) / sum(rel), 0 when none is relevant.

    rel_k is 1 when a judge finds passage k useful for arriving at the reference, or with `against: output` at the answer;
    P@k is the share of useful ones among the first k. The passages are the chunks in their order, else the context in one
    piece. Range [0, 1], higher is better. No passages or no question: skipped; a passage without a verdict: unscored.
    Source: Ragas 0.3 (LLMContextPrecisionWithReference, WithoutReference), which asks once per passage.
    """

    name = "context_precision"
    needs = frozenset({"chunks", "context", "reference", "inputs", "judge"})

    against: Literal["reference", "output"] = "reference"

    @property
    def reads(self) -> frozenset[str]:
        return self.needs if self.against == "reference" else self.needs - {"reference"}

    @property
    def requires(self) -> frozenset[str]:
        return self.reads & {"reference"}

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        passages, question = passages_of(sample), self.must_ask(sample)
        goal = "reference" if self.against == "reference" else "answer"
        told = {"question": question, goal: reference_of(sample) if goal == "reference" else sample.output}
        found = await marked(models.judge, _TASK.format(goal=goal), "passages", passages, told, sample_index)
        said = f"{sum(each.good for each in found)} of {len(found)} passages are useful"
        return self.scored(
            _average_precision(found),
            f"{said}, at {', '.join(str(place) for place, each in enumerate(found, 1) if each.good) or 'no place'}",
            evidence={"useful": [each.good for each in found], "reasons": [each.reason for each in found]},
        )


def _average_precision(found: list[Marked]) -> float:
    hits, total = 0, 0.0
    for place, each in enumerate(found, start=1):
        if each.good:
            hits += 1
            total += hits / place
    return total / hits if hits else 0.0
