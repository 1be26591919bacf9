"""A model says which turns of a conversation are to the point."""

from evaluators.judge.turns import TurnsJudge


class ConversationRelevancy(TurnsJudge, frozen=True):
    """Share of the assistant's turns, the output among them, that answer what was said before.

    A judge sees the whole conversation once and says yes or no to each turn. Range [0, 1], higher is better. An empty
    output is a turn like any other; a turn without a verdict makes the score unscored.
    Source: DeepEval's TurnRelevancy, promptfoo 0.123 (`conversation-relevance`).
    """

    name = "conversation_relevancy"
    task = """\
The numbered turns of a conversation follow, each with what was said before the assistant's reply. For each decide whether the \
reply is relevant to what was said just before it and in the earlier turns. A vague reply to a vague message, such as a \
greeting, is relevant.
First write your reason. Then the verdict: "yes" or "no"."""
    good = "are relevant"
