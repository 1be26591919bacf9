"""Conversations as numbered turns, and the judges that look at each of them."""

from collections.abc import Mapping
from typing import Any, ClassVar

from evaluators.contract import Sample, Score
from evaluators.judge.asking import CaseJudge, Marked, marked, plain, share
from evaluators.judging import Models


def turns_of(sample: Sample, question: str) -> list[dict[str, str]]:
    """User, assistant and tool messages before the output, and the output.

    The question is the last user message when the history does not end with one already.
    """
    messages = [
        {"role": str(message.get("role")), "content": plain(message.get("content") or "")}
        for message in sample.history
        if message.get("role") in ("user", "assistant", "tool")
    ]
    if question and (not messages or messages[-1]["role"] != "user"):
        messages.append({"role": "user", "content": question})
    return [*messages, {"role": "assistant", "content": sample.output}]


def dialogue(turns: list[dict[str, str]]) -> str:
    """The whole conversation as JSON."""
    return plain(turns)


class TurnsJudge(CaseJudge, frozen=True):
    """Base of the judges that say yes or no to every turn of the assistant; the value is the share of yes.

    A verdict that is missing makes the score unscored: it is never left out of the share.
    """

    needs = frozenset({"history", "inputs", "judge"})
    task: ClassVar[str]
    good: ClassVar[str]  # what a yes says, for explanations

    def told(self) -> Mapping[str, str]:
        """More evidence to show, by name."""
        return {}

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        turns = turns_of(sample, self.asked(sample))
        places = [place for place, turn in enumerate(turns) if turn["role"] == "assistant"]
        items = [self._shown(turns, place) for place in places]
        found = await marked(models.judge, self.task, "turns", items, self.told(), sample_index)
        said = f"{sum(each.good for each in found)} of {len(found)} turns {self.good}"
        bad = next((each for each in found if not each.good), None)
        return self.scored(
            share(found),
            f"{said}: {(bad or found[0]).reason}",
            evidence={"turns": [_kept(place, each) for place, each in zip(places, found, strict=True)]},
        )

    @staticmethod
    def _shown(turns: list[dict[str, str]], place: int) -> dict[str, Any]:
        """A reply of the assistant and what was said since its last one; the judge sees all turns in order."""
        start = next((before + 1 for before in range(place - 1, -1, -1) if turns[before]["role"] == "assistant"), 0)
        return {"before": turns[start:place], "reply": turns[place]["content"]}


def _kept(place: int, found: Marked) -> dict[str, Any]:
    return {"message": place, "good": found.good, "reason": found.reason}
