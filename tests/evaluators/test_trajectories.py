"""What was called, with what, in which order, and how often."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from evaluators import Sample, ScorerConfigError, build

NAMES = st.lists(st.sampled_from(["a", "b", "c"]), max_size=6)


def calls(*names: str, **arguments: Any) -> list[dict[str, Any]]:
    return [{"id": name, "name": name, "arguments": json.dumps(arguments)} for name in names]


def trajectory(*names: str) -> list[dict[str, Any]]:
    """One call per turn, with its result, and a closing answer."""
    messages = list[dict[str, Any]]()
    for name in names:
        called = {"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}}
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [called]},
            {"role": "tool", "tool_call_id": name, "content": "done"},
        ]
    return [*messages, {"role": "assistant", "content": "ready"}]


def value(use: str, sample: Sample, **args: Any) -> float | None:
    return build(use, args).score(sample).value


@settings(deadline=None)
@given(NAMES, NAMES)
def test_name_f1_is_the_f1_of_sets_or_of_counted_names(made: list[str], expected: list[str]) -> None:
    sample = Sample(output="", tool_calls=calls(*made), reference=expected)
    as_set = value("tool_name_f1", sample, repeats=False)
    if made or expected:
        truth, found = ([int(name in names) for name in "abc"] for names in (expected, made))
        assert as_set == pytest.approx(f1_score(truth, found, zero_division=0))
        common = sum((Counter(made) & Counter(expected)).values())
        assert value("tool_name_f1", sample) == pytest.approx(2 * common / (len(made) + len(expected)))
    else:
        assert as_set == 1


@settings(deadline=None)
@given(NAMES, NAMES)
def test_each_order_implies_the_next_looser_one(made: list[str], expected: list[str]) -> None:
    sample = Sample(output="", trajectory=trajectory(*made), reference=expected)
    exact, in_order, any_order = (value("tool_order", sample, mode=mode) for mode in ("exact", "in_order", "any_order"))
    assert exact == (made == expected)
    assert exact <= in_order <= any_order  # type: ignore[operator]
    assert any_order == (not Counter(expected) - Counter(made))


def test_the_evidence_of_an_order_has_precision_and_recall() -> None:
    sample = Sample(output="", trajectory=trajectory("a", "b", "a"), reference=["a", "c"])
    score = build("tool_order", {"mode": "any_order"}).score(sample)
    assert score.value == 0
    assert score.evidence is not None
    assert (score.evidence["precision"], score.evidence["recall"]) == (1 / 3, 1 / 2)


def test_arguments_match_exactly_or_in_part_and_some_do_not_matter() -> None:
    reference = [{"name": "f", "arguments": {"x": 1, "id": "a"}}]
    sample = Sample(output="", tool_calls=calls("f", x=1.0, id="b", extra=[1]), reference=reference)
    assert value("argument_match", sample) == 0
    assert value("argument_match", sample, ignore=["id"]) == 0
    assert value("argument_match", sample, ignore=["id", "extra"]) == 1
    assert value("argument_match", sample, mode="partial", ignore=["id"]) == 1
    assert value("argument_match", sample, mode="partial") == 0


def test_each_call_answers_for_one_expected_call_such_that_the_most_are_met() -> None:
    expected = [{"name": "f", "arguments": {}}, {"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": {}}]
    # The first call fits both expected ones, the second only the first.
    made = [*calls("f", x=1), *calls("f", x=2), *calls("h")]
    assert value(
        "argument_match", Sample(output="", tool_calls=made, reference=expected), mode="partial"
    ) == pytest.approx(2 / 3)
    evidence = build("argument_match", {}).score(Sample(output="", tool_calls=made, reference=expected)).evidence
    assert evidence is not None
    assert (evidence["precision"], evidence["recall"], evidence["unmet"]) == (1 / 3, 1 / 3, ["f", "g"])
    assert value("argument_match", Sample(output="", tool_calls=made, reference=[])) is None
    assert value("argument_match", Sample(output="", tool_calls=None, reference=expected)) == 0


def test_steps_are_counted_over_the_trajectory() -> None:
    sample = Sample(output="", trajectory=trajectory("search", "search", "read"))
    assert value("step_count", sample) == 3
    assert value("step_count", sample, count="turns") == 4
    assert value("step_count", sample, tool="search") == 2
    assert value("step_count", sample, tool="search", max=1) == 0
    assert value("step_count", sample, min=1, max=3) == 1
    assert value("step_count", Sample(output="", tool_calls=calls("a")), source="tool_calls") == 1
    assert build("step_count", {}).score(Sample(output="")).status == "skipped"


@pytest.mark.parametrize(
    ("args", "pointer"),
    [
        ({"min": 0}, "/args/min"),
        ({"min": 3, "max": 2}, "/args/min"),
        ({"max": -1}, "/args/max"),
        ({"count": "turns", "tool": "a", "max": 1}, "/args/tool"),
        ({"count": "turns", "source": "tool_calls", "max": 1}, "/args/source"),
    ],
)
def test_a_count_that_can_never_fail_or_makes_no_sense_is_refused(args: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ScorerConfigError) as raised:
        build("step_count", args)
    assert raised.value.pointer == pointer


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find",
            "parameters": {
                "type": "object",
                "properties": {"n": {"type": "integer", "minimum": 1}},
                "required": ["n"],
                "additionalProperties": False,
            },
        },
    },
    {"type": "function", "function": {"name": "now"}},
]


@pytest.mark.parametrize(
    ("name", "arguments", "fault"),
    [
        ("find", '{"n": 1}', None),
        ("now", "", None),
        ("find", '{"n": 0}', "/n"),
        ("find", "{}", "required"),
        ("find", '{"n": 1, "m": 2}', "m"),
        ("find", '{"n": ', "not JSON"),
        ("find", "[1]", "not a JSON object"),
        ("look", "{}", "no such tool"),
    ],
)
def test_a_call_is_valid_when_its_arguments_fit_the_tools_schema(name: str, arguments: str, fault: str | None) -> None:
    sample = Sample(output="", tool_calls=[{"name": name, "arguments": arguments}], tools=TOOLS)
    score = build("valid_tool_calls", {}).score(sample)
    assert score.value == (fault is None)
    assert (fault or "1 of 1") in score.explanation


def test_without_a_call_or_tools_there_is_nothing_to_validate() -> None:
    scorer = build("valid_tool_calls", {})
    assert scorer.score(Sample(output="", tools=TOOLS)).status == "skipped"
    assert scorer.score(Sample(output="", tool_calls=calls("find"))).status == "skipped"


def test_a_schema_with_a_remote_reference_is_an_error_and_no_verdict() -> None:
    tools = [{"name": "find", "parameters": {"$ref": "http://localhost:1/schema"}}]
    score = build("valid_tool_calls", {}).score(Sample(output="", tool_calls=calls("find"), tools=tools))
    assert (score.status, score.value) == ("error", None)


def test_recorded_calls_fit_the_schemas_that_the_models_were_given(shared_data: Path) -> None:
    """BFCL's own type names are mapped first, as whoever sends them to an endpoint does."""
    types = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}

    def mapped(schema: Any) -> Any:
        if isinstance(schema, list):
            return [mapped(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        kind = schema.get("type")
        found = {key: mapped(each) for key, each in schema.items()}
        return found | {"type": types.get(kind, kind)} if isinstance(kind, str) else found

    scorer, valid, made = build("valid_tool_calls", {}), 0, 0
    for line in (shared_data / "bfcl_simple_python.jsonl").read_text().splitlines():
        row = json.loads(line)
        for answer in row["outputs"].values():
            if answer["tool_calls"]:
                sample = Sample(output="", tool_calls=answer["tool_calls"], tools=mapped(row["functions"]))
                score = scorer.score(sample)
                assert score.status == "ok"
                valid, made = valid + int(score.value or 0), made + 1
    assert (valid, made) == (329, 329)
