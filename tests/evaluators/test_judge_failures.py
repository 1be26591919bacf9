"""Whatever goes wrong with a judge, no judge scorer turns it into a value."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from evaluators.contract import Chunk, Sample, Score
from evaluators.judging import JudgeReply, JudgeScorer, JudgeUnavailableError, Models
from evaluators.registry import build, describe, names
from tests.evaluators.judges import Call, HashEmbedder, ScriptedJudge, instance, unreachable

JUDGES = [name for name in names() if describe(name).kind == "judge"]
CHOOSES = [name for name in JUDGES if name != "answer_relevance"]

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
}


def test_all_judges_are_tried() -> None:
    assert len(JUDGES) >= 19


@pytest.mark.parametrize("reply", BAD_REPLIES.values(), ids=list(BAD_REPLIES))
@pytest.mark.parametrize("name", JUDGES)
async def test_a_reply_without_a_verdict_is_unscored_and_says_why(name: str, reply: Callable[[Call], Any]) -> None:
    score = await judged(name, reply)
    assert (score.status, score.value, score.passed) == ("unscored", None, None), score
    assert score.explanation


@pytest.mark.parametrize(
    "label", ["banana", "", None, 7.5, -1, 1e300, float("nan"), True, [], {"label": "yes"}], ids=repr
)
@pytest.mark.parametrize("name", JUDGES)
async def test_a_verdict_that_was_not_offered_is_unscored(name: str, label: Any) -> None:
    def script(call: Call) -> Any:
        wrong = instance(call.schema, "no label" if label is None else label)
        return json.dumps(wrong).replace('"no label"', "null")

    score = await judged(name, script)
    assert (score.status, score.value) == ("unscored", None), score
    assert "the judge" in score.explanation or "jurors" in score.explanation


@pytest.mark.parametrize("problem", ["connection refused", "timed out after 60 s", "429: too many requests", ""])
@pytest.mark.parametrize("name", JUDGES)
async def test_a_judge_that_cannot_be_asked_is_an_error_and_never_a_value(name: str, problem: str) -> None:
    score = await judged(name, lambda call: JudgeUnavailableError(problem))
    assert (score.status, score.value, score.passed) == ("error", None, None)
    assert problem in score.explanation


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
@pytest.mark.parametrize(
    "output", ["", " \n", "\ud800", "😀" * 1000, "فارسی 漢字 e\u0301", "x" * 1_000_000], ids=range(6)
)
async def test_any_output_is_judged_or_has_a_reason(name: str, output: str) -> None:
    score = await judged(
        name, lambda call: instance(call.schema), SAMPLE.__class__(**{**fields(SAMPLE), "output": output})
    )
    assert score.status in ("ok", "unscored")
    assert score.explanation


def fields(sample: Sample) -> dict[str, Any]:
    return {name: getattr(sample, name) for name in sample.__struct_fields__}


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
