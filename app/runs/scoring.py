"""From an answer and its item to scores: pure scorers in batches off the event loop, judges one by one."""

import hashlib
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

import msgspec

from app.datasets.schemas import Item
from app.generation.schemas import Answer, Bundle, CaseInput
from app.generation.service import sent, tools_of
from app.kit.digests import digest, key_of
from app.kit.errors import FieldError, InvalidContentError
from app.registry.kinds.suite import ScorerSpec, arguments
from app.registry.service import Artifact
from app.runs.asking import Judging
from app.runs.derived import check_reduction
from app.runs.schemas import NANO
from app.runs.spec import Metric
from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.judging import JudgeScorer, Models
from evaluators.own.loading import OwnScorers, is_own
from evaluators.registry import build, get

ITEM_NEEDS = ("reference", "inputs", "history", "metadata")
"""What a scorer may need of the item; all else that it may need is part of the answer, and so of the cell's key."""

_encode = msgspec.json.Encoder(order="deterministic").encode


def metric_of(spec: ScorerSpec, judging: Judging | None, pointer: str, own: OwnScorers) -> Metric:
    """A suite's scorer, resolved. Raises `InvalidContentError` at `pointer` when it cannot be built."""
    try:
        scorer, source = _built(spec.use, spec.args, None if judging is None else judging.rubric, own)
    except ScorerConfigError as error:
        raise InvalidContentError(error.message, [FieldError(pointer + error.pointer, error.message)]) from error
    read = scorer.value_range
    check_reduction(spec.reduce, spec.k, scorer.verdict(read.low) is not None, pointer)
    parts: dict[str, Any] = {"use": spec.use, "version": scorer.version, "args": scorer.arguments()}
    if source is not None:
        parts["source"] = source
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
        measured="time_to_first_token" in scorer.reads,
        source=source,
        reduce=spec.reduce,
        k=spec.k or 1,
        identity=digest(parts if judging is None else parts | judging.identity()),
        **({} if judging is None else judging.fields()),
    )


def rebuilt(metric: Metric, rubric: Artifact | None, own: OwnScorers) -> Scorer:
    """The scorer of a stored metric. Raises `InvalidContentError` when its file is another now."""
    try:
        scorer, source = _built(metric.use, metric.args, rubric, own)
    except ScorerConfigError as error:
        raise InvalidContentError(error.message) from error
    if source != metric.source:
        raise InvalidContentError(
            f"{metric.use} changed since the run was made; score the run again, or make a new one"
        )
    return scorer


def _built(use: str, args: Mapping[str, Any], rubric: Artifact | None, own: OwnScorers) -> tuple[Scorer, str | None]:
    """The scorer of a suite's entry: of a judge with its own arguments, and what its rubric says; of a team's own the source's
    digest with it. Raises ScorerConfigError."""
    if is_own(use):
        return own.load(use, args)
    scorer = get(use)
    if not issubclass(scorer, JudgeScorer):
        return build(use, args), None
    return build(use, arguments(scorer, args, None if rubric is None else rubric.content)), None


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

    @property
    def compares(self) -> bool:
        """It reads the other variants' answers to the same case, and so comes after all of them."""
        return "others" in self.scorer.reads

    def key(self, cell_key: str, item: Item, others: Sequence[str] = ()) -> str:
        """The score's key: the cell's, what the scorer is, the item's fields that it reads, and the cells compared with."""
        read = {need: getattr(item, need) for need in self.needs}
        return key_of(cell_key, self.metric.identity, hashlib.sha256(_encode(read)).hexdigest(), *others)

    def not_applicable(self, item: Item) -> Scored | None:
        """The score of a case that this metric is not for."""
        if self.metric.applies_to(item.tags):
            return None
        only = ", ".join(self.metric.when)
        return Scored(Score.skipped(f"{self.metric.name} is only for items tagged {only}"), None)

    def scored(self, score: Score, given: "Given") -> Scored:
        key = None if score.status == "error" else self.key(given.key, given.item, given.others)
        return Scored(score, key)


class Given(NamedTuple):
    """A cell to score: its key, its item, its answer, and what made the answer. `others` are the keys of the cells that it
    is compared with, `other_texts` what they answered."""

    key: str
    item: Item
    answer: Answer
    bundle: Bundle
    others: tuple[str, ...] = ()
    other_texts: tuple[str, ...] = ()


def sample_of(given: Given, reads: Set[str]) -> Sample:
    """What a scorer sees of a cell. What takes work to find out is left out where it does not read it."""
    item, answer, bundle = given.item, given.answer, given.bundle
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
        chunks=answer.chunks,
        prompt=sent(bundle, CaseInput(item.inputs, item.history), answer.context) if "prompt" in reads else None,
        tools=tools_of(bundle) if "tools" in reads else None,
        trajectory=_trajectory(answer, bundle) if "trajectory" in reads else None,
        logprobs=answer.logprobs,
        ttft_ms=answer.ttft_ms,
        others=list(given.other_texts) or None,
    )


def _trajectory(answer: Answer, bundle: Bundle) -> list[dict[str, Any]] | None:
    """What followed the first messages. Of one reply it is that reply; of several rounds it must have been stored."""
    if answer.trajectory is not None:
        return answer.trajectory
    looped = bundle.tools is not None and bundle.tools.results.kind != "none" and bundle.endpoint.provider != "replay"
    if answer.tool_calls and looped:
        return None
    reply: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.tool_calls:
        reply["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in answer.tool_calls
        ]
    return [reply]


def fault(metric: Metric, answer: Answer) -> Score | None:
    """The worst value for an answer that the model itself failed to give; None for a raw measure, which is measured."""
    if answer.status != "failed" or metric.high is None:
        return None
    worst = metric.low if metric.direction == "maximize" else metric.high
    return Score.ok(worst, f"the model gave no usable answer: {answer.error}", passed=False, label="failed")


def score_batch(live: LiveMetric, given: Sequence[Given]) -> list[Scored]:
    """Scores of one pure scorer, in order. CPU work: call it off the event loop."""
    found: dict[int, Scored] = {}
    open_: list[int] = []
    for i, cell in enumerate(given):
        if (skipped := live.not_applicable(cell.item)) is not None:
            found[i] = skipped
        elif (score := fault(live.metric, cell.answer)) is not None:
            found[i] = live.scored(score, cell)
        else:
            open_.append(i)
    reads = live.scorer.reads
    scores = live.scorer.score_batch([sample_of(given[i], reads) for i in open_])
    for i, score in zip(open_, scores, strict=True):
        found[i] = live.scored(score, given[i])
    return [found[i] for i in range(len(given))]


async def judged(live: LiveMetric, given: Given, models: Models) -> Scored:
    """The score of one scorer that asks a model."""
    if (skipped := live.not_applicable(given.item)) is not None:
        return skipped
    score = fault(live.metric, given.answer)
    if score is None:
        scorer = live.scorer
        if not isinstance(scorer, JudgeScorer):
            raise TypeError(f"{scorer.name} is no judge")
        score = await scorer.score_with(sample_of(given, scorer.reads), models)
    return live.scored(score, given)
