import time
from typing import Any

import pytest

from evaluators.contract import Sample, ScorerConfigError
from evaluators.registry import build

YES = {"use": "contains", "args": {"values": "yes"}, "name": "yes"}
NO = {"use": "contains", "args": {"values": "no"}, "name": "no"}
CLOSE = {"use": "fuzz_ratio", "args": {"threshold": 0.5}}


def of(*parts: dict[str, Any], **args: Any) -> Any:
    return build("assert_set", {"assert": list(parts), **args})


def test_a_set_without_a_threshold_passes_when_every_part_passes() -> None:
    both = of(YES, {**NO, "weight": 3})
    score = both.score(Sample(output="yes"))
    assert (score.value, score.passed) == (0.25, False)
    assert score.explanation.startswith("failed: no (")
    assert [part["passed"] for part in score.evidence["parts"]] == [True, False]
    assert (both.score(Sample(output="no, yes")).value, both.score(Sample(output="no, yes")).passed) == (1.0, True)


def test_a_threshold_decides_alone() -> None:
    half = of(YES, NO, threshold=0.5)
    assert [half.score(Sample(output=text)).passed for text in ("yes", "no", "maybe")] == [True, True, False]


def test_a_part_of_weight_zero_is_shown_and_decides_nothing() -> None:
    score = of(YES, {**NO, "weight": 0}).score(Sample(output="yes"))
    assert (score.value, score.passed, len(score.evidence["parts"])) == (1.0, True, 2)


def test_what_is_no_share_counts_by_its_verdict() -> None:
    quick = of({"use": "latency", "args": {"threshold": 100}}, YES)
    score = quick.score(Sample(output="yes", latency_ms=250))
    assert (score.value, score.passed) == (0.5, False)


@pytest.mark.parametrize("negate", [False, True])
def test_a_part_without_a_value_leaves_the_set_without_one(negate: bool) -> None:
    reference = of(YES, CLOSE, negate=negate)
    score = reference.score(Sample(output="yes"))
    assert (score.status, score.value, score.passed) == ("skipped", None, None)
    assert "reference" in score.explanation
    huge = Sample(output="y" * 1_000_000, reference="z" * 1_000_000)
    errs = of(
        {"use": "levenshtein", "args": {"threshold": 0.5}}, {"use": "latency", "args": {"threshold": 1}}, negate=negate
    )
    score = errs.score(huge)
    assert (score.status, score.passed) == ("error", None)
    assert score.explanation.startswith("levenshtein: ")


def test_a_negated_set_fails_what_passed_and_passes_no_output_that_cannot_be_read() -> None:
    schema = {"use": "json_schema", "args": {"schema": {"type": "object"}}}
    assert of(YES, negate=True).score(Sample(output="yes")).passed is False
    assert of(YES, NO, threshold=0.5, negate=True).score(Sample(output="maybe")).passed is True
    unread = of(schema, negate=True).score(Sample(output="{"))
    assert (unread.passed, unread.label) == (False, "unparsable")


@pytest.mark.parametrize(
    ("args", "pointer", "words"),
    [
        ({"assert": []}, "/args/assert", "length"),
        ({"assert": [{"use": "contain"}]}, "/args/assert/0/use", "did you mean 'contains'"),
        ({"assert": [{"use": "contains", "args": {"values": ""}}]}, "/args/assert/0/args/values", "cannot fail"),
        (
            {"assert": [{"use": "rubric", "args": {"instructions": "x", "labels": {"a": 1, "b": 0}}}]},
            "/args/assert/0/use",
            "asks a model",
        ),
        ({"assert": [YES, {"use": "fuzz_ratio"}]}, "/args/assert/1/args/threshold", "neither passes nor fails"),
        (
            {"assert": [{"use": "latency"}], "threshold": 0.5},
            "/args/assert/0/args/threshold",
            "neither passes nor fails",
        ),
        ({"assert": [{**YES, "weight": -1}]}, "/args/assert/0/weight", "weight"),
        ({"assert": [{**YES, "weight": 0}]}, "/args/assert", "nothing counts"),
        ({"assert": [{**YES, "weight": 1e308}, {**YES, "weight": 1e308}]}, "/args/assert", "too large"),
        ({"assert": [YES], "threshold": 0}, "/args/threshold", "can never fail"),
        (
            {"assert": [{"use": "assert_set", "args": {"assert": [{"use": "assert_set", "args": {"assert": [YES]}}]}}]},
            "/args/assert/0/args/assert",
            "no further sets",
        ),
    ],
)
def test_sets_that_make_no_sense_are_refused_where_they_do_not(args: dict[str, Any], pointer: str, words: str) -> None:
    with pytest.raises(ScorerConfigError, match=words) as refusal:
        build("assert_set", args)
    assert refusal.value.pointer == pointer


def test_a_set_reads_what_its_parts_read_and_is_known_by_their_versions() -> None:
    nested = of(YES, {"use": "assert_set", "args": {"assert": [CLOSE]}})
    assert nested.reads == {"reference"}
    assert [part["version"] for part in nested.arguments()["assert"]] == [1, 1]
    assert of(YES).reads == frozenset()
    assert nested.score(Sample(output="yes", reference="yes")).passed is True


def test_many_samples_get_the_scores_that_each_gets_alone() -> None:
    samples = [Sample(output=text, reference="yes") for text in ("yes", "no", "", "\ud800", "yes" * 300_000)]
    scorer = of(YES, NO, CLOSE, threshold=0.4)
    begun = time.perf_counter()
    assert scorer.score_batch(samples) == [scorer.score(sample) for sample in samples]
    assert time.perf_counter() - begun < 2
