"""Judges of grounding and of conversations count what their definitions count."""

import json
import math
from typing import Any

import pytest

from evaluators.contract import Chunk
from evaluators.registry import build
from tests.evaluators.judges import (
    QUESTION,
    Call,
    Script,
    ScriptedJudge,
    judged,
    said,
    unreachable,
)


def texts(*listed: str) -> dict[str, Any]:
    return {"claims": list(listed)}


def claims_judge(claims: dict[str, list[str]], good: set[tuple[str, str]]) -> Script:
    """Takes each text apart as told, and finds a claim supported by a text when the pair is among the good ones."""

    def script(call: Call) -> Any:
        if "claims" in call.fields:
            return {"claims": claims[call.block("text")]}
        (evidence,) = [name for name in ("context", "reference", "passage", "answer") if call.block(name)]
        items = call.items("claims")
        return {n: said("yes" if (items[n], call.block(evidence)) in good else "no") for n in call.fields}

    return script


async def test_faithfulness_is_the_share_of_supported_claims() -> None:
    script = claims_judge({"It is blue.": ["a", "b", "c"]}, {("a", "C"), ("c", "C")})
    score = await judged("faithfulness", {}, script, context="C")
    assert score.value == pytest.approx(2 / 3)
    assert (await judged("faithfulness", {}, lambda call: texts(), context="C")).status == "unscored"
    assert (await judged("faithfulness", {}, unreachable, output=" ", context="C")).status == "unscored"
    assert (await judged("faithfulness", {}, unreachable)).status == "skipped"


async def test_many_claims_take_several_questions_of_few_fields_each() -> None:
    claims = [f"claim {number}" for number in range(100)]
    judge = ScriptedJudge(claims_judge({"It is blue.": claims}, {(claim, "C") for claim in claims[::4]}))
    score = await judged("faithfulness", {}, [judge], context="C")
    assert score.value == 0.25
    assert score.evidence is not None
    assert [each["claim"] for each in score.evidence["claims"]] == claims
    assert max(len(call.fields) for call in judge.calls) * 3 < 100


async def test_context_recall_looks_at_the_reference_only() -> None:
    script = claims_judge({"R": ["a", "b"]}, {("b", "one\n\ntwo")})
    chunks = [Chunk(id="1", text="one"), Chunk(id="2", text="two")]
    assert (await judged("context_recall", {}, script, reference="R", chunks=chunks)).value == 0.5


@pytest.mark.parametrize(
    ("useful", "value"),
    [("yny", (1 + 2 / 3) / 2), ("nny", 1 / 3), ("nnn", 0), ("yyy", 1), ("nyy", (1 / 2 + 2 / 3) / 2)],
)
async def test_context_precision_is_average_precision(useful: str, value: float) -> None:
    def script(call: Call) -> Any:
        return {number: said({"y": "yes", "n": "no"}[text]) for number, text in call.items("passages").items()}

    chunks = [Chunk(id=str(place), text=letter) for place, letter in enumerate(useful)]
    assert (await judged("context_precision", {}, script, reference="R", chunks=chunks)).value == pytest.approx(value)
    output = await judged("context_precision", {"against": "output"}, script, chunks=chunks)
    assert output.value == pytest.approx(value)


async def test_noise_sensitivity_counts_wrong_claims_by_where_they_come_from() -> None:
    # The reference's claim r follows from passage P, so P is relevant and Q is not.
    good = {
        ("r", "P"),
        ("right", "R"),
        ("right", "P"),
        ("wrong P", "P"),
        ("wrong Q", "Q"),
        ("both", "P"),
        ("both", "Q"),
    }
    script = claims_judge({"It is blue.": ["right", "wrong P", "wrong Q", "both", "made up"], "R": ["r"]}, good)
    chunks = [Chunk(id="1", text="P"), Chunk(id="2", text="Q")]
    for noise, value in (("relevant", 2 / 5), ("irrelevant", 1 / 5)):
        score = await judged("noise_sensitivity", {"noise": noise}, script, reference="R", chunks=chunks)
        assert (score.value, score.direction) == (pytest.approx(value), "minimize")


async def test_answer_relevance_is_the_mean_cosine_of_made_up_questions() -> None:
    vectors = {QUESTION["question"]: [1.0, 0.0], "same": [2.0, 0.0], "half": [1.0, math.sqrt(3)], "other": [0.0, 1.0]}

    def script(call: Call, *evasive: int) -> Any:
        number = call.sample_index % 3
        noncommittal = "yes" if number in evasive else "no"
        return {"question": ["same", "half", "other"][number], "reason": "", "noncommittal": noncommittal}

    assert (await judged("answer_relevance", {}, script, vectors=vectors)).value == pytest.approx(0.5)
    assert (await judged("answer_relevance", {}, script, 2, vectors=vectors)).value == pytest.approx(0.5)
    some = await judged("answer_relevance", {}, lambda call: script(call, 0, 1), vectors=vectors)
    assert some.value == pytest.approx(0.5)
    evasive = await judged("answer_relevance", {}, lambda call: script(call, 0, 1, 2), vectors=vectors)
    assert (evasive.value, evasive.label) == (0, "noncommittal")
    assert (await judged("answer_relevance", {}, unreachable, output="")).value == 0
    flat = await judged("answer_relevance", {}, script, vectors={**vectors, "same": [0.0, 0.0]})
    assert flat.status == "error"


async def test_answer_correctness_weighs_claims_and_meaning() -> None:
    script = claims_judge({"It is blue.": ["a", "b"], "R": ["a", "c", "d"]}, {("a", "R"), ("a", "It is blue.")})
    vectors = {"It is blue.": [1.0, 0.0], "R": [1.0, 1.0]}
    f1, cosine = 1 / (1 + (1 + 2) / 2), math.sqrt(0.5)
    for args, value in (({}, 0.75 * f1 + 0.25 * cosine), ({"weights": [1, 0]}, f1), ({"weights": [0, 2]}, cosine)):
        score = await judged("answer_correctness", args, script, reference="R", vectors=vectors)
        assert score.value == pytest.approx(value)
    assert "embeddings" not in build("answer_correctness", {"weights": [1, 0]}).reads


@pytest.mark.parametrize(
    ("args", "value"),
    [
        ({"mode": "precision"}, 2 / 3),
        ({"mode": "recall"}, 2 / 4),
        ({}, 4 / 7),
        ({"beta": 2}, 5 * 1 / 3 / (8 / 3 + 0.5)),
    ],
)
async def test_factual_correctness_is_an_f_measure_of_claims(args: dict[str, Any], value: float) -> None:
    good = {("a", "R"), ("b", "R"), ("a", "It is blue.")}
    script = claims_judge({"It is blue.": ["a", "b", "x"], "R": ["a", "c", "d"]}, good)
    assert (await judged("factual_correctness", args, script, reference="R")).value == pytest.approx(value)


async def test_passages_are_counted_by_use_and_by_contradiction() -> None:
    def script(call: Call) -> Any:
        name = "passages" if call.block("passages") else "sources"
        return {n: said("yes" if text == "good" else "no") for n, text in call.items(name).items()}

    chunks = [Chunk(id=str(n), text=text) for n, text in enumerate(["good", "bad", "bad", "bad"])]
    assert (await judged("context_relevance", {}, script, chunks=chunks)).value == 0.25
    against = await judged("hallucination", {}, script, chunks=chunks)
    assert (against.value, against.direction) == (0.75, "minimize")
    assert (await judged("hallucination", {}, unreachable, chunks=chunks, output="")).value == 0


async def test_conversations_are_scored_by_the_share_of_good_turns() -> None:
    history = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": "I am Ann."},
        {"role": "assistant", "content": "Who are you?"},
    ]

    def script(call: Call) -> Any:
        return {n: said("no" if turn["reply"] == "Who are you?" else "yes") for n, turn in call.items("turns").items()}

    for use, args in (
        ("conversation_relevancy", {}),
        ("knowledge_retention", {}),
        ("role_adherence", {"role": "kind"}),
    ):
        judge = ScriptedJudge(script)
        score = await judged(use, args, [judge], history=history)
        assert score.value == pytest.approx(2 / 3)
        assert judge.calls[0].items("turns")["3"] == {
            "before": [{"role": "user", "content": QUESTION["question"]}],
            "reply": "It is blue.",
        }


async def test_completeness_is_the_share_of_wishes_that_are_met() -> None:
    def script(call: Call) -> Any:
        if "wishes" in call.fields:
            assert json.loads(call.block("conversation")) == [{"role": "user", "content": QUESTION["question"]}]
            return {"wishes": ["a", "b"]}
        return {"1": said("yes"), "2": said("no")}

    assert (await judged("conversation_completeness", {}, script)).value == 0.5
    assert (await judged("conversation_completeness", {}, lambda call: {"wishes": []})).status == "unscored"
