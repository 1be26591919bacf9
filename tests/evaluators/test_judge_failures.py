"""Whatever goes wrong with a judge, no judge scorer turns it into a value."""

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.contract import Chunk, Sample, Score
from evaluators.judging import JudgeReply, JudgeScorer, JudgeUnavailableError, Models
from evaluators.registry import build, describe, get, names
from tests.evaluators.judges import Call, HashEmbedder, ScriptedJudge, instance, unreachable

JUDGES = [name for name in names() if "judge" in describe(name).needs]

SAMPLE = Sample(
    output="The sky is blue.",
    reference="The sky is blue, mostly.",
    inputs={"question": "What colour is the sky?"},
    history=[{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"}],
    context="By day the sky is blue.",
    chunks=[Chunk(id="a", text="By day the sky is blue."), Chunk(id="b", text="Grass is green.")],
    trajectory=[{"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "content": "blue"}],
    others=["It is green."],
    tool_calls=[],
)


async def judged(name: str, script: Callable[[Call], Any], sample: Sample = SAMPLE) -> Score:
    scorer = build(name, describe(name).example)
    assert isinstance(scorer, JudgeScorer)
    jurors = [ScriptedJudge(script, "first"), ScriptedJudge(script, "second")]
    return await scorer.score_with(sample, Models(jurors, HashEmbedder()))


def half(call: Call) -> str:
    text = json.dumps(instance(call.schema))
    return text[: len(text) // 2]


def without_reasons(call: Call) -> Any:
    return {name: value for name, value in instance(call.schema).items() if name in ("verdict", "noncommittal")}


def named_twice(call: Call) -> str:
    text = json.dumps(instance(call.schema))
    return f"{text[:-1]}, {text[1:]}"


def test_no_judge_takes_an_argument_that_names_what_it_asks() -> None:
    for name in JUDGES:
        taken = set(get(name).__struct_fields__)
        assert not taken & {"rubric", "endpoint", "endpoints", "embeddings", "self_judge"}, name


BAD_REPLIES: dict[str, Callable[[Call], Any]] = {
    "prose": lambda call: "I think that it is quite right.",
    "half a JSON": half,
    "nothing": lambda call: "",
    "no text": lambda call: JudgeReply(text=None, finish_reason="stop"),
    "two answers": lambda call: json.dumps(instance(call.schema)) * 2,
    "a field twice": named_twice,
    "a list": lambda call: [instance(call.schema)],
    "no fields": lambda call: {},
    "no reasons": without_reasons,
    "nesting without end": lambda call: "[" * 100_000,
    "a refusal": lambda call: JudgeReply(text="", finish_reason="content_filter"),
    "a filtered reply": lambda call: JudgeReply(text=json.dumps(instance(call.schema)), finish_reason="content_filter"),
    "a cut reply": lambda call: JudgeReply(text=json.dumps(instance(call.schema)), finish_reason="length"),
    "a surrogate": lambda call: "\ud800",
    "an escaped surrogate": lambda call: '{"reason": "\\ud800", "verdict": "\\uD800"}',
}


def test_all_judges_are_tried() -> None:
    assert len(JUDGES) >= 22


@pytest.mark.parametrize("name", JUDGES)
async def test_a_reply_without_a_verdict_is_unscored_and_says_why(name: str) -> None:
    for reply in BAD_REPLIES.values():
        score = await judged(name, reply)
        assert (score.status, score.value, score.passed) == ("unscored", None, None), score
        assert re.search("the judge (gave no verdict|wrote no steps)", score.explanation)


@pytest.mark.parametrize("name", JUDGES)
async def test_a_verdict_that_was_not_offered_is_unscored(name: str) -> None:
    for label in ("banana", "", None, 7.5, -1, 1e300, float("nan"), True, [], {"label": "yes"}, "x" * 1_000_000):

        def script(call: Call, label: Any = label) -> Any:
            wrong = instance(call.schema, "no label" if label is None else label)
            return json.dumps(wrong).replace('"no label"', "null")

        score = await judged(name, script)
        assert (score.status, score.value) == ("unscored", None), score
        assert "the judge gave no verdict" in score.explanation
        assert len(score.explanation) < 1000


@pytest.mark.parametrize("name", JUDGES)
async def test_a_judge_that_cannot_be_asked_is_an_error_and_never_a_value(name: str) -> None:
    for problem in ("connection refused", "timed out after 60 s", "429: too many requests", ""):
        score = await judged(name, lambda call, problem=problem: JudgeUnavailableError(problem))
        assert (score.status, score.value, score.passed) == ("error", None, None)
        assert "could not be asked" in score.explanation
        assert problem in score.explanation
    for defect in (TimeoutError("late"), KeyError("choices")):
        score = await judged(name, lambda call, defect=defect: defect)
        assert (score.status, score.value) == ("error", None)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["yes", "1", "A"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["reason", "verdict", "claims", "steps", "1", "2", "question"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("name", JUDGES)
@settings(max_examples=15, deadline=None)
@given(replies=st.lists(ANY_JSON | st.text(max_size=20), min_size=1, max_size=4))
async def test_whatever_a_judge_says_the_score_is_in_range_or_has_a_reason(name: str, replies: list[Any]) -> None:
    said = itertools.cycle(replies)
    score = await judged(name, lambda call: next(said))
    assert score.status in ("ok", "unscored", "skipped"), score
    assert msgspec.json.encode(score)


@pytest.mark.parametrize("name", JUDGES)
async def test_a_judge_that_goes_away_between_two_questions_is_an_error(name: str) -> None:
    asked = 0

    def script(call: Call) -> Any:
        nonlocal asked
        asked += 1
        return instance(call.schema) if asked == 1 else unreachable(call)

    score = await judged(name, script)
    assert score.status == "error" or asked == 1
    assert score.cost == pytest.approx(0.001)


@pytest.mark.parametrize("name", JUDGES)
async def test_a_negated_judge_turns_no_failure_into_a_pass(name: str) -> None:
    scorer = build(name, {**describe(name).example, "negate": True})
    assert isinstance(scorer, JudgeScorer)
    for script in (unreachable, lambda call: "prose"):
        score = await scorer.score_with(SAMPLE, Models([ScriptedJudge(script)] * 2, HashEmbedder()))
        assert (score.value, score.passed) == (None, None)


@pytest.mark.parametrize("name", JUDGES)
async def test_valid_replies_are_scored_with_their_cost(name: str) -> None:
    score = await judged(name, lambda call: instance(call.schema))
    assert score.status == "ok", score
    assert score.value is not None
    assert 0 <= score.value <= 1
    assert score.cost > 0
    assert (score.name, score.explanation != "") == (name, True)


@pytest.mark.parametrize("name", JUDGES)
async def test_any_output_is_judged_or_has_a_reason(name: str) -> None:
    for output in ("", " \n", "\ud800", "😀" * 1000, "فارسی 漢字 e\u0301", "x" * 1_000_000):
        sample = msgspec.structs.replace(SAMPLE, output=output)
        score = await judged(name, lambda call: instance(call.schema), sample)
        assert score.status in ("ok", "unscored")
        assert score.explanation


@pytest.mark.parametrize("name", JUDGES)
async def test_nothing_to_judge_by_is_skipped_without_asking(name: str) -> None:
    judge = ScriptedJudge(lambda call: instance(call.schema))
    scorer = build(name, describe(name).example)
    assert isinstance(scorer, JudgeScorer)
    score = await scorer.score_with(Sample(output="x"), Models([judge, judge], HashEmbedder()))
    if scorer.requires or name in (
        "faithfulness",
        "answer_relevance",
        "context_precision",
        "conversation_completeness",
    ):
        assert (score.status, judge.calls) == ("skipped", [])


@pytest.mark.parametrize("name", ["answer_relevance", "answer_correctness"])
async def test_without_embeddings_there_is_an_error(name: str) -> None:
    scorer = build(name, {})
    assert isinstance(scorer, JudgeScorer)
    score = await scorer.score_with(SAMPLE, Models([ScriptedJudge(lambda call: instance(call.schema))]))
    assert (score.status, score.value) == ("error", None)
    assert "embeddings" in score.explanation
