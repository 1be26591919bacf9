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
from app.runs.derived import check_reduction
from app.runs.schemas import NANO
from app.runs.spec import Metric
from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.judging import Judge, JudgeScorer
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
    check_reduction(spec.reduce, spec.k, scorer.verdict(read.low) is not None, pointer)
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
        reduce=spec.reduce,
        k=spec.k or 1,
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


class Scored(NamedTuple):
    """A score of a cell. One without a `key` is not kept: an error, or a metric that is not for this case.

    `fresh`: it was made now, and what its judge cost has not been counted.
    """

    score: Score
    key: str | None
    fresh: bool = True


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

    def not_applicable(self, item: Item) -> Scored | None:
        """The score of a case that this metric is not for."""
        if self.metric.applies_to(item.tags):
            return None
        only = ", ".join(self.metric.when)
        return Scored(Score.skipped(f"{self.metric.name} is only for items tagged {only}"), None)

    def scored(self, score: Score, cell_key: str, item: Item) -> Scored:
        return Scored(score, None if score.status == "error" else self.key(cell_key, item))


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


def score_batch(live: LiveMetric, given: Sequence[tuple[str, Item, Answer]]) -> list[Scored]:
    """Scores of one pure scorer for cells (key, item, answer), in order. CPU work: call it off the event loop."""
    found: dict[int, Scored] = {}
    open_: list[int] = []
    for i, (key, item, answer) in enumerate(given):
        if (skipped := live.not_applicable(item)) is not None:
            found[i] = skipped
        elif (score := fault(live.metric, answer)) is not None:
            found[i] = live.scored(score, key, item)
        else:
            open_.append(i)
    scores = live.scorer.score_batch([sample_of(given[i][1], given[i][2]) for i in open_])
    for i, score in zip(open_, scores, strict=True):
        found[i] = live.scored(score, given[i][0], given[i][1])
    return [found[i] for i in range(len(given))]


async def judged(live: LiveMetric, cell_key: str, item: Item, answer: Answer, judge: Judge) -> Scored:
    """The score of one judge."""
    if (skipped := live.not_applicable(item)) is not None:
        return skipped
    score = fault(live.metric, answer)
    if score is None:
        scorer = live.scorer
        if not isinstance(scorer, JudgeScorer):
            raise TypeError(f"{scorer.name} is no judge")
        score = await scorer.score_with(sample_of(item, answer), judge)
    return live.scored(score, cell_key, item)
