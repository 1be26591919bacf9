"""Tool calls are judged as BFCL judges them, and read in every form that endpoints and models write."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators import Sample, Score, ScorerConfigError, build
from evaluators.tools.written import written_calls

FUNCTIONS = [
    {
        "name": "math.area",
        "parameters": {
            "type": "dict",
            "properties": {
                "base": {"type": "integer"},
                "height": {"type": "float"},
                "unit": {"type": "string"},
                "sides": {"type": "array", "items": {"type": "float"}},
                "options": {"type": "dict"},
                "points": {"type": "array", "items": {"type": "dict"}},
                "exact": {"type": "boolean"},
            },
            "required": ["base"],
        },
    }
]


@pytest.mark.parametrize(
    ("file", "source", "right"),
    [
        ("bfcl_simple_python", "tool_calls", {"claude-sonnet-4-5-20250929-FC": 197, "DeepSeek-V3.1-Terminus-FC": 126}),
        ("bfcl_multiple", "text", {"roshangrewal_gemma4-e4b-toolcall-v02": 94, "AIREV-Agent-0.8B": 77}),
    ],
)
@pytest.mark.parametrize(
    "kept", [json.dumps, lambda value: rfc8785.dumps(value).decode()], ids=["as published", "as datasets keep it"]
)
def test_every_recorded_answer_gets_the_verdict_that_bfcl_gave(
    shared_data: Path, file: str, source: str, right: dict[str, int], kept: Callable[[Any], str]
) -> None:
    """Canonical JSON writes 12.0 as 12: the schemas say where a float was meant."""
    scorer = build("tool_call_match", {"source": source, "tools": "metadata.functions"})
    found = Counter[str]()
    for line in (shared_data / f"{file}.jsonl").read_text().splitlines():
        row = json.loads(line)
        for model, answer in row["outputs"].items():
            sample = Sample(
                output=answer["text"] or "",
                tool_calls=answer.get("tool_calls"),
                reference=json.loads(kept(row["possible_answer"])),
                metadata={"functions": row["functions"]},
            )
            score = scorer.score(sample)
            assert score.status == "ok"
            assert (score.value == 1) == answer["official_valid"], (row["id"], model, score)
            found[model] += answer["official_valid"]
    assert found == right


def match(
    arguments: Any, accepted: dict[str, Any], *, name: str = "math_area", functions: Any = FUNCTIONS, **args: Any
) -> Score:
    call = {"id": "1", "name": name, "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments)}
    sample = Sample(
        output="", tool_calls=[call], reference=[{"math.area": accepted}], metadata={"functions": functions}
    )
    return build("tool_call_match", {"tools": "metadata.functions", **args}).score(sample)


@pytest.mark.parametrize(
    ("arguments", "accepted", "value"),
    [
        ({"base": 10}, {"base": [10]}, 1),
        ({"base": 10}, {"base": [10], "unit": ["cm", ""]}, 1),  # may be left out
        ({"base": 10}, {"base": [10], "unit": ["cm"]}, 0),  # may not
        ({"base": 10, "unit": "C,M."}, {"base": [10], "unit": ["cm"]}, 1),
        ({"base": 10, "unit": "it's"}, {"base": [10], "unit": ['it"s']}, 1),
        ({"base": 10.0}, {"base": [10]}, 0),  # a float is no integer
        ({"base": True}, {"base": [1]}, 0),  # nor is true
        ({"base": 1, "height": 5}, {"base": [1], "height": [5.0]}, 1),  # an integer is a float
        ({"base": 1, "sides": [1, 2]}, {"base": [1], "sides": [[1.0, 2.0]]}, 0),  # but not inside an array
        ({"base": 1, "sides": [1.0, 2.0]}, {"base": [1], "sides": [[1.0, 2.0]]}, 1),
        ({"base": 1, "sides": []}, {"base": [1], "sides": [[1.0], ""]}, 1),
        ({"base": 1, "options": {"a": "X y"}}, {"base": [1], "options": [{"a": ["xy"], "b": [2, ""]}]}, 1),
        ({"base": 1, "options": {"a": "z"}}, {"base": [1], "options": [{"a": ["xy"]}]}, 0),
        ({"base": 1, "options": {"c": 1}}, {"base": [1], "options": [{"c": [1], "d": [2]}]}, 0),
        ({"base": 1, "points": [{"x": 1}, {"x": 2}]}, {"base": [1], "points": [[{"x": [1]}, {"x": [2]}]]}, 1),
        ({"base": 1, "points": [{"x": 2}, {"x": 1}]}, {"base": [1], "points": [[{"x": [1]}, {"x": [2]}]]}, 0),
        ({"base": 1, "other": 1}, {"base": [1]}, 0),
        ({}, {"base": [1, ""]}, 0),  # the tool requires it
    ],
)
def test_an_argument_is_right_by_bfcls_rules(arguments: Any, accepted: dict[str, Any], value: int) -> None:
    assert match(arguments, accepted).value == value


@pytest.mark.parametrize(
    ("made", "expected", "value"),
    [(True, 1, 0), (1, True, 0), ([True], [1], 0), ({"a": True}, {"a": 1}, 0), ({"a": [True, 1]}, {"a": [True, 1]}, 1)],
)
def test_without_functions_true_is_still_no_number(made: Any, expected: Any, value: int) -> None:
    sample = Sample(
        output="",
        tool_calls=[{"name": "f", "arguments": {"x": made}}],
        reference=[{"name": "f", "arguments": {"x": expected}}],
    )
    assert build("tool_call_match").score(sample).value == value


def test_names_are_equal_with_dots_or_underscores_and_the_schemas_may_be_openais() -> None:
    tools = [{"type": "function", "function": {**FUNCTIONS[0], "name": "math_area"}}]
    assert match({"base": 1}, {"base": [1]}, name="math.area", functions=tools).value == 1
    assert match({"base": 1}, {"base": [1]}, name="area", functions=tools).value == 0


def test_arguments_that_are_no_json_are_unparsable_and_stay_so_when_negated() -> None:
    score = match('{"base": ', {"base": [1]}, negate=True)
    assert (score.value, score.passed, score.label) == (0, False, "unparsable")
    assert match("[1]", {"base": [1]}).label == "unparsable"


def test_parallel_calls_are_matched_in_any_order_and_each_counts_once() -> None:
    reference = [{"name": "f", "arguments": {"x": 1}}, {"name": "f", "arguments": {"x": 2}}]
    scorer = build("tool_call_match", {})

    def calls(*values: int) -> list[dict[str, Any]]:
        return [{"type": "function", "function": {"name": "f", "arguments": json.dumps({"x": v})}} for v in values]

    assert scorer.score(Sample(output="", tool_calls=calls(2, 1), reference=reference)).value == 1
    assert scorer.score(Sample(output="", tool_calls=calls(1, 1), reference=reference)).value == 0
    assert scorer.score(Sample(output="", tool_calls=calls(2, 1, 2), reference=reference)).value == 0
    assert scorer.score(Sample(output="", tool_calls=None, reference=reference)).value == 0


def test_where_no_call_is_expected_a_call_is_wrong() -> None:
    scorer = build("tool_call_match", {})
    assert scorer.score(Sample(output="no", tool_calls=None, reference=[])).value == 1
    assert scorer.score(Sample(output="", tool_calls=[{"name": "f", "arguments": "{}"}], reference=[])).value == 0
    assert scorer.score(Sample(output="no")).status == "skipped"


def test_written_calls_are_read_and_never_run() -> None:
    calls = written_calls("```\n[a.b(x=-1, y='t', z=(1, [2]), w={'k': true}, v=2*3), g()]\n```")
    assert [(call.name, call.arguments) for call in calls] == [
        ("a.b", {"x": -1, "y": "t", "z": (1, [2]), "w": {"k": "true"}, "v": 6}),
        ("g", {}),
    ]
    assert written_calls("f(a=__import__('os').getcwd())")[0].arguments == {"a": "__import__('os').getcwd()"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot do that.",
        "[f(a=1)]\n<end_of_turn>",
        "[1]",
        "[f]",
        "[(lambda: 1)()]",
        "[f(a=9**9**9)]",
        "[f(a=1/0)]",
        "[f(a=" + "9" * 5000 + ")]",
        "[f(a=" + "[" * 1000 + "]" * 1000 + ")]",
        "[f(a=" + "-" * 100_000 + "1)]",
        "[f(a='\ud800')]",
        "[f(a='\0')]",
        "[" + "f(a=1), " * 200_000 + "]",
    ],
)
def test_an_output_without_calls_is_unparsable(text: str) -> None:
    score = build("tool_call_match", {"source": "text"}).score(Sample(output=text, reference=[{"f": {"a": [1]}}]))
    if text:
        assert (score.value, score.label) == (0, "unparsable")
    else:
        assert (score.value, score.label) == (0, None)  # an empty output makes no call


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    score = build("tool_call_match", {"source": "text"}).score(Sample(output=text, reference=[{"f": {}}]))
    assert score.status == "ok"


@pytest.mark.parametrize("reference", [[{"a": 1, "b": 2}], [{"f": {"x": 1}}], [3], {"name": "f", "arguments": "{"}])
def test_an_expectation_that_cannot_be_read_is_an_error_and_no_value(reference: Any) -> None:
    score = build("tool_call_match", {}).score(Sample(output="", tool_calls=[], reference=reference))
    assert (score.status, score.value) == ("error", None)


@pytest.mark.parametrize(
    "entry", [None, 3, [], {}, {"name": 3}, {"function": {"name": ""}}, {"name": "f", "arguments": 3}]
)
def test_any_garbage_in_place_of_a_call_gets_a_status(entry: Any) -> None:
    sample = Sample(output="", tool_calls=[entry], reference=[{"f": {}}], tools=[{"name": "f"}])
    assert build("tool_call_match", {}).score(sample).label == "unparsable"
    assert build("valid_tool_calls", {}).score(sample).value == 0
    assert build("tool_name_f1", {}).score(sample).status == "ok"


def test_a_path_that_names_no_part_of_a_sample_is_refused() -> None:
    for args, pointer in (({"expected": "meta.x"}, "/args/expected"), ({"tools": "metadata"}, "/args/tools")):
        with pytest.raises(ScorerConfigError) as raised:
            build("tool_call_match", args)
        assert raised.value.pointer == pointer
