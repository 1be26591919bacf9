"""Asking a rubric's judge about answers that people have labelled, as a run would ask it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from app.calibration.pairs import Verdicts
from app.calibration.schemas import HumanLabel
from app.kit.errors import BudgetError, InvalidContentError, UpstreamError
from app.registry.kinds.suite import arguments
from app.runs.asking import Judging
from app.runs.judge import Panel, Purse
from evaluators.contract import Sample, Score, ScorerConfigError
from evaluators.judge.rubric import Rubric
from evaluators.judging import JudgeScorer
from evaluators.registry import build

AT_ONCE = 64


class Asked(NamedTuple):
    """A verdict for each label (None where there is none), what that cost, and how often which reason kept one away."""

    verdicts: list[str | None]
    cost_usd: float
    problems: dict[str, int]


async def ask(purse: Purse, judging: Judging, labels: Sequence[HumanLabel], budget_usd: float | None) -> Asked:
    """The judge's verdicts, paid from the purse. Nothing is stored.

    Raises `InvalidContentError` for labels without an output, `BudgetError` when the budget runs out (half a calibration
    would look like a whole one), and `UpstreamError` when the judge gave no verdict at all.
    """
    if missing := [i for i, label in enumerate(labels) if label.output is None]:
        detail = f"{len(missing)} labels have neither an `output` to judge nor a recorded `judge`"
        raise InvalidContentError.at(f"/labels/{missing[0]}/output", detail)
    rubric = judging.rubric
    if rubric is None:
        raise ValueError("a calibration is of a rubric")
    if budget_usd is not None and judging.judges[0].endpoint.content.price is None:
        raise InvalidContentError.at(
            "/budget_usd", "the judge's endpoint has no price, so that a budget cannot bound it"
        )
    try:
        scorer = build("rubric", arguments(Rubric, {}, rubric.content))
    except ScorerConfigError as error:
        raise InvalidContentError.at("/ref", f"the rubric cannot judge: {error.message}") from error
    if not isinstance(scorer, JudgeScorer):
        raise TypeError(f"{scorer.name} is no judge")
    panel = Panel(purse, judging, scorer)
    room = asyncio.Semaphore(AT_ONCE)

    async def one(label: HumanLabel) -> Score | None:
        async with room:
            return None if panel.unpaid else await scorer.score_with(_sample(label), panel.models)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(label)) for label in labels]
    found = [score for task in tasks if (score := task.result()) is not None]
    if panel.unpaid:
        raise BudgetError.at("/budget_usd", f"${budget_usd:g} are spent before all {len(labels)} answers were judged")
    reader = Verdicts(rubric.content)
    verdicts = [_verdict(reader, score) for score in found]
    reasons = [_reason(score) for score, verdict in zip(found, verdicts, strict=True) if verdict is None]
    if found and not any(verdicts):
        first = next(score.explanation for score in found)
        raise UpstreamError(f"the judge {judging.judges[0].name} gave no verdict at all: {first}")
    return Asked(verdicts, sum(score.cost for score in found), dict(Counter(reasons).most_common()))


def _sample(label: HumanLabel) -> Sample:
    return Sample(
        output=label.output or "",
        inputs=label.inputs,
        reference=label.reference,
        context=label.context,
        history=label.history,
        metadata=label.metadata,
    )


def _verdict(reader: Verdicts, score: Score) -> str | None:
    if score.value is None:
        return None
    return reader.at(score.value) if reader.interval else score.label


def _reason(score: Score) -> str:
    return score.status if score.value is None else "votes are tied"
