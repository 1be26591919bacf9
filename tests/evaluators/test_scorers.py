"""Every scorer keeps the contract, and gives the numbers of its reference."""

import math
import re
import string
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from evaluators.contract import Sample, Score, Scorer, ScorerConfigError
from evaluators.judging import JudgeScorer
from evaluators.registry import build, describe, get, names, schemas

PURE = [name for name in names() if describe(name).kind == "code"]
EXPECTED = """
contains cost exact_match fuzz_partial_ratio fuzz_ratio fuzz_token_set_ratio fuzz_token_sort_ratio is_json json_schema latency
length levenshtein numeric regex rubric starts_with token_f1
"""


def made(name: str) -> Scorer:
    return build(name, describe(name).example)


def test_the_scorers_of_the_first_release_are_there_without_a_list() -> None:
    assert set(EXPECTED.split()) <= set(names())
    assert set(schemas()) == set(names())


@pytest.mark.parametrize("name", PURE)
@settings(deadline=None)  # the first look at a sample imports what the scorer stands on
@given(
    output=st.text(max_size=60), reference=st.none() | st.text(max_size=30) | st.lists(st.text(max_size=10), max_size=3)
)
def test_any_output_gets_a_finite_value_in_range_or_a_reason(name: str, output: str, reference: object) -> None:
    scorer = made(name)
    sample = Sample(
        output=output,
        reference=reference,
        latency_ms=12.5,
        cost_usd=0.001,
        usage={"prompt_tokens": 1, "completion_tokens": 2},
    )
    score = scorer.score(sample)
    assert scorer.score_batch([sample, sample]) == [score, score]
    if score.status == "ok":
        assert score.value is not None
        assert math.isfinite(score.value)
        high = scorer.value_range.high
        assert scorer.value_range.low <= score.value <= (math.inf if high is None else high)
    else:
        assert (score.value, score.passed) == (None, None)
        assert score.explanation


@pytest.mark.parametrize("name", ["exact_match", "levenshtein", "fuzz_ratio", "token_f1", "numeric", "contains"])
def test_a_missing_reference_is_skipped_and_never_a_zero(name: str) -> None:
    assert build(name, {}).score(Sample(output="x")).status == "skipped"


@given(st.text(max_size=40), st.text(max_size=40))
def test_edit_and_fuzzy_similarity_are_rapidfuzz_own(left: str, right: str) -> None:
    sample = Sample(output=left, reference=right)
    assert build("levenshtein", {}).score(sample).value == pytest.approx(Levenshtein.normalized_similarity(left, right))
    for name in ("ratio", "partial_ratio", "token_sort_ratio", "token_set_ratio"):
        assert build(f"fuzz_{name}", {}).score(sample).value == pytest.approx(getattr(fuzz, name)(left, right) / 100)


def squad(text: str) -> list[str]:
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


@given(st.text(string.ascii_letters + " .,!", max_size=40), st.text(string.ascii_letters + " .,!", max_size=40))
def test_token_f1_is_squads(output: str, reference: str) -> None:
    got, wanted = squad(output), squad(reference)
    common = sum((Counter(got) & Counter(wanted)).values())
    expected = float(got == wanted) if not got or not wanted else 2 * common / (len(got) + len(wanted))
    assert build("token_f1", {}).score(Sample(output=output, reference=reference)).value == pytest.approx(expected)


def test_of_several_references_the_best_counts() -> None:
    sample = Sample(output="Nixon", reference=["Richard Nixon", "Nixon"])
    assert build("exact_match", {}).score(sample).value == 1
    assert build("token_f1", {}).score(sample).value == 1


@pytest.mark.parametrize(
    ("output", "value", "label"),
    [("A: 1,234", 1, None), ("A: $1234.0", 1, None), ("A: 7", 0, None), ("none", 0, "unparsable")],
)
def test_numbers_are_compared_as_numbers(output: str, value: float, label: str | None) -> None:
    score = build("numeric", {"after": "A:"}).score(Sample(output=output, reference="1234"))
    assert (score.value, score.label, score.status) == (value, label, "ok")


@pytest.mark.parametrize(
    ("use", "args", "pointer"),
    [
        ("nothing", {}, "/use"),
        ("regex", {"pattern": "("}, "/args/pattern"),
        ("regex", {"pattern": "(?=a)"}, "/args/pattern"),
        ("regex", {}, "/args"),
        ("exact_match", {"colour": "red"}, "/args"),
        ("numeric", {"after": 3}, "/args/after"),
    ],
)
def test_a_scorer_that_cannot_be_built_says_where(use: str, args: dict[str, object], pointer: str) -> None:
    with pytest.raises(ScorerConfigError) as raised:
        build(use, args)
    assert raised.value.pointer.startswith(pointer)


def test_an_evil_pattern_costs_milliseconds() -> None:
    scorer = build("regex", {"pattern": "(a+)+$"})
    sample = Sample(output="a" * 100_000 + "!")
    scorer.score(sample)
    began = time.perf_counter()
    assert scorer.score(sample).value == 0
    assert time.perf_counter() - began < 0.5


def test_json_is_parsed_and_checked() -> None:
    schema = {"schema": {"type": "object", "required": ["a"]}}
    assert build("is_json", {}).score(Sample(output='{"a": 1}')).value == 1
    assert build("is_json", {}).score(Sample(output="{")).value == 0
    assert build("json_schema", schema).score(Sample(output='{"a": 1}')).value == 1
    assert build("json_schema", schema).score(Sample(output="[]")).value == 0
    assert build("json_schema", schema).score(Sample(output="{")).label == "unparsable"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Score.ok(value)


def test_a_judge_without_a_model_gives_an_error_and_no_value() -> None:
    scorer = made("rubric")
    assert isinstance(scorer, JudgeScorer)
    assert scorer.score(Sample(output="x", reference="y", inputs={"question": "?"})).value is None


@pytest.mark.parametrize(
    "use", ["numeric", "date_equal", "quantity_equal", "recall", "multiple_choice", "list_overlap"]
)
def test_a_reference_that_cannot_even_be_shown_costs_only_its_own_sample(use: str) -> None:
    deep: Any = "x"
    for _ in range(3_000):
        deep = [{"a": deep}]
    good = Sample(output="A", reference=["A", "B"])
    scorer = build(use, get(use).example)
    alone = scorer.score(good)
    scores = scorer.score_batch([good, Sample(output="A", reference=deep), good])
    assert [scores[0], scores[2]] == [alone, alone]
    assert (scores[1].status, scores[1].value) == ("error", None)
    assert scorer.score(Sample(output="A", reference=deep)).status == "error"
