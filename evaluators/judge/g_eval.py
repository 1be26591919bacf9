"""G-Eval: criteria, steps, and a score weighted by the probabilities of its tokens."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from evaluators.contract import Sample, Score, ScorerConfigError
from evaluators.judge import template, verdicts
from evaluators.judge.asking import GUARD, fields_schema, prompt, read_strings, reply_to, strings_schema
from evaluators.judge.rubric import VerdictScale
from evaluators.judge.verdicts import NoVerdictError, Verdict
from evaluators.judging import Judge, JudgeScorer, Models, TokenLogprob
from evaluators.text import without_surrogates

_TOP = 20
_LEAST = 0.01
_MOST_STEPS = 100

_STEPS = """\
The text holds criteria by which answers will be judged; double braces stand for what differs from case to case.
Write three or four short steps that a judge can follow to apply them to an answer, in order."""

_TASK = """\
You judge one answer by following these steps:
{steps}

{guard}\
First write your reason, naming what in the answer decides. Then the verdict: a whole number from {low} (worst) to {high} \
(best)."""


class GEval(JudgeScorer, frozen=True):
    """A judge follows steps and gives a whole number on `scale` (0 to 10), which is made finer than the judge's own steps.

    `instructions` are the criteria, a template as a rubric's. `steps` are what the judge follows; without them one call,
    the same for every sample, writes them. Where the endpoint gives logprobs of the number's token, the score is
    sum(p * s) / sum(p) over the likeliest 20 tokens that are numbers of the scale, those below 1 % left out; else it is the
    mean of `votes` draws. `method` in the evidence says which. The value is (score - low) / (high - low). Range [0, 1],
    higher is better. An empty output is judged like any other.
    Source: Liu et al. 2023 (arXiv 2303.16634); the 1 % as in DeepEval's GEval.
    """

    name = "g_eval"
    needs = frozenset({"inputs", "reference", "context", "history", "tool_calls", "metadata", "judge"})
    example = {
        "instructions": "Question: {{ inputs.question }}\nIs the answer coherent?",
        "steps": ["Read the answer.", "Check that each sentence follows from the one before."],
    }

    instructions: Annotated[str, msgspec.Meta(min_length=1)]
    steps: list[Annotated[str, msgspec.Meta(min_length=1)]] | None = None
    scale: VerdictScale = VerdictScale(0, 10)
    votes: Annotated[int, msgspec.Meta(ge=1, le=25)] = 5

    def check(self) -> None:
        super().check()
        template.variables_of(self.instructions, "/args/instructions")
        if self.steps == []:
            raise ScorerConfigError("give at least one step, or leave `steps` away to have them written", "/args/steps")
        low, high = self.scale.low, self.scale.high
        if not (math.isfinite(high - low) and float(low).is_integer() and float(high).is_integer() and low < high):
            raise ScorerConfigError("`low` and `high` must be whole numbers, `low` below `high`", "/args/scale")
        if high - low > _MOST_STEPS:
            raise ScorerConfigError(f"a scale has at most {_MOST_STEPS} steps", "/args/scale")

    @property
    def reads(self) -> frozenset[str]:
        return template.needs_of(self.instructions) | {"judge"}

    @property
    def requires(self) -> frozenset[str]:
        return super().requires - template.tested(self.instructions)

    async def judge(self, sample: Sample, models: Models, sample_index: int) -> Score:
        judge = models.judge
        case, mark = template.fill(self.instructions, sample, judge)
        try:
            steps = self.steps or await self._written_steps(judge)
            messages = self._messages(steps, case, mark)
            schema = self._schema()
            number = sample_index * self.votes
            reply = await judge.ask(messages, schema, sample_index=number, top_logprobs=_TOP)
            first = verdicts.vote(reply, self._read)
        except NoVerdictError as exc:
            return Score.unscored(f"the judge wrote no steps: {exc}")
        if first.verdict is not None and (weighted := self._weighted(first.verdict, reply.logprobs)) is not None:
            return self.scored(
                self._unit(weighted),
                first.verdict.reason,
                evidence={"method": "logprobs", "score": weighted, "chosen": first.verdict.label, "steps": list(steps)},
            )
        votes = [first]
        if self.votes > 1:
            votes += await verdicts.ask(judge, messages, schema, self.votes - 1, self._read, first=number + 1)
        method = {"method": f"mean of {self.votes}", "steps": list(steps)}
        return verdicts.combine(
            votes, lambda value, reason, _, evidence: self.scored(value, reason, evidence=evidence | method)
        )

    async def _written_steps(self, judge: Judge) -> list[str]:
        """The steps that the judge writes to the criteria: equal calls for all samples, so that they may be kept."""
        reply = await reply_to(judge, prompt(_STEPS, {"criteria": self.instructions}), strings_schema("steps"), 0)
        steps = read_strings(reply, "steps")
        if not steps:
            raise NoVerdictError("the list is empty")
        return steps

    def _messages(self, steps: Sequence[str], case: str, mark: str) -> list[dict[str, Any]]:
        listed = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))
        task = _TASK.format(steps=listed, guard=GUARD, low=int(self.scale.low), high=int(self.scale.high))
        return [
            {"role": "system", "content": without_surrogates(task)},
            {"role": "user", "content": f"The mark is {mark}.\n\n{case}"},
        ]

    def _numbers(self) -> range:
        return range(int(self.scale.low), int(self.scale.high) + 1)

    def _schema(self) -> dict[str, Any]:
        return fields_schema(reason={"type": "string"}, verdict={"type": "integer", "enum": list(self._numbers())})

    def _read(self, reply: dict[str, Any]) -> Verdict:
        reason, verdict = reply.get("reason"), reply.get("verdict")
        if not isinstance(reason, str):
            raise NoVerdictError("its reply has no reason")
        if isinstance(verdict, bool) or not isinstance(verdict, int | float) or verdict not in self._numbers():
            low, high = int(self.scale.low), int(self.scale.high)
            raise NoVerdictError(f"verdict {verdicts.quoted(verdict)} is not a whole number from {low} to {high}")
        return Verdict(f"{verdict:g}", self._unit(verdict), reason)

    def _unit(self, score: float) -> float:
        return (score - self.scale.low) / (self.scale.high - self.scale.low)

    def _weighted(self, verdict: Verdict, logprobs: Sequence[TokenLogprob] | None) -> float | None:
        """The expected score at the token that is the verdict, the reply's last word; None when that is no token alone."""
        token = next((each for each in reversed(logprobs or []) if any(sign.isalnum() for sign in each.token)), None)
        if token is None or token.token.strip() != verdict.label:
            return None
        found = {token.token: token.logprob, **token.top}
        weights: dict[int, float] = {}
        allowed = {str(number): number for number in self._numbers()}
        for text, logprob in found.items():
            if (score := allowed.get(text.strip())) is not None and math.exp(logprob) >= _LEAST:
                weights[score] = weights.get(score, 0.0) + math.exp(logprob)
        total = math.fsum(weights.values())
        if not total:
            return None
        return math.fsum(score * weight for score, weight in weights.items()) / total
