"""Whether the question can be guessed from the answer, by questions that a model makes up."""

import math
from typing import Annotated

import msgspec

from evaluators.contract import Sample, Score
from evaluators.judge.asking import YES_NO, CaseJudge, fields_schema, prompt, read_choice, reply_to, together
from evaluators.judge.vectors import similarity
from evaluators.judge.verdicts import NoVerdictError
from evaluators.judging import Judge, Models

_TASK = """\
Write the one question that the text answers. Then say whether the text is noncommittal: "yes" when it is evasive, vague or \
says that it does not know, "no" when it commits itself; give your reason before."""

_SCHEMA = fields_schema(
    question={"type": "string"},
    reason={"type": "string"},
    noncommittal={"type": "string", "enum": list(YES_NO)},
)


class AnswerRelevance(CaseJudge, frozen=True):
    """Mean cosine of the question with `questions` (3) questions that a judge makes up from the answer alone.

    0 when all of them call the answer noncommittal, and for an empty output; a negative mean counts as 0. Range [0, 1],
    higher is better. Needs embeddings. No question in the case: skipped.
    Source: Ragas 0.3 (ResponseRelevancy), Es et al. 2023 (arXiv 2309.15217).
    """

    name = "answer_relevance"
    needs = frozenset({"inputs", "judge", "embeddings"})

    questions: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3

    async def decide(self, sample: Sample, models: Models, sample_index: int) -> Score:
        question = self.must_ask(sample)
        if not sample.output.strip():
            return self.scored(0, "the output is empty")
        numbers = [sample_index * self.questions + draw for draw in range(self.questions)]
        drawn = await together([_question(models.judge, sample.output, number) for number in numbers])
        made = [each for each, _ in drawn]
        cosines = await similarity(models, question, made)
        evasive = [label == "yes" for _, label in drawn]
        evidence = {"questions": made, "cosines": cosines, "noncommittal": evasive}
        if all(evasive):
            return self.scored(0, "the answer is noncommittal", label="noncommittal", evidence=evidence)
        mean = math.fsum(cosines) / len(cosines)
        said = f"questions made of the answer have a mean cosine of {mean:.3f} with the question"
        return self.scored(max(0.0, mean), said, evidence=evidence)


async def _question(judge: Judge, text: str, number: int) -> tuple[str, str]:
    """A question that the text answers, and whether the text is noncommittal."""
    reply = await reply_to(judge, prompt(_TASK, {"text": text}), _SCHEMA, number)
    question = reply.get("question")
    if not isinstance(question, str) or not question.strip():
        raise NoVerdictError("its reply has no question")
    return question, read_choice(reply, YES_NO, "noncommittal")[0]
