"""A model rates twice how well answer and reference agree."""

from evaluators.contract import Sample, Score
from evaluators.judge.asking import CaseJudge, chosen, prompt, reference_of, together
from evaluators.judging import Models

_TASK = """\
Two answers to a question are given. Say how far the answer agrees with the reference on what the question asks for, whatever \
you know yourself. A reference that is a JSON list holds several, of which any one will do.
First write your reason. Then the verdict: "4" if the answer says all of the reference and contradicts nothing in it, "2" if \
it says a part of the reference and contradicts nothing in it, "0" if it says nothing of it or contradicts it."""

_LABELS = ("4", "2", "0")


class AnswerAccuracy(CaseJudge, frozen=True):
    """Agreement of the answer with the reference, rated twice with their roles exchanged.

    Each rating is 0, 2 or 4; the value is their mean, divided by 4. Range [0, 1], higher is better. An empty output is 0;
    without a reference it is skipped.
    Source: Ragas 0.3 (AnswerAccuracy, after NVIDIA's two judgements).
    """

    name = "answer_accuracy"
    needs = frozenset({"reference", "inputs", "judge"})

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        if not sample.output.strip():
            return self.scored(0, "the output is empty")
        question, reference = self.asked(sample), reference_of(sample)
        blocks = [
            {"question": question, "reference": reference, "answer": sample.output},
            {"question": question, "reference": sample.output, "answer": reference},
        ]
        found = await together([chosen(models.judge, prompt(_TASK, one), _LABELS, sample_index) for one in blocks])
        ratings = [int(label) for label, _ in found]
        return self.scored(
            sum(ratings) / 8,
            f"rated {ratings[0]} and, with the roles exchanged, {ratings[1]} of 4: {found[0][1]}",
            evidence={"ratings": ratings, "reasons": [reason for _, reason in found]},
        )
