"""A model says in which turns of a conversation the assistant forgot what it had been told."""

from evaluators.judge.turns import TurnsJudge


class KnowledgeRetention(TurnsJudge, frozen=True):
    """Share of the assistant's turns, the output among them, that keep to what the user has said before.

    A judge sees the whole conversation once and says yes or no to each turn. Range [0, 1], higher is better. An empty
    output is a turn like any other; a turn without a verdict makes the score unscored.
    Source: DeepEval's KnowledgeRetention: 1 - forgetful turns / turns.
    """

    name = "knowledge_retention"
    task = """\
The numbered turns of a conversation follow, each with what was said before the assistant's reply. For each decide whether the \
reply keeps to everything that the user has told so far: it does not when it contradicts that, or asks for what was told \
already. Asking for confirmation keeps to it.
First write your reason. Then the verdict: "yes" if it keeps to it, "no" if something was forgotten."""
    good = "keep to what was told"
