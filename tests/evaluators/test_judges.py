"""Judges by letters, juries and G-Eval make of their verdicts the number that the definition says."""

import json
import math
from typing import Any

import pytest

from evaluators.contract import ScorerConfigError
from evaluators.judge.jury import ratings
from evaluators.judging import Judge, JudgeUnavailableError
from evaluators.registry import build
from tests.evaluators.judges import (
    Call,
    Script,
    ScriptedJudge,
    judged,
    said,
    spoken,
)

RUBRIC = {"instructions": "Is it right?", "labels": {"yes": 1, "partly": 0.5, "no": 0}}


@pytest.mark.parametrize(
    ("args", "values"),
    [
        ({}, {"A": 0.4, "B": 0.6, "C": 1, "D": 0, "E": 1}),
        ({"profile": "promptfoo"}, {"A": 1, "B": 1, "C": 1, "D": 0, "E": 1}),
        ({"scores": {"B": 0.1}, "profile": "promptfoo"}, {"A": 1, "B": 0.1, "D": 0}),
    ],
)
async def test_letters_of_factuality_are_scored_here(args: dict[str, Any], values: dict[str, float]) -> None:
    for letter, value in values.items():
        score = await judged("factuality", args, lambda call, letter=letter: said(letter), reference="Blue")
        assert (score.value, score.label) == (value, letter)


async def test_closed_questions_pass_with_y() -> None:
    assert (await judged("closed_qa", {"criteria": "Is it short?"}, lambda call: said("Y"))).passed is True
    assert (await judged("closed_qa", {"criteria": "Is {it} short?"}, lambda call: said("N"))).passed is False


@pytest.mark.parametrize(
    ("use", "args", "pointer"),
    [
        ("g_eval", {"instructions": "x", "scale": {"low": 0, "high": 0.5}}, "/args/scale"),
        ("g_eval", {"instructions": "x", "scale": {"low": 0, "high": 1000}}, "/args/scale"),
        ("g_eval", {"instructions": "x", "steps": []}, "/args/steps"),
        ("factuality", {"scores": {"A": 2}}, "/args/scores/A"),
        ("factuality", {"scores": dict.fromkeys("ABCDE", 1)}, "/args/scores"),
        ("factuality", {"scores": {"F": 1}}, "/args/scores"),
        ("closed_qa", {"criteria": ""}, "/args/criteria"),
        ("answer_correctness", {"weights": [0, 0]}, "/args/weights"),
        ("answer_correctness", {"weights": [-1, 2]}, "/args/weights"),
        ("jury", {**RUBRIC, "min_jurors": 0}, "/args/min_jurors"),
        ("role_adherence", {}, "/args/role"),
        ("select_best", {"rounds": 0}, "/args/rounds"),
        ("factual_correctness", {"beta": 0}, "/args/beta"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_where_they_are(use: str, args: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ScorerConfigError) as raised:
        build(use, args)
    assert raised.value.pointer.startswith(pointer)


async def test_the_named_input_is_the_question() -> None:
    judge = ScriptedJudge(lambda call: said("Y"))
    inputs = {"a": "first", "b": {"c": 1}}
    await judged("closed_qa", {"criteria": "x", "question": "b"}, [judge], inputs=inputs)
    await judged("closed_qa", {"criteria": "x"}, [judge], inputs=inputs)
    await judged("closed_qa", {"criteria": "x"}, [judge], inputs={"a": "first"})
    assert [call.block("question") for call in judge.calls] == ['{"c": 1}', json.dumps(inputs), "first"]
    missing = await judged("closed_qa", {"criteria": "x", "question": "z"}, [judge], inputs=inputs)
    assert (missing.status, "'z'" in missing.explanation) == ("skipped", True)


def jurors(*labels: str | Exception) -> list[Judge]:
    def script(label: str | Exception) -> Script:
        return lambda call: label if isinstance(label, Exception) else said(label)

    return [ScriptedJudge(script(label), f"juror {number % 3}") for number, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("labels", "combine", "value", "label"),
    [
        (["yes", "yes", "no"], "majority", 1, "yes"),
        (["yes", "yes", "no"], "mean", 2 / 3, "yes"),
        (["yes", "partly", "no"], "median", 0.5, None),
        (["yes", "no"], "majority", 0.5, None),
        (["yes", "yes", "no", "no", "partly"], "majority", 0.5, None),
        (["partly", "yes", "yes", "partly", "no"], "majority", 0.75, None),
    ],
)
async def test_a_jury_combines_as_asked(labels: list[str], combine: str, value: float, label: str | None) -> None:
    score = await judged("jury", {**RUBRIC, "combine": combine}, jurors(*labels))
    assert (score.value, score.label) == (pytest.approx(value), label)
    assert score.evidence is not None
    assert len(score.evidence["jurors"]) == len(labels)


async def test_a_majority_takes_the_labels_score_however_the_jurors_came_to_it() -> None:
    def wavers(call: Call) -> Any:
        return said(["yes", "yes", "no"][call.sample_index])

    judges: list[Judge] = [ScriptedJudge(wavers, "a"), ScriptedJudge(wavers, "b"), *jurors("no")]
    score = await judged("jury", {**RUBRIC, "votes": 3}, judges)
    assert (score.value, score.label) == (1, "yes")
    mean = await judged("jury", {**RUBRIC, "votes": 3, "combine": "mean"}, judges)
    assert mean.value == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


async def test_a_juror_that_fails_is_visible_and_counts_for_the_quorum() -> None:
    gone = JudgeUnavailableError("connection refused")
    for missing, status in ((gone, "error"), ("banana", "unscored")):
        score = await judged("jury", RUBRIC, jurors("yes", "yes", missing))
        assert (score.status, score.value) == (status, None)
        assert score.evidence is not None
        assert score.evidence["jurors"]["juror 2"]["value"] is None
        fewer = await judged("jury", {**RUBRIC, "min_jurors": 2}, jurors("yes", "yes", missing))
        assert (fewer.value, fewer.status) == (1, "ok")
        assert fewer.evidence is not None
        assert fewer.evidence["jurors"]["juror 2"]["status"] == status


async def test_a_jury_of_one_is_refused() -> None:
    score = await judged("jury", RUBRIC, jurors("yes"))
    assert (score.status, "at least two judges" in score.explanation) == ("error", True)


async def test_juries_give_the_matrix_for_their_agreement() -> None:
    scores = [await judged("jury", {**RUBRIC, "min_jurors": 1}, jurors("yes", other)) for other in ("no", "banana")]
    assert ratings(scores) == (["juror 0", "juror 1"], [[1, 1], [0, None]])


G_EVAL = {"instructions": "Is it coherent?", "steps": ["Read it."], "votes": 3}


async def test_g_eval_weighs_the_numbers_by_their_probabilities() -> None:
    top = {"8": math.log(0.6), " 9": math.log(0.3), "7": math.log(0.005), "good": math.log(0.09)}
    reply = spoken('{"reason": "8 of 9", "verdict": 8}', ("8", {"8": -9.0}), ("8", top), ("}", {"}": 0.0}))
    judge = ScriptedJudge(lambda call: reply)
    score = await judged("g_eval", G_EVAL, [judge])
    assert score.value == pytest.approx((8 * 0.6 + 9 * 0.3) / 0.9 / 10)
    assert score.evidence is not None
    assert (score.evidence["method"], len(judge.calls)) == ("logprobs", 1)


@pytest.mark.parametrize("tokens", [["8", ' "', "9}"], ["8", "10"], ["8", "x"], []])
async def test_g_eval_takes_no_other_number_for_its_verdict(tokens: list[str]) -> None:
    reply = spoken('{"reason": "8", "verdict": 9}', *((token, {token: -0.1, "8": -0.5}) for token in tokens))
    score = await judged("g_eval", G_EVAL, lambda call: reply)
    assert score.evidence is not None
    assert (score.value, score.evidence["method"]) == (pytest.approx(0.9), "mean of 3")


async def test_g_eval_draws_several_times_where_there_are_no_logprobs() -> None:
    judge = ScriptedJudge(lambda call: said([8, 9, 4][call.sample_index - 3]))
    score = await judged("g_eval", G_EVAL, [judge], 1)
    assert score.value == pytest.approx(0.7)
    assert score.evidence is not None
    assert score.evidence["method"] == "mean of 3"
    assert sorted(call.sample_index for call in judge.calls) == [3, 4, 5]


async def test_g_eval_writes_its_steps_by_the_same_call_for_every_sample() -> None:
    def script(call: Call) -> Any:
        return {"steps": ["Look closely.", " "]} if "steps" in call.fields else said(10)

    judge = ScriptedJudge(script)
    args = {"instructions": "Is {{ output }} an answer to {{ inputs.question }}?", "votes": 1}
    for number, output in enumerate(("a", "b")):
        score = await judged("g_eval", args, [judge], number, output=output)
        assert score.evidence is not None
        assert (score.value, score.evidence["steps"]) == (1, ["Look closely."])
    written = [call for call in judge.calls if "steps" in call.fields]
    assert [(call.user, call.sample_index) for call in written] == [(written[0].user, 0)] * 2
