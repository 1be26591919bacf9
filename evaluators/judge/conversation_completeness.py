"""A model says which of the user's wishes a conversation has met."""

from evaluators.contract import Sample, Score
from evaluators.judge.asking import CaseJudge, marked, prompt, read_strings, reply_to, share, strings_schema
from evaluators.judge.turns import dialogue, turns_of
from evaluators.judging import Models

_WISHES = """\
List what the user of the conversation wants from the assistant, over all turns: each wish once, in one sentence. List no \
greetings and nothing that the user took back."""

_MET = """\
For each of the numbered wishes decide whether the conversation has met it by its end.
First write your reason, naming the reply that decides. Then the verdict: "yes" if it is met, "no" if it is not or only in \
part."""


class ConversationCompleteness(CaseJudge, frozen=True):
    """Share of what the user wanted that the conversation, the output as its end, has met.

    A judge lists the user's wishes, then says yes or no to each. Range [0, 1], higher is better. An empty output meets
    nothing by itself; no wishes, or a wish without a verdict: unscored; no message of the user: skipped.
    Source: DeepEval's ConversationCompleteness: satisfied intentions / intentions.
    """

    name = "conversation_completeness"
    needs = frozenset({"history", "inputs", "judge"})

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        turns = turns_of(sample, self.asked(sample))
        users = [turn["content"] for turn in turns if turn["role"] == "user"]
        if not any(text.strip() for text in users):
            return Score.skipped(f"{self.name}: the sample has no message of a user")
        said = dialogue([turn for turn in turns if turn["role"] == "user"])
        reply = await reply_to(
            models.judge, prompt(_WISHES, {"conversation": said}), strings_schema("wishes"), sample_index
        )
        wishes = read_strings(reply, "wishes")
        if not wishes:
            return Score.unscored("the judge found nothing that the user wanted")
        found = await marked(models.judge, _MET, "wishes", wishes, {"conversation": dialogue(turns)}, sample_index)
        unmet = next((each for each in found if not each.good), found[0])
        return self.scored(
            share(found),
            f"{sum(each.good for each in found)} of {len(found)} wishes are met: {unmet.reason}",
            evidence={"wishes": [{"wish": each.item, "met": each.good, "reason": each.reason} for each in found]},
        )
