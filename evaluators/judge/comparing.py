"""What the judges that compare several answers share."""

from typing import Any

from evaluators.contract import Sample, ScorerConfigError
from evaluators.judge import template
from evaluators.judge.asking import GUARD, CaseJudge, prompt
from evaluators.judging import Judge


class Comparing(CaseJudge, frozen=True):
    """Base of the judges that see several answers at once, after `instructions` or else after the question."""

    instructions: str = ""

    def check(self) -> None:
        super().check()
        named = template.variables_of(self.instructions, "/args/instructions") & {"output", "tool_calls"}
        if named:
            raise ScorerConfigError(
                f"the judge sees several answers below the instructions, which cannot place {min(named)}",
                "/args/instructions",
            )

    @property
    def compares_with(self) -> str:
        """The need that holds what the output is compared with."""
        return "others"

    @property
    def reads(self) -> frozenset[str]:
        shown = template.needs_of(self.instructions) if self.instructions else {"inputs"}
        return frozenset(shown | {self.compares_with, "judge"})

    @property
    def requires(self) -> frozenset[str]:
        return (super().requires - template.tested(self.instructions)) | {self.compares_with}

    def comparison(self, sample: Sample, judge: Judge, answers: dict[str, str], task: str) -> list[dict[str, Any]]:
        """The messages that show the answers, each under its name. Raises JudgeTemplateError."""
        if not self.instructions:
            return prompt(task, {"question": self.asked(sample), **answers})
        case, mark = template.fill_beside(self.instructions, sample, judge, answers)
        return [
            {"role": "system", "content": f"{GUARD}\n{task}"},
            {"role": "user", "content": f"The mark is {mark}.\n\n{case}"},
        ]
