"""Answers are compared in every order, as LLMBar's recorded judges were."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.contract import ScorerConfigError
from evaluators.judge.pairwise import positional_agreement
from evaluators.registry import build
from tests.evaluators.judges import (
    Call,
    ScriptedJudge,
    instance,
    judged,
    said,
    unreachable,
)


@pytest.mark.parametrize(
    ("first", "second", "label", "value", "orders"),
    [
        ("1", "2", "win", 1, ["win", "win"]),
        ("2", "1", "loss", 0, ["loss", "loss"]),
        ("1", "1", "tie", 0.5, ["win", "loss"]),
        ("2", "2", "tie", 0.5, ["loss", "win"]),
        ("1", "tie", "tie", 0.5, ["win", "tie"]),
        ("tie", "tie", "tie", 0.5, ["tie", "tie"]),
    ],
)
async def test_a_pair_is_won_only_in_both_orders(
    first: str, second: str, label: str, value: float, orders: list[str]
) -> None:
    def script(call: Call) -> Any:
        return said(first if call.block("answer 1") == "It is blue." else second)

    score = await judged("pairwise", {"against": "others"}, script, others=["It is green.", "unused"])
    assert score.evidence is not None
    assert (score.label, score.value, score.evidence["orders"]) == (label, value, orders)
    assert score.evidence["consistent"] is (orders[0] == orders[1])


async def test_equal_answers_tie_without_a_question() -> None:
    judge = ScriptedJudge(unreachable)
    score = await judged("pairwise", {}, [judge], reference="It is blue.")
    assert (score.value, judge.calls) == (0.5, [])
    assert positional_agreement([score]) is None


async def test_an_orders_votes_without_a_majority_are_a_tie() -> None:
    def script(call: Call) -> Any:
        return said("12"[call.sample_index % 2])

    score = await judged("pairwise", {"votes": 2}, script, reference="Blue")
    assert score.evidence is not None
    assert score.evidence["orders"] == ["tie", "tie"]
    assert (await judged("pairwise", {"votes": 3}, script, reference="Blue")).label == "tie"


async def test_the_names_of_those_compared_are_not_shown() -> None:
    judge = ScriptedJudge(lambda call: said("1"))
    await judged(
        "pairwise", {"instructions": "Which is shorter? {{ reference }}"}, [judge], reference="Blue", model="gpt"
    )
    assert all("gpt" not in call.user + call.system for call in judge.calls)
    assert all("Which is shorter? Blue" in call.user for call in judge.calls)
    assert {call.block("answer 1") for call in judge.calls} == {"It is blue.", "Blue"}


def test_instructions_cannot_place_one_of_several_answers() -> None:
    for use in ("pairwise", "select_best"):
        with pytest.raises(ScorerConfigError) as raised:
            build(use, {"instructions": "Judge {{ output }}"})
        assert raised.value.pointer == "/args/instructions"


async def test_the_best_of_several_is_the_same_whoever_is_scored_and_its_place_changes() -> None:
    answers = ["red", "green", "blue", "grey"]

    def script(call: Call) -> Any:
        numbers = call.fields["verdict"]["enum"]
        return said(next(number for number in numbers if call.block(f"answer {number}") == "blue"))

    scores = {
        each: await judged("select_best", {"rounds": 6}, script, output=each, others=[o for o in answers if o != each])
        for each in answers
    }
    assert {each: score.value for each, score in scores.items()} == {"red": 0, "green": 0, "blue": 1, "grey": 0}
    assert scores["blue"].evidence is not None
    assert len(set(scores["blue"].evidence["places"])) > 1
    assert scores["blue"].label == "best"


async def test_of_several_references_one_stands_against_the_answer() -> None:
    judge = ScriptedJudge(lambda call: instance(call.schema))
    await judged("pairwise", {}, [judge], reference=["Blue", "Azure"])
    assert {call.block("answer 1") for call in judge.calls} == {"It is blue.", "Blue"}
    await judged("factuality", {}, [judge], reference=["Blue", "Azure"])
    assert judge.calls[-1].block("reference") == '["Blue", "Azure"]'


@settings(deadline=None)
@given(st.lists(st.text(max_size=5), min_size=2, max_size=6, unique=True), st.integers(0, 9))
async def test_a_judge_that_prefers_a_place_shares_its_favour_out(answers: list[str], index: int) -> None:
    shares = [
        (
            await judged(
                "select_best",
                {"rounds": 4},
                lambda call: said("1"),
                index,
                output=each,
                others=[other for other in answers if other != each],
            )
        ).value
        for each in answers
    ]
    assert sum(share or 0 for share in shares) == pytest.approx(1)


async def test_one_answer_alone_cannot_be_the_best() -> None:
    assert (await judged("select_best", {}, unreachable, others=["It is blue."])).status == "skipped"


RECORDED = [
    ("natural", "GPT-4/Vanilla", 95.5, 95.0),
    ("natural", "ChatGPT/Vanilla", 81.5, 71.0),
    ("adversarial_gptinst", "GPT-4/Vanilla", 86.41, 94.57),
    ("adversarial_gptinst", "ChatGPT/Vanilla", 26.63, 61.96),
]


@pytest.mark.parametrize(("subset", "recorded", "accuracy", "agreement"), RECORDED)
async def test_recorded_verdicts_give_the_published_accuracy_and_positional_agreement(
    shared_data: Path, subset: str, recorded: str, accuracy: float, agreement: float
) -> None:
    lines = (shared_data / "llmbar_judgements.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["subset"] == subset]
    right, survived = 0, 0
    scores = []
    for row in rows:

        def replay(call: Call, row: dict[str, Any] = row) -> Any:
            original = call.block("answer 1") == row["output_1"]
            order = row["judges"][recorded]["original_order" if original else "swapped_order"]
            return said(str(order["winner"]) if original else {"1": "2", "2": "1"}[str(order["winner"])])

        score = await judged(
            "pairwise",
            {"against": "others", "ties": False},
            replay,
            output=row["output_1"],
            others=[row["output_2"]],
            inputs={"input": row["input"]},
        )
        assert score.evidence is not None
        gold = "win" if row["label"] == 1 else "loss"
        right += score.evidence["orders"].count(gold)
        scores.append(score)
        survived += score.label == gold
    assert round(100 * right / (2 * len(rows)), 2) == accuracy
    assert round(100 * (positional_agreement(scores) or 0), 2) == agreement
    assert survived <= right / 2
