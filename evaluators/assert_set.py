"""Several scorers as one."""

import functools
import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from evaluators.contract import NEEDS, Sample, Score, Scorer, ScorerConfigError
from evaluators.judging import JudgeScorer
from evaluators.registry import build
from evaluators.text import clip

_ASKING = frozenset({"judge", "embeddings"})


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scorer of a set. Explanations call it `name`, or `use`."""

    use: str
    args: dict[str, Any] = {}
    weight: float = 1.0
    name: str | None = None

    @property
    def title(self) -> str:
        return self.name or self.use


class AssertSet(Scorer, frozen=True):
    """The mean of the parts' scores by their weights; passed when it reaches `threshold`, or without one when all parts pass.

    A part whose values lie in [0, 1] with higher being better counts with its value; any other counts 1 when it passes and
    0 when it fails, so that it needs a verdict (a `threshold` mostly). A part of weight 0 is measured and shown, and decides
    nothing. When a part has no value the set has none, with the worst status among them: error, unscored, skipped. Parts
    are scorers that ask no model; sets within a set hold no further sets. Range [0, 1], higher is better.
    Source: promptfoo 0.123, `assert-set` (src/assertions/assertionsResult.ts).
    """

    name = "assert_set"
    needs = NEEDS - _ASKING
    example = {
        "assert": [
            {"use": "contains", "args": {"values": ["refund"]}, "weight": 2},
            {"use": "length", "args": {"unit": "words", "max": 120}},
        ],
        "threshold": 0.5,
    }

    parts: Annotated[list[Part], msgspec.Meta(min_length=1, max_length=100)] = msgspec.field(name="assert")

    def check(self) -> None:
        super().check()
        for index, (part, scorer) in enumerate(zip(self.parts, self.built, strict=True)):
            pointer = f"/args/assert/{index}"
            if not (math.isfinite(part.weight) and part.weight >= 0):
                raise ScorerConfigError(f"a weight is a number from 0, not {part.weight}", f"{pointer}/weight")
            if scorer.verdict(scorer.value_range.low) is None and (self.threshold is None or not _is_mean(scorer)):
                message = f"{part.title} neither passes nor fails; give it a `threshold`"
                raise ScorerConfigError(message, f"{pointer}/args/threshold")
            if isinstance(scorer, AssertSet) and any(isinstance(each, AssertSet) for each in scorer.built):
                raise ScorerConfigError("a set within a set holds no further sets", f"{pointer}/args/assert")
        if not math.isfinite(sum(part.weight for part in self.parts)):
            raise ScorerConfigError("the weights are too large to be added", "/args/assert")
        if not any(part.weight for part in self.parts):
            raise ScorerConfigError("every part has the weight 0, so that nothing counts", "/args/assert")

    @functools.cached_property
    def built(self) -> list[Scorer]:
        return [self._build(index, part) for index, part in enumerate(self.parts)]

    @staticmethod
    def _build(index: int, part: Part) -> Scorer:
        pointer = f"/args/assert/{index}"
        try:
            scorer = build(part.use, part.args)
        except ScorerConfigError as exc:
            raise ScorerConfigError(exc.message, pointer + exc.pointer) from exc
        if isinstance(scorer, JudgeScorer) or scorer.needs & _ASKING:
            message = f"{part.use} asks a model, and a set is computed without one; make it a scorer of its own"
            raise ScorerConfigError(message, f"{pointer}/use")
        return scorer

    @property
    def reads(self) -> frozenset[str]:
        return frozenset[str]().union(*(scorer.reads for scorer in self.built))

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()  # each part says itself what it lacks

    def verdict(self, value: float) -> bool | None:
        """By the threshold; a set without one passes by its parts, and full marks mean that all of them pass."""
        return value == 1 if self.threshold is None else super().verdict(value)

    def arguments(self) -> dict[str, Any]:
        """As for every scorer, with the parts' definition versions: a part that is defined anew is a set defined anew."""
        parts = [
            {**msgspec.to_builtins(part), "version": scorer.version, "args": scorer.arguments()}
            for part, scorer in zip(self.parts, self.built, strict=True)
        ]
        return {**super().arguments(), "assert": parts}

    def measure(self, sample: Sample) -> Score:
        return self.measure_batch([sample])[0]

    def measure_batch(self, samples: Sequence[Sample]) -> list[Score]:
        columns = [scorer.score_batch(samples) for scorer in self.built]
        return [self._combined(row) for row in zip(*columns, strict=True)]

    def _combined(self, scores: Sequence[Score]) -> Score:
        for status in ("error", "unscored", "skipped"):
            for part, score in zip(self.parts, scores, strict=True):
                if score.status == status:
                    return Score(value=None, status=status, explanation=f"{part.title}: {score.explanation}")
        weighted = total = 0.0
        failed: list[str] = []
        shown: list[dict[str, Any]] = []
        for part, scorer, score in zip(self.parts, self.built, scores, strict=True):
            value = float(score.value or 0) if _is_mean(scorer) else float(score.passed is True)
            weighted, total = weighted + value * part.weight, total + part.weight
            if score.passed is False and part.weight:
                failed.append(f"{part.title} ({clip(score.explanation)})" if score.explanation else part.title)
            shown.append({"name": part.title, "value": score.value, "passed": score.passed, "weight": part.weight})
        if self.negate and any(score.label == "unparsable" for score in scores):
            return Score.unparsable("the output cannot be read by a part of the set")
        explanation = f"failed: {', '.join(failed[:5])}" if failed else "no part failed"
        made = self.scored(min(weighted / total, 1.0), explanation, evidence={"parts": shown})
        if self.threshold is not None:
            return made
        return msgspec.structs.replace(made, passed=(not failed) != self.negate)


def _is_mean(scorer: Scorer) -> bool:
    """Whether the scorer's values can go into the mean as they are."""
    values = scorer.value_range
    return values.direction == "maximize" and values.low == 0 and values.high == 1
