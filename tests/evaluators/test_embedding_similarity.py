"""Vectors are compared as the measure says; what is no vector is never a value."""

import math
from collections.abc import Sequence

import pytest

from evaluators import Embeddings, JudgeScorer, JudgeUnavailableError, Models, Sample, Score, build

VECTORS = {
    "out": [3.0, 4.0],
    "same": [6.0, 8.0],
    "other": [4.0, -3.0],
    "against": [-3.0, -4.0],
    "zero": [0.0, 0.0],
    "nan": [math.nan, 1.0],
}


class Table:
    """Embeds by looking up; counts how often it is asked."""

    name = "table"

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        self.asked.append(list(texts))
        if "down" in texts:
            raise JudgeUnavailableError("no route")
        return Embeddings([VECTORS[each] for each in texts], cost_usd=0.25, tokens=7)


async def scored(output: str, reference: object, table: Table | None = None, **args: object) -> Score:
    scorer = build("embedding_similarity", args)
    assert isinstance(scorer, JudgeScorer)
    return await scorer.score_with(Sample(output=output, reference=reference), Models(embedder=table or Table()))


async def test_each_measure_is_what_its_name_says() -> None:
    assert (await scored("out", "same")).value == pytest.approx(1)
    assert (await scored("out", "other")).value == pytest.approx(0)
    assert (await scored("out", "against")).value == 0
    assert (await scored("out", "same", measure_by="dot")).value == pytest.approx(50)
    far = await scored("out", "same", measure_by="euclidean", threshold=6.0)
    assert (far.value, far.passed, far.direction) == (pytest.approx(5), True, "minimize")


async def test_of_several_references_the_best_counts_and_one_call_is_made() -> None:
    table = Table()
    score = await scored("out", ["other", "same"], table)
    assert (score.value, score.evidence) == (pytest.approx(1), {"reference": 1, "values": [0.0, 1.0]})
    assert table.asked == [["out", "other", "same"]]
    assert (score.cost, score.tokens) == (0.25, 7)


@pytest.mark.parametrize(("output", "reference"), [("out", "zero"), ("out", "nan"), ("nan", "out"), ("down", "out")])
async def test_what_is_no_vector_is_an_error_and_no_value(output: str, reference: str) -> None:
    score = await scored(output, reference)
    assert (score.status, score.value) == ("error", None)


async def test_an_empty_output_is_0_but_no_perfect_distance() -> None:
    assert (await scored(" ", "same")).label == "unparsable"
    assert (await scored("", "same", measure_by="euclidean")).status == "error"
    assert (await scored("out", {"a": 1})).status == "skipped"
