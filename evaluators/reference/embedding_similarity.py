"""How near output and reference are as vectors."""

import math
from typing import Literal

from evaluators.contract import Direction, Sample, Score, ValueRange
from evaluators.judging import JudgeScorer, JudgeUnavailableError, Models
from evaluators.text import clip, texts


class EmbeddingSimilarity(JudgeScorer, frozen=True):
    """Nearness of the output's vector to the reference's, as an embedding model sees them.

    `measure_by: cosine` is u·v / (|u| |v|), negative values counted as 0: range [0, 1], higher is better. `dot` is u·v,
    negative values counted as 0: from 0 without an upper bound, higher is better. `euclidean` is |u - v|: from 0 without
    an upper bound, lower is better. Several references: the best counts; all texts are embedded in one call. An empty
    output is unparsable (0), but an error where lower is better, for 0 would praise it; a reference without text is
    skipped. Vectors that are no finite numbers, or zero under the cosine, are an error.

    Source: the definitions of promptfoo's `similar` and of autoevals' `EmbeddingSimilarity`, without the latter's
    rescaling of the cosine from 0.7.
    """

    name = "embedding_similarity"
    needs = frozenset({"reference", "embeddings"})
    example = {"threshold": 0.75}

    measure_by: Literal["cosine", "dot", "euclidean"] = "cosine"

    @property
    def value_range(self) -> ValueRange:
        direction: Direction = "minimize" if self.measure_by == "euclidean" else "maximize"
        return ValueRange(direction, 0.0, 1.0 if self.measure_by == "cosine" else None, None)

    def lacking(self, sample: Sample) -> str | None:
        reason = super().lacking(sample)
        if reason is None and not _references(sample):
            return f"{self.name} compares text, and the reference has none: {clip(str(sample.reference))}"
        return reason

    async def judge(self, sample: Sample, models: Models, sample_index: int) -> Score:
        if not sample.output.strip():
            if self.measure_by == "euclidean":
                return Score.error("an empty output has no vector, so there is no distance")
            return Score.unparsable("the output is empty")
        references = _references(sample)
        output, *vectors = await models.embed([sample.output, *references])
        values = [self._value(output, each) for each in vectors]
        best = (min if self.measure_by == "euclidean" else max)(values)
        evidence = {"reference": values.index(best), "values": [round(each, 6) for each in values]}
        of = f", the best of {len(values)} references" if len(values) > 1 else ""
        return self.scored(
            best, f"{self.measure_by} of the output's and the reference's vectors{of}", evidence=evidence
        )

    def _value(self, left: list[float], right: list[float]) -> float:
        if self.measure_by == "euclidean":
            value = math.dist(left, right)
        elif self.measure_by == "dot":
            value = max(0.0, _dot(left, right))
        else:
            lengths = math.hypot(*left) * math.hypot(*right)
            if lengths == 0:
                raise JudgeUnavailableError("a vector has the length 0, so there is no angle")
            value = min(1.0, max(0.0, _dot(left, right) / lengths))
        if not math.isfinite(value):
            raise JudgeUnavailableError("the vectors hold a value that is no finite number")
        return value


def _dot(left: list[float], right: list[float]) -> float:
    value = math.fsum(a * b for a, b in zip(left, right, strict=True))
    if math.isnan(value):  # max(0.0, nan) would be 0
        raise JudgeUnavailableError("the vectors hold a value that is no finite number")
    return value


def _references(sample: Sample) -> list[str]:
    return [each for each in texts(sample.references) if each.strip()]
