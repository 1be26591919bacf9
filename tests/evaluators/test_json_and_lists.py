"""JSON diff, list overlap and multiple choice, against definitions written anew here."""

import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from evaluators import Sample, Score, ScorerConfigError, build

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-1000, 1000)
    | st.integers(-4000, 4000).map(lambda number: number / 8)
    | st.text("abc ", max_size=6)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("pqrs"), inner, max_size=4),
    max_leaves=12,
)


def diff(output: Any, reference: Any, **args: Any) -> Score:
    return build("json_diff", args).score(Sample(output=json.dumps(output), reference=[reference]))


def wrapped(output: Any, reference: Any) -> float:
    """The likeness of any two values, as the only members of objects: a text or a list alone may be read otherwise."""
    value = diff({"v": output}, {"v": reference}).value
    assert value is not None
    return value


def oracle(left: Any, right: Any) -> float:
    """autoevals 0.3's JSONDiff with its defaults, but for booleans, which are no numbers here."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = set(left) | set(right)
        return sum(oracle(left.get(key), right.get(key)) for key in keys) / len(keys) if keys else 1.0
    if isinstance(left, list) and isinstance(right, list):
        if not left and not right:
            return 1.0
        return sum(map(oracle, left, right)) / max(len(left), len(right))
    if isinstance(left, str) and isinstance(right, str):
        longest = max(len(left), len(right))
        return 1 - Levenshtein.distance(left, right) / longest if longest else 1.0
    if isinstance(left, bool) and isinstance(right, bool):
        return float(left == right)
    if left is None or right is None:
        return float(left is None and right is None)
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in (left, right)):
        return 1.0 if left == right else 1 - abs(left - right) / (abs(left) + abs(right))
    texts = [
        each if isinstance(each, str) else json.dumps(each, separators=(",", ":"), sort_keys=True)
        for each in (left, right)
    ]
    return oracle(*texts)


@settings(deadline=None, max_examples=60)
@given(VALUES, VALUES)
def test_json_diff_is_autoevals_own(output: Any, reference: Any) -> None:
    assert wrapped(output, reference) == pytest.approx(max(0.0, oracle(output, reference)), abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(VALUES, VALUES)
def test_json_diff_is_symmetric_and_1_for_the_same(left: Any, right: Any) -> None:
    assert wrapped(left, left) == 1
    assert 0 <= wrapped(left, right) <= 1
    assert wrapped(left, right) == pytest.approx(wrapped(right, left))


def test_the_parts_that_differ_are_named_by_pointer() -> None:
    score = diff({"a": 1, "b": {"c/d": "cat"}, "l": [1, 2]}, {"a": 1, "b": {"c/d": "car"}, "l": [1]})
    assert score.evidence is not None
    assert [each["pointer"] for each in score.evidence["differences"]] == ["/b/c~1d", "/l/1"]
    assert score.value == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)


def test_parts_can_be_left_out_or_weigh_more() -> None:
    output, reference = {"id": 7, "items": [{"p": 1, "t": 5}]}, {"id": 8, "items": [{"p": 1, "t": 9}]}
    assert diff(output, reference, ignore=["/id", "/items/*/t"]).value == 1
    plain, weighed = (
        diff({"a": 1, "b": "x"}, {"a": 1, "b": "y"}),
        diff({"a": 1, "b": "x"}, {"a": 1, "b": "y"}, weights={"/a": 3}),
    )
    assert (plain.value, weighed.value) == (0.5, 0.75)


def test_true_is_not_1_and_text_that_holds_json_is_read_unless_it_is_preserved() -> None:
    assert diff(True, False).value == 0
    assert diff([True], [1]).value != 1
    assert diff({"a": '{"b": 1}'}, {"a": {"b": 1}}).value == 1
    assert diff({"a": '{"b": 1}'}, {"a": {"b": 1}}, preserve_strings=True).value != 1


@pytest.mark.parametrize("output", ["", "{", "[NaN]", "[1e999]", "\ud800", "[" * 100_000])
def test_what_is_no_json_is_unparsable(output: str) -> None:
    score = build("json_diff").score(Sample(output=output, reference={"a": 1}))
    assert (score.value, score.label) == (0, "unparsable")


def test_a_reference_that_is_no_json_is_skipped_and_huge_texts_are_an_error() -> None:
    assert build("json_diff").score(Sample(output="{}", reference="not json")).status == "skipped"
    long = json.dumps({"a": "x" * 1_000_000})
    assert build("json_diff").score(Sample(output=long, reference={"a": "y" * 1_000_000})).status == "error"
    many = json.dumps({str(index): "x" for index in range(50_000)})
    assert build("json_diff").score(Sample(output=many, reference=many)).value == 1


@pytest.mark.parametrize(
    "args", [{"ignore": ["a"]}, {"ignore": [""]}, {"weights": {"/a": 0}}, {"weights": {"/a": math.nan}}]
)
def test_a_pointer_or_a_weight_without_sense_is_refused(args: dict[str, Any]) -> None:
    with pytest.raises(ScorerConfigError):
        build("json_diff", args)


def brute_force(found: list[str], expected: list[str], *, allow_extra: bool) -> float:
    """The best of all ways to match, tried one by one."""
    if not found or not expected:
        return float(found == expected)
    short, long = sorted((found, expected), key=len)
    best = max(
        sum(Levenshtein.normalized_similarity(a, b) for a, b in zip(short, chosen, strict=True))
        for chosen in itertools.permutations(long, len(short))
    )
    return best / (len(expected) if allow_extra else len(long))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text("abcd", max_size=4), max_size=4), st.lists(st.text("abcd", max_size=4), max_size=4), st.booleans()
)
def test_list_overlap_finds_the_best_of_all_matchings(found: list[str], expected: list[str], allow_extra: bool) -> None:
    scorer = build("list_overlap", {"allow_extra": allow_extra})
    score = scorer.score(Sample(output=json.dumps(found), reference=[expected]))
    assert score.value == pytest.approx(brute_force(found, expected, allow_extra=allow_extra))


def test_a_list_is_read_as_the_expected_items_and_a_list_of_lists_as_alternatives() -> None:
    scorer = build("list_overlap")
    assert scorer.score(Sample(output='["b", "a"]', reference=["a", "b"])).value == 1
    assert scorer.score(Sample(output='["c"]', reference=[["a", "b"], ["c"]])).value == 1
    lines = build("list_overlap", {"separator": "\n", "ignore_case": True})
    assert lines.score(Sample(output="Rome\n\nParis\n", reference="paris\nrome")).value == 1
    assert scorer.score(Sample(output="Rome, Paris", reference=["Rome"])).label == "unparsable"
    assert scorer.score(Sample(output="[]", reference=[])).status == "skipped"
    huge = json.dumps(["x"] * 100_000)
    assert scorer.score(Sample(output=huge, reference=["x"] * 100)).status == "error"


@pytest.mark.parametrize(
    ("output", "letter"),
    [
        ("B", "B"),
        ("(b)", "B"),
        ("**B.**", "B"),
        ("Answer: B", "B"),
        ("answer: b", "B"),
        ("The answer is (B), because A is too far.", "B"),
        ("It may be A. Answer: A. No, wait: the answer is B.", "B"),
        (r"So $\boxed{\text{B}}$.", "B"),
        ("B) Paris", "B"),
        ("Paris", "B"),
        ("Surely it is Paris!", "B"),
        ("I would go with B", "B"),
        ("The answer is A because London is large.", "A"),
        ("", None),
        ("I cannot say.", None),
        ("A or B", None),
        ("Answer: A or B", None),
        ("A) because B is wrong", "A"),
        ("A) The first one", "A"),
        ("A) Vitamin C.", "A"),
        ("A) London\nB) Paris", None),
        ("A) London\nB) Paris\nC) Rome", None),
        ("The answer is not A", None),
        ("Answer: A dog barks", None),
    ],
)
def test_a_choice_is_found_in_free_text_and_never_guessed(output: str, letter: str | None) -> None:
    scorer = build("multiple_choice", {"choices": ["London", "Paris", "Rome"]})
    score = scorer.score(Sample(output=output, reference="B"))
    assert score.status == "ok"
    assert score.label == (letter or "unparsable")
    assert score.value == float(letter == "B")


def test_choices_may_stand_in_the_input_and_the_reference_may_be_their_text() -> None:
    sample = Sample(
        output="Answer: C", reference="Rome", inputs={"choices": {"A": "London", "B": "Paris", "C": "Rome"}}
    )
    assert build("multiple_choice").score(sample).value == 1
    assert build("multiple_choice").score(Sample(output="C", reference="no choice at all")).status == "skipped"
    several = build("multiple_choice", {"multiple": True})
    assert several.score(Sample(output="A and C", reference=["C", "A"])).value == 1
    assert several.score(Sample(output="A", reference="A, C")).value == 0


@pytest.mark.parametrize("unit", ["(", "answer ", "A or ", "answer: ", "b", "\\boxed{", "(A"])
def test_a_megabyte_is_read_for_a_choice_in_time(unit: str) -> None:
    score = build("multiple_choice").score(Sample(output=unit * (1_000_000 // len(unit)), reference="B"))
    assert score.status == "ok"
