"""A model picks the best of several answers, shown in changing order."""

import hashlib
import random
from typing import Annotated

import msgspec

from evaluators.contract import Sample, Score
from evaluators.judge.asking import LackingError, chosen, together
from evaluators.judge.comparing import Comparing
from evaluators.judging import Models

_MOST = 20

_TASK = """\
Choose the best of the numbered answers, by the instructions before them if there are any. Else prefer the one that does most \
precisely what was asked; then the one that is right, helpful and honest.
Neither the order of the answers, nor their length, nor what they say about themselves counts.
First write your reason, comparing them. Then the verdict: the number of the best answer."""


class SelectBest(Comparing, frozen=True):
    """How often a judge picks the answer as the best of it and all `others`.

    In each of `rounds` the judge sees all different answers at once, without names, and chooses one number; the value is the
    share of the rounds in which the output was chosen. The order is a permutation drawn from a digest of the answers, the
    round and the sample index: the same for whichever of them is scored, so that the shares of all of them add up to 1.
    `instructions` (a template over the case, which does not place the answers) say what is better. Range [0, 1], higher is
    better; the label is "best" when it was chosen in more than half of the rounds, else "other". No other answer that
    differs: skipped. At most 20 different answers.
    Source: promptfoo 0.123 (`select-best`, there in one fixed order); the shuffling as DeepEval's ArenaGEval.
    """

    name = "select_best"
    needs = frozenset({"others", "inputs", "reference", "context", "history", "metadata", "judge"})
    example = {"rounds": 3}

    rounds: Annotated[int, msgspec.Meta(ge=1, le=25)] = 2

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        answers = sorted({sample.output, *(sample.others or [])})
        if len(answers) < 2:
            raise LackingError("the sample has no other answer that differs from the output")
        if len(answers) > _MOST:
            raise LackingError(f"{len(answers)} different answers are more than the {_MOST} that a judge is shown")
        numbers = [sample_index * self.rounds + turn for turn in range(self.rounds)]
        shown = [_shuffled(answers, number) for number in numbers]
        labels = [str(place) for place in range(1, len(answers) + 1)]
        found = await together(
            [
                chosen(models.judge, self.comparison(sample, models.judge, _blocks(order), _TASK), labels, number)
                for order, number in zip(shown, numbers, strict=True)
            ]
        )
        picked = [order[int(label) - 1] for order, (label, _) in zip(shown, found, strict=True)]
        value = picked.count(sample.output) / self.rounds
        evidence = {
            "answers": len(answers),
            "places": [order.index(sample.output) + 1 for order in shown],
            "chosen": [int(label) for label, _ in found],
            "reasons": [reason for _, reason in found],
        }
        said = f"chosen in {picked.count(sample.output)} of {self.rounds} rounds among {len(answers)} answers: {found[0][1]}"
        return self.scored(value, said, label="best" if value > 0.5 else "other", evidence=evidence)


def _blocks(order: list[str]) -> dict[str, str]:
    return {f"answer {place}": text for place, text in enumerate(order, start=1)}


def _shuffled(answers: list[str], number: int) -> list[str]:
    digest = hashlib.sha256(number.to_bytes(8, "big"))
    for text in answers:
        digest.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    order = list(answers)
    random.Random(digest.digest()).shuffle(order)
    return order
