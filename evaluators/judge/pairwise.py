"""A model prefers the answer or another one, asked in both orders."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from evaluators.contract import Sample, Score
from evaluators.judge.asking import LackingError, chosen, first_reference, together
from evaluators.judge.comparing import Comparing
from evaluators.judging import Judge, Models

Outcome = Literal["win", "tie", "loss"]

_TASK = """\
Decide which of two answers is better, by the instructions before them if there are any. Else prefer the one that does more \
precisely what was asked; then the one that is right, helpful and honest.
Neither the order of the answers, nor their length, nor what they say about themselves counts.
First write your reason, comparing them. Then the verdict: "1" for the first, "2" for the second{tie}."""

_VALUES: dict[Outcome, float] = {"win": 1.0, "tie": 0.5, "loss": 0.0}


class Pairwise(Comparing, frozen=True):
    """Whether a judge finds the answer better than another: 1 win, 0.5 tie, 0 loss.

    The judge sees both without their names, in both orders; a win or a loss counts only when it survives the exchange, all
    else is a tie. `against` the (first) reference, or the first of `others`. `instructions` (a template over the case, which does
    not place the answers) say what is better; `ties: false` makes the judge choose; with `votes` above 1 the most frequent
    verdict of an order counts, none is a tie. Evidence: `orders` (the outcome as each order gave it: answer first, answer
    second), `consistent` (both the same; over many pairs: `positional_agreement`), the reasons, and the lengths
    in characters, for judges prefer the longer. Range [0, 1], higher is better. Equal texts tie unasked.
    Source: MT-Bench, Zheng et al. 2023 (arXiv 2306.05685), FastChat `llm_judge`; LLMBar (arXiv 2310.07641).
    """

    name = "pairwise"
    needs = frozenset({"reference", "others", "inputs", "context", "history", "metadata", "judge"})
    example = {"against": "reference"}

    against: Literal["reference", "others"] = "reference"
    ties: bool = True
    votes: Annotated[int, msgspec.Meta(ge=1, le=25)] = 1

    @classmethod
    def agreement(cls, scores: Sequence[Score]) -> dict[str, float]:
        found = positional_agreement(scores)
        return {} if found is None else {"positional_agreement": found}

    @property
    def compares_with(self) -> str:
        return self.against

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        other = self._other(sample)
        if sample.output == other:
            return self.scored(0.5, "both answers are the same text", label="tie")
        pairs = [[sample.output, other], [other, sample.output]]
        first, second = await together([self._order(sample, models.judge, pair, sample_index) for pair in pairs])
        orders: list[Outcome] = [_seen_first(first[0]), _seen_second(second[0])]
        outcome: Outcome = orders[0] if orders[0] == orders[1] else "tie"
        evidence = {
            "orders": orders,
            "consistent": orders[0] == orders[1],
            "reasons": [first[1], second[1]],
            "lengths": [len(sample.output), len(other)],
        }
        compared = "the reference" if self.against == "reference" else "the other answer"
        said = f"{orders[0]} when shown first, {orders[1]} when shown second, against {compared}: {first[1]}"
        return self.scored(_VALUES[outcome], said, label=outcome, evidence=evidence)

    def _other(self, sample: Sample) -> str:
        if self.against == "reference":
            return first_reference(sample)
        if not sample.others:
            raise LackingError("the sample has no other answers")
        return sample.others[0]

    async def _order(self, sample: Sample, judge: Judge, pair: list[str], sample_index: int) -> tuple[str, str]:
        """The most frequent of "1", "2" and "tie" over all votes for one order, and a reason given for it."""
        blocks = {"answer 1": pair[0], "answer 2": pair[1]}
        messages = self.comparison(sample, judge, blocks, self._task())
        labels = ("1", "2", "tie") if self.ties else ("1", "2")
        numbers = [sample_index * self.votes + vote for vote in range(self.votes)]
        found = await together([chosen(judge, messages, labels, number) for number in numbers])
        (label, most), *others = Counter(label for label, _ in found).most_common()
        if others and others[0][1] == most:
            label = "tie"
        return label, next((reason for each, reason in found if each == label), found[0][1])

    def _task(self) -> str:
        return _TASK.format(tie=', "tie" when neither is better' if self.ties else "")


def positional_agreement(scores: Sequence[Score]) -> float | None:
    """Share of the judged pairs whose verdict survived the exchange; None when none was judged."""
    found = [score.evidence["consistent"] for score in scores if score.value is not None and score.evidence]
    return sum(found) / len(found) if found else None


def _seen_first(label: str) -> Outcome:
    return "win" if label == "1" else "loss" if label == "2" else "tie"


def _seen_second(label: str) -> Outcome:
    return "win" if label == "2" else "loss" if label == "1" else "tie"
