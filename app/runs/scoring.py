"""From an answer and its item to scores: pure scorers in batches off the event loop, judges one by one."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from app.datasets.schemas import Item
from app.generation.schemas import Answer
from app.kit.digests import digest, key_of
from app.kit.errors import FieldError, InvalidContentError
from app.registry.kinds.rubric import Rubric
from app.registry.kinds.suite import ScorerSpec
from app.registry.service import Artifact, deciding
from app.runs.schemas import NANO
from app.runs.spec import Metric
from evaluators.contract import JudgeScorer, Sample, Score, Scorer, ScorerConfigError
from evaluators.registry import build

ITEM_NEEDS = ("reference", "inputs", "history", "metadata")
"""What a scorer may need of the item; all else that it may need is part of the answer, and so of the cell's key."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class Judging(NamedTuple):
    """A rubric and the endpoint that judges by it, as the run pinned them."""

    rubric: Artifact
    endpoint: Artifact


def metric_of(spec: ScorerSpec, judging: Judging | None, pointer: str) -> Metric:
    """A suite's scorer, resolved. Raises `InvalidContentError` at `pointer` when it cannot be built."""
    try:
        scorer = build(spec.use, arguments(spec.args, None if judging is None else judging.rubric.content))
    except ScorerConfigError as error:
        raise InvalidContentError(error.message, [FieldError(pointer + error.pointer, error.message)]) from error
    read = scorer.value_range
    parts: dict[str, Any] = {"use": spec.use, "version": scorer.version, "args": scorer.arguments()}
    if judging is not None:
        parts["rubric"] = digest(deciding(judging.rubric))
        parts["judge"] = digest(deciding(judging.endpoint))
    return Metric(
        name=spec.metric,
        use=spec.use,
        version=scorer.version,
        args=spec.args,
        when=spec.when,
        weight=spec.weight,
        direction=read.direction,
        low=read.low,
        high=read.high,
        unit=read.unit,
        binary=scorer.binary,
        identity=digest(parts),
        rubric=None if judging is None else judging.rubric.digest,
        rubric_ref=None if judging is None else judging.rubric.ref,
        judge=None if judging is None else judging.endpoint.digest,
    )


def arguments(args: Mapping[str, Any], rubric: Rubric | None) -> dict[str, Any]:
    """A scorer's arguments; those of a judge come from its rubric, and the suite may add to them."""
    if rubric is None:
        return dict(args)
    given: dict[str, Any] = {"instructions": rubric.instructions, "votes": rubric.votes}
    if rubric.labels is not None:
        given["labels"] = rubric.labels
    if rubric.scale is not None:
        given["scale"] = msgspec.to_builtins(rubric.scale)
    if rubric.examples:
        given["examples"] = rubric.examples
    return given | {name: value for name, value in args.items() if name != "rubric"}


class LiveMetric(NamedTuple):
    """A metric with its scorer built."""

    metric: Metric
    scorer: Scorer

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(need for need in ITEM_NEEDS if need in self.scorer.reads)

    def key(self, cell_key: str, item: Item) -> str:
        """The score's key: the cell's, what the scorer is, and the item's fields that it reads."""
        read = {need: getattr(item, need) for need in self.needs}
        return key_of(cell_key, self.metric.identity, hashlib.sha256(_encode(read)).hexdigest())

    def applies_to(self, item: Item) -> bool:
        return self.metric.applies_to(item.tags)


def sample_of(item: Item, answer: Answer) -> Sample:
    usage = None if answer.usage is None else msgspec.to_builtins(answer.usage)
    calls = None if answer.tool_calls is None else [msgspec.to_builtins(call) for call in answer.tool_calls]
    return Sample(
        output=answer.text or "",
        reference=item.reference,
        inputs=item.inputs,
        history=item.history,
        context=answer.context,
        metadata=item.metadata,
        tags=tuple(item.tags),
        tool_calls=calls,
        finish_reason=answer.finish_reason,
        usage=usage,
        latency_ms=answer.latency_ms,
        cost_usd=None if answer.cost_nano is None else answer.cost_nano / NANO,
        model=answer.model,
    )


def fault(metric: Metric, answer: Answer) -> Score | None:
    """The worst value for an answer that the model itself failed to give; None for a raw measure, which is measured."""
    if answer.status != "failed" or metric.high is None:
        return None
    worst = metric.low if metric.direction == "maximize" else metric.high
    return Score.ok(worst, f"the model gave no usable answer: {answer.error}", passed=False, label="failed")


def score_batch(live: LiveMetric, items: Sequence[Item], answers: Sequence[Answer]) -> list[Score]:
    """Scores of one pure scorer, in order. CPU work: call it off the event loop."""
    scores: list[Score | None] = [fault(live.metric, answer) for answer in answers]
    for i, item in enumerate(items):
        if not live.applies_to(item):
            scores[i] = Score.skipped(f"{live.metric.name} is only for items tagged {', '.join(live.metric.when)}")
    open_ = [i for i, score in enumerate(scores) if score is None]
    for i, score in zip(open_, live.scorer.score_batch([sample_of(items[i], answers[i]) for i in open_]), strict=True):
        scores[i] = score
    return [score for score in scores if score is not None]


async def judged(live: LiveMetric, item: Item, answer: Answer, judge: Any) -> Score:
    """The score of one judge."""
    if not live.applies_to(item):
        return Score.skipped(f"{live.metric.name} is only for items tagged {', '.join(live.metric.when)}")
    if (score := fault(live.metric, answer)) is not None:
        return score
    scorer = live.scorer
    if not isinstance(scorer, JudgeScorer):
        raise TypeError(f"{scorer.name} is no judge")
    return await scorer.score_with(sample_of(item, answer), judge)
