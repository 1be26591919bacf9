"""A model says whether an agent reached its goal."""

from evaluators.contract import Sample, Score
from evaluators.judge.asking import CaseJudge, chosen, plain, prompt, reference_of
from evaluators.judging import Models

_TASK = """\
Decide whether the goal was reached by the end of the trajectory: the messages, tool calls and tool results of an agent, then \
its final answer. What counts is what the tool results and the answer show, not what the agent says that it did. Where there \
is a reference, it says how things should be in the end.
First write your reason, naming what decides. Then the verdict: "yes" if the whole goal was reached, "no" if not."""


class GoalSuccess(CaseJudge, frozen=True):
    """1 when a judge says that the agent reached its goal, else 0.

    The goal is `goal`, else the question of the case; the judge sees the trajectory, the output, and the reference where
    there is one. Range {0, 1}, higher is better; the label is the judge's yes or no. No trajectory or no goal: skipped. An
    empty output is judged like any other.
    Source: promptfoo 0.123 (`trajectory:goal-success`), Ragas 0.3 (AgentGoalAccuracy).
    """

    name = "goal_success"
    needs = frozenset({"trajectory", "inputs", "reference", "judge"})
    binary = True
    example = {"goal": "The flight is booked for the date that the user named."}

    goal: str = ""

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"trajectory"})

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        blocks = {"goal": self.goal or self.must_ask(sample)}
        if sample.references:
            blocks["reference"] = reference_of(sample)
        blocks |= {"trajectory": plain(sample.trajectory), "answer": sample.output}
        label, reason = await chosen(models.judge, prompt(_TASK, blocks), ("yes", "no"), sample_index)
        return self.scored(float(label == "yes"), reason, label=label)
