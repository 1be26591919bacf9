"""A model judges the answer by a rubric."""

import json
import math
from typing import Annotated, Any

import msgspec

from evaluators.contract import Sample, Score, ScorerConfigError
from evaluators.judge import template, verdicts
from evaluators.judge.asking import GUARD
from evaluators.judge.verdicts import NoVerdictError, Verdict, Vote
from evaluators.judging import Judge, JudgeScorer, Models
from evaluators.text import without_surrogates

# Up to this many steps a scale of whole numbers is a closed list in the schema.
_STEPS = 20

_SYSTEM = f"""\
You judge one answer by the instructions you are given, and by nothing else.
{GUARD}\
First write your reason, naming what in the answer decides. Then give the verdict, which is {{choice}}."""


class VerdictScale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers that a judge may give; `low` becomes the value 0, `high` the value 1."""

    low: float
    high: float


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer that was judged already. `verdict` is one of the labels, or a number on the scale."""

    output: str
    verdict: str | float
    reason: str = ""
    inputs: dict[str, Any] = {}
    reference: Any = None


class Rubric(JudgeScorer, frozen=True):
    """A judge's verdict on the answer, by written instructions.

    `instructions` is a template over `inputs`, `reference`, `output`, `context`, `history`, `tool_calls` and `metadata`
    (the output is added below it where the template does not place it). The judge gives a reason and then one of
    `labels`, whose scores in [0, 1] are looked up here, or a number on `scale {low, high}`, which becomes
    (number - low) / (high - low). `votes` above 1: the mean of that many verdicts, with their agreement in the evidence.
    Range [0, 1], higher is better. Where labels score only 0 and 1, passed means above 0.5; else it takes a threshold.
    No valid verdict: unscored. Judge not to be reached: error. `params` go to the judge with each call.
    """

    name = "rubric"
    needs = frozenset({"inputs", "reference", "context", "history", "tool_calls", "metadata", "judge"})
    example = {
        "instructions": "Question: {{ inputs.question }}\nIs the answer correct and polite?",
        "labels": {"yes": 1, "partly": 0.5, "no": 0},
    }

    instructions: Annotated[str, msgspec.Meta(min_length=1)]
    labels: dict[str, float] | None = None
    scale: VerdictScale | None = None
    examples: list[Example] = []
    params: dict[str, Any] = {}
    votes: Annotated[int, msgspec.Meta(ge=1, le=25)] = 1

    def check(self) -> None:
        super().check()
        template.variables_of(self.instructions, "/args/instructions")
        if (self.labels is None) == (self.scale is None):
            raise ScorerConfigError("give either `labels` or `scale`", "/args/labels")
        if self.labels is not None:
            self._check_labels(self.labels)
        scale = self.scale
        if scale is not None and not (math.isfinite(scale.high - scale.low) and scale.low < scale.high):
            raise ScorerConfigError("`low` must be below `high`", "/args/scale")
        for index, example in enumerate(self.examples):
            try:
                self._value(example.verdict)
            except NoVerdictError as exc:
                raise ScorerConfigError(f"the example's {exc}", f"/args/examples/{index}/verdict") from exc

    @staticmethod
    def _check_labels(labels: dict[str, float]) -> None:
        for label, score in labels.items():
            if not label.strip():
                raise ScorerConfigError("a label must not be empty", "/args/labels")
            if not 0 <= score <= 1:
                pointer = "/args/labels/" + label.replace("~", "~0").replace("/", "~1")
                raise ScorerConfigError(f"label {label!r} scores {score:g}; scores lie between 0 and 1", pointer)
        if len(set(labels.values())) < 2:
            raise ScorerConfigError("with fewer than two different scores nothing can fail", "/args/labels")

    @property
    def reads(self) -> frozenset[str]:
        return template.needs_of(self.instructions) | {"judge"}

    @property
    def requires(self) -> frozenset[str]:
        return super().requires - template.tested(self.instructions)

    def verdict(self, value: float) -> bool | None:
        if self.threshold is None and self.labels is not None and set(self.labels.values()) == {0, 1}:
            return value > 0.5
        return super().verdict(value)

    async def judge(self, sample: Sample, models: Models, sample_index: int) -> Score:
        return verdicts.combine(await self.ballot(sample, models.judge, sample_index), self.scored_by)

    def scored_by(self, value: float, reason: str, label: str | None, evidence: dict[str, Any]) -> Score:
        return self.scored(value, reason, label=label, evidence=evidence)

    async def ballot(self, sample: Sample, judge: Judge, sample_index: int) -> list[Vote]:
        """The votes of one judge."""
        case, mark = template.fill(self.instructions, sample, judge)
        messages = [
            {"role": "system", "content": without_surrogates(self._system())},
            {"role": "user", "content": f"The mark is {mark}.\n\n{case}"},
        ]
        return await verdicts.ask(
            judge, messages, self.reply_schema(), self.votes, self._read, sample_index * self.votes
        )

    def reply_schema(self) -> dict[str, Any]:
        """The JSON Schema of a reply: the reason comes before the verdict, so that it is thought of first."""
        if self.labels is not None:
            verdict: dict[str, Any] = {"type": "string", "enum": self._ordered_labels()}
        elif (steps := self._steps()) is not None:
            verdict = {"type": "integer", "enum": steps}
        else:
            scale = self._scale()
            verdict = {"type": "number", "minimum": scale.low, "maximum": scale.high}
        return {
            "type": "object",
            "properties": {"reason": {"type": "string"}, "verdict": verdict},
            "required": ["reason", "verdict"],
            "additionalProperties": False,
        }

    def _system(self) -> str:
        if self.labels is not None:
            listed = ", ".join(f'"{label}"' for label in self._ordered_labels())
            choice = f"one of these, the best first: {listed}"
        else:
            scale = self._scale()
            whole = "a whole number" if self._steps() is not None else "a number"
            choice = f"{whole} from {scale.low:g} (worst) to {scale.high:g} (best)"
        text = _SYSTEM.format(choice=choice)
        if self.examples:
            lines = [_encode(example) for example in self.examples]
            text += "\n\nExamples of verdicts, one JSON object a line:\n" + "\n".join(lines)
        return text

    def _ordered_labels(self) -> list[str]:
        labels = self.labels or {}
        return sorted(labels, key=lambda label: -labels[label])

    def _scale(self) -> VerdictScale:
        if self.scale is None:
            raise ValueError("this rubric has labels, not a scale")
        return self.scale

    def _steps(self) -> list[int] | None:
        scale = self._scale()
        whole = float(scale.low).is_integer() and float(scale.high).is_integer() and scale.high - scale.low <= _STEPS
        # A scale from 0 to 1 means shares, not two steps.
        return list(range(int(scale.low), int(scale.high) + 1)) if whole and scale.high - scale.low > 1 else None

    def _read(self, reply: dict[str, Any]) -> Verdict:
        reason = reply.get("reason")
        if not isinstance(reason, str):
            raise NoVerdictError("its reply has no reason")
        if "verdict" not in reply:
            raise NoVerdictError("its reply has no verdict")
        verdict = reply["verdict"]
        value = self._value(verdict)
        return Verdict(verdict if isinstance(verdict, str) else f"{verdict:g}", value, reason)

    def _value(self, verdict: Any) -> float:
        """The score of a verdict. Raises NoVerdictError for what is neither a label nor on the scale."""
        if self.labels is not None:
            if not isinstance(verdict, str) or verdict not in self.labels:
                known = ", ".join(map(repr, self._ordered_labels()))
                raise NoVerdictError(f"verdict {verdicts.quoted(verdict)} is not one of {known}")
            return self.labels[verdict]
        scale, steps = self._scale(), self._steps()
        if isinstance(verdict, bool) or not isinstance(verdict, int | float):
            raise NoVerdictError(f"verdict {verdicts.quoted(verdict)} is not a number")
        if not scale.low <= verdict <= scale.high or (steps is not None and verdict not in steps):
            whole = "a whole number " if steps is not None else ""
            raise NoVerdictError(
                f"verdict {verdicts.quoted(verdict)} is not {whole}from {scale.low:g} to {scale.high:g}"
            )
        return (verdict - scale.low) / (scale.high - scale.low)


def _encode(example: Example) -> str:
    optional = {"inputs": example.inputs, "reference": example.reference}
    shown: dict[str, Any] = {key: value for key, value in optional.items() if value not in ({}, None)}
    shown["output"] = example.output
    if example.reason:
        shown["reason"] = example.reason
    return json.dumps(shown | {"verdict": example.verdict}, ensure_ascii=False)
