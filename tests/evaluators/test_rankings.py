"""Rankings get the values of trec_eval's definitions and of scikit-learn."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from evaluators import Chunk, Sample, Score, ScorerConfigError, build

ALL = ["hit_at_k", "precision_at_k", "recall_at_k", "mrr", "average_precision", "ndcg_at_k"]
IDS = st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True)
GRADES = st.dictionaries(st.sampled_from("abcdefghxy"), st.integers(1, 4), min_size=1, max_size=6)


def sample(found: list[str], relevant: Any) -> Sample:
    return Sample(output="", chunks=[Chunk(id=each, text="") for each in found], metadata={"relevant": relevant})


def score(use: str, found: list[str], relevant: Any, **args: Any) -> Score:
    return build(use, args).score(sample(found, relevant))


def value(use: str, found: list[str], relevant: Any, **args: Any) -> float:
    result = score(use, found, relevant, **args).value
    assert result is not None
    return result


@settings(deadline=None, max_examples=50)
@given(IDS, GRADES, st.integers(1, 10))
def test_values_are_those_of_trec_evals_definitions(found: list[str], grades: dict[str, int], k: int) -> None:
    hits = [each in grades for each in found]
    expected = {
        "hit_at_k": float(any(hits[:k])),
        "precision_at_k": sum(hits[:k]) / k,
        "recall_at_k": sum(hits[:k]) / len(grades),
        "average_precision": sum(sum(hits[: i + 1]) / (i + 1) for i in range(len(hits[:k])) if hits[i]) / len(grades),
    }
    for use, wanted in expected.items():
        assert value(use, found, grades, k=k) == pytest.approx(wanted)
        assert value(use, found, list(grades), k=k) == pytest.approx(wanted)
    assert value("mrr", found, grades) == (1 / (hits.index(True) + 1) if any(hits) else 0)


@settings(deadline=None, max_examples=50)
@given(st.permutations(list("abcdef")), GRADES.filter(lambda grades: set(grades) <= set("abcdef")), st.integers(1, 6))
def test_gain_and_average_precision_are_scikit_learns(found: list[str], grades: dict[str, int], k: int) -> None:
    scores = [[len(found) - place for place in range(len(found))]]
    linear = [[grades.get(each, 0) for each in found]]
    exponential = [[2 ** grades.get(each, 0) - 1 for each in found]]
    assert value("ndcg_at_k", found, grades, k=k) == pytest.approx(ndcg_score(linear, scores, k=k))
    assert value("ndcg_at_k", found, grades, k=k, gain="exponential") == pytest.approx(
        ndcg_score(exponential, scores, k=k)
    )
    hits = [each in grades for each in found]
    assert value("average_precision", found, grades) == pytest.approx(average_precision_score(hits, scores[0]))


@pytest.mark.parametrize("use", ALL)
@settings(deadline=None, max_examples=50)
@given(IDS, GRADES)
def test_values_stay_in_range_and_the_best_ranking_gets_the_most(
    use: str, found: list[str], grades: dict[str, int]
) -> None:
    best = sorted(grades, key=lambda each: -grades[each])
    assert 0 <= value(use, found, grades) <= value(use, best, grades) <= 1
    if use != "precision_at_k":
        assert value(use, best, grades) == pytest.approx(1)


@pytest.mark.parametrize("use", ["hit_at_k", "recall_at_k", "average_precision"])
@settings(deadline=None, max_examples=50)
@given(IDS, GRADES)
def test_looking_further_never_finds_less(use: str, found: list[str], grades: dict[str, int]) -> None:
    values = [value(use, found, grades, k=k) for k in range(1, 10)]
    assert values == sorted(values)


def test_the_two_gains_differ_only_for_grades_beyond_one() -> None:
    # By hand: DCG = 1/1 + 3/log2(3), best 3/1 + 1/log2(3); with gains 2^g - 1: 1 + 7/log2(3), best 7 + 1/log2(3).
    log = math.log2(3)
    assert value("ndcg_at_k", ["a", "b"], {"a": 1, "b": 3}) == pytest.approx((1 + 3 / log) / (3 + 1 / log))
    assert value("ndcg_at_k", ["a", "b"], {"a": 1, "b": 3}, gain="exponential") == pytest.approx(
        (1 + 7 / log) / (7 + 1 / log)
    )
    assert value("ndcg_at_k", ["x", "a"], ["a"]) == value("ndcg_at_k", ["x", "a"], ["a"], gain="exponential")


def test_an_id_that_is_retrieved_twice_counts_once_at_its_first_place() -> None:
    assert value("precision_at_k", ["a", "a", "b"], ["a", "b"], k=2) == 1
    assert value("average_precision", ["x", "x", "a"], ["a"]) == 1 / 2
    assert value("recall_at_k", ["a", "a"], ["a", "b"]) == 1 / 2


def test_chunks_of_one_document_count_as_that_document_when_asked() -> None:
    found = ["doc#2", "doc#1", "other"]
    by_chunk = score("mrr", found, ["doc"])
    assert by_chunk.value == 0
    assert "ids: document" in by_chunk.explanation
    assert value("mrr", found, ["doc"], ids="document") == 1
    assert value("recall_at_k", found, ["doc#1", "other"], ids="document", k=2) == 1
    assert value("precision_at_k", found, {"doc": 2, "other": 0}, ids="document", k=2) == 1 / 2


@pytest.mark.parametrize("use", ALL)
def test_nothing_retrieved_is_zero_and_nothing_named_is_skipped(use: str) -> None:
    assert value(use, [], ["a"]) == 0
    for relevant in (None, [], {}, {"a": 0, "b": -1}):
        assert score(use, ["a"], relevant).status == "skipped"
    assert build(use, {}).score(Sample(output="", metadata={"relevant": ["a"]})).status == "skipped"


@pytest.mark.parametrize("relevant", [{"a": "high"}, {"a": math.nan}, [["a"]], [None], {"a": None}, {"a": 1e9}])
def test_relevance_that_cannot_be_read_is_an_error_and_no_value(relevant: Any) -> None:
    result = score("ndcg_at_k", ["a"], relevant)
    assert (result.status, result.value) == ("error", None)
    assert "metadata.relevant" in result.explanation


def test_the_relevant_ids_may_be_the_reference_or_an_input() -> None:
    chunks = [Chunk(id="7", text="")]
    found = Sample(output="", chunks=chunks, reference=["7"], inputs={"gold": {"ids": [7]}})
    assert build("mrr", {"relevant": "reference"}).score(found).value == 1
    assert build("mrr", {"relevant": "inputs.gold.ids"}).score(found).value == 1
    assert build("mrr", {"relevant": "reference"}).reads == {"chunks", "reference"}


@pytest.mark.parametrize(
    ("use", "args", "pointer"),
    [
        ("hit_at_k", {"k": 0}, "/args/k"),
        ("average_precision", {"k": -1}, "/args/k"),
        ("mrr", {"relevant": "gold"}, "/args/relevant"),
        ("mrr", {"relevant": "metadata."}, "/args/relevant"),
        ("ndcg_at_k", {"gain": "cubic"}, "/args/gain"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(use: str, args: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ScorerConfigError) as raised:
        build(use, args)
    assert raised.value.pointer == pointer
