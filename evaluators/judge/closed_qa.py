"""A model says whether the answer meets a criterion."""

from typing import Annotated

import msgspec

from evaluators.contract import Sample, Score
from evaluators.judge.asking import CaseJudge, chosen, prompt
from evaluators.judging import Models

_TASK = """\
Decide whether the answer to the question meets this criterion, and judge nothing else:
{criteria}

First write your reason, going through the criterion step by step. Then the verdict: "Y" if it is met, "N" if it is not."""


class ClosedQa(CaseJudge, frozen=True):
    """1 when a judge says that the answer meets the `criteria`, else 0.

    The judge gives a reason, then Y or N, which is the label. Range {0, 1}, higher is better. An empty output is judged like
    any other; the question may be missing.
    Source: OpenAI evals `closedqa`, autoevals' ClosedQA, promptfoo 0.123 (`model-graded-closedqa`).
    """

    name = "closed_qa"
    needs = frozenset({"inputs", "judge"})
    binary = True
    example = {"criteria": "The answer names a source."}

    criteria: Annotated[str, msgspec.Meta(min_length=1)]

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        messages = prompt(
            _TASK.format(criteria=self.criteria), {"question": self.asked(sample), "answer": sample.output}
        )
        label, reason = await chosen(models.judge, messages, ("Y", "N"), sample_index)
        return self.scored(float(label == "Y"), reason, label=label)
