"""Labels that are there already: what people said of served answers, and what a dataset's items carry."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.schemas import Caller
from app.calibration.pairs import Verdicts
from app.calibration.schemas import FromDataset, FromFeedback, HumanLabel, Said
from app.datasets.schemas import Item
from app.datasets.sensitivity import above, highest
from app.datasets.service import Datasets
from app.feedback.filters import Filters
from app.feedback.schemas import InferenceRead, RatingRead
from app.feedback.service import Feedback
from app.kit.errors import ForbiddenError, InvalidContentError, NotFoundError
from app.registry.service import Registry

_PAGE = 200


class Found(NamedTuple):
    """Labels, and how many answers could not be used for which reason."""

    labels: list[HumanLabel]
    problems: dict[str, int]


async def of_dataset(session: AsyncSession, caller: Caller, asked: FromDataset) -> Found:
    """The items that carry a label. Raises `InvalidContentError` when there is no such dataset, or none of its items does,
    and `ForbiddenError` when it holds values above the clearance of who asks."""
    if asked.output is not None and asked.model is not None:
        raise InvalidContentError.at("/dataset/output", "the answer is in a field or was recorded: give one of both")
    registry = Registry(session, caller.project_id, actor=caller.actor)
    try:
        dataset = await registry.resolve("dataset", asked.dataset)
    except NotFoundError as error:
        raise InvalidContentError.at("/dataset/dataset", error.detail) from error
    if above(level := highest(dataset.content), caller.clearance):
        # Labels, answers and what is wrong with them are quoted: nothing of a masked value would stay hidden.
        raise ForbiddenError(
            f"{asked.dataset} holds {level} values, and this key's clearance is {caller.clearance}: it cannot be calibrated by"
        )
    items = await Datasets(session, caller.project_id, actor=caller.actor).items(dataset)
    problems: Counter[str] = Counter()
    labels: list[HumanLabel] = []
    for item in items:
        human = _said(item.metadata.get(asked.human))
        if item.erased or human is None:
            problems["erased" if item.erased else "no label"] += 1
            continue
        labels.append(
            HumanLabel(
                human=human,
                judge=None if asked.judge is None else _said(item.metadata.get(asked.judge)),
                id=item.id,
                output=_output(item, asked),
                inputs=item.inputs,
                reference=item.reference,
                history=item.history,
                metadata={
                    name: value for name, value in item.metadata.items() if name not in (asked.human, asked.judge)
                },
                cluster=item.cluster,
            )
        )
    if not labels:
        raise InvalidContentError.at("/dataset/human", f"no item of {asked.dataset} has metadata {asked.human!r}")
    return Found(labels, dict(problems))


def _output(item: Item, asked: FromDataset) -> str | None:
    if asked.model is not None:
        recorded = item.recorded.get(asked.model)
        return recorded.get("text") if isinstance(recorded, Mapping) else getattr(recorded, "text", None)
    value = None if asked.output is None else item.metadata.get(asked.output)
    return value if isinstance(value, str) else None


def _said(value: Any) -> Said | None:
    return value if isinstance(value, str | bool | int | float) and value != "" else None


async def of_feedback(
    session: AsyncSession, caller: Caller, feedback: Feedback, asked: FromFeedback, verdicts: Verdicts
) -> Found:
    """The newest answers with a current rating of the signal, or a correction when that stands for a label.

    Several raters count by what most of them say, on a scale by their mean; an answer on which they are divided is left
    out. Raises `InvalidContentError` for a value that stands for no label.
    """
    by_answer: dict[str, list[RatingRead]] = defaultdict(list)
    cursor = None
    while True:
        # Of a correction the signal does not matter: whoever corrects says that it was wrong.
        filters = Filters(prompt=asked.prompt, signal=None if asked.corrected is not None else asked.signal)
        page = await feedback.page(session, caller.project_id, filters, _PAGE, cursor)
        for rating in page.items:
            if rating.signal == asked.signal or rating.correction is not None:
                by_answer[rating.inference_id].append(rating)
        cursor = page.next_cursor
        if cursor is None or len(by_answer) > asked.limit:
            break
    problems: Counter[str] = Counter()
    labels: list[HumanLabel] = []
    for answer_id, ratings in list(by_answer.items())[: asked.limit]:
        human = _verdict(ratings, asked, verdicts)
        answer = await _answer(session, caller, feedback, answer_id)
        if human is None:
            problems["raters are divided"] += 1
        elif answer is None or answer.output is None:
            problems["no text was kept"] += 1
        else:
            labels.append(_label(answer, human))
    if not labels:
        raise InvalidContentError.at("/feedback", f"no answer of {asked.prompt} with its text has such a rating")
    return Found(labels, dict(problems))


async def _answer(session: AsyncSession, caller: Caller, feedback: Feedback, answer_id: str) -> InferenceRead | None:
    try:
        return await feedback.inference(session, caller.project_id, answer_id)
    except NotFoundError:  # a rating outlives its answer
        return None


def _verdict(ratings: Sequence[RatingRead], asked: FromFeedback, verdicts: Verdicts) -> str | None:
    if asked.corrected is not None and any(rating.correction is not None for rating in ratings):
        return _read(asked.corrected, "/feedback/corrected", verdicts)
    said = [_read(_value(rating.value, asked), "/feedback/values", verdicts) for rating in ratings]
    if verdicts.interval:
        return verdicts.at(sum(map(verdicts.score, said)) / len(said))
    (first, most), *others = Counter(said).most_common(2)
    return None if others and others[0][1] == most else first


def _value(value: float, asked: FromFeedback) -> Said:
    return asked.values.get(f"{value:g}", value)


def _read(said: Said, pointer: str, verdicts: Verdicts) -> str:
    try:
        return verdicts.read(said)
    except ValueError as error:
        detail = f"a rating stands for no label: {error}; say in `values` what it means"
        raise InvalidContentError.at(pointer, detail) from error


def _label(answer: InferenceRead, human: str) -> HumanLabel:
    return HumanLabel(human=human, id=answer.id, output=answer.output, inputs=answer.variables or {})
