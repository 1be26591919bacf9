"""What promptfoo's assertions become, beside the scores that its own table pins."""

import json
from typing import Any

import pytest

from app.formats.promptfoo.graded import ASKING
from app.formats.promptfoo.lists import CannotMapError, separated
from app.formats.promptfoo.values import schema_of, text_of
from app.formats.schemas import Imported
from app.formats.service import read
from app.kit.documents import load
from evaluators.registry import build, names


def imported(*asserts: dict[str, Any], **config: Any) -> Imported:
    tests = config.pop("tests", None) or [{"vars": {"q": "x"}, "assert": list(asserts)}]
    return read(
        "promptfoo", {"promptfooconfig.json": json.dumps({"prompts": ["{{ q }}"], "tests": tests, **config}).encode()}
    )


def scorers(found: Imported) -> list[dict[str, Any]]:
    if "datasets/promptfoo.suite.yaml" not in found.files:
        return []
    entries: list[dict[str, Any]] = load(str(found.files["datasets/promptfoo.suite.yaml"])).data["scorers"]
    return entries


def items(found: Imported) -> list[dict[str, Any]]:
    return [json.loads(line) for line in str(found.files["datasets/promptfoo.jsonl"]).splitlines()]


def only(found: Imported, use: str) -> dict[str, Any]:
    """The one scorer, without what says whom it asks; skips while there is no such scorer."""
    if use not in names():
        assert any(f"there is no scorer `{use}` here" in loss.what for loss in found.losses)
        pytest.skip(f"there is no scorer {use}")
    (entry,) = scorers(found)
    args = {name: value for name, value in entry.get("args", {}).items() if name not in ASKING}
    build(use, args)
    assert entry["use"] == use
    return dict(entry.get("args", {}))


JUDGED = {"options": {"provider": {"text": "openai:gpt-5", "embedding": "openai:embedding:text-embedding-3-small"}}}


@pytest.mark.parametrize(
    ("assertion", "use", "args"),
    [
        (
            {"type": "llm-rubric", "value": "is kind"},
            "rubric",
            {"instructions": "Does the answer meet this criterion?\n\nis kind", "labels": {"pass": 1.0, "fail": 0.0}},
        ),
        (
            {"type": "not-llm-rubric", "value": "names {{ q }}", "threshold": 0.7},
            "rubric",
            {
                "instructions": "Does the answer meet this criterion?\n\nnames {{ inputs.q }}",
                "scale": {"low": 0, "high": 1},
                "threshold": 0.7,
                "negate": True,
            },
        ),
        (
            {"type": "llm-rubric", "value": "is {% if q %}{{ q }}{% endif %} {{ '{{' }}"},
            "rubric",
            {
                "instructions": "Does the answer meet this criterion?\n\nis x {{ '{{' }}",
                "labels": {"pass": 1.0, "fail": 0.0},
            },
        ),
        ({"type": "model-graded-closedqa", "value": "names {{ q }}"}, "closed_qa", {"criteria": "names x"}),
        ({"type": "g-eval", "value": "is clear"}, "g_eval", {"instructions": "is clear", "threshold": 0.7}),
        ({"type": "factuality", "value": "Paris"}, "factuality", {"profile": "promptfoo", "threshold": 1.0}),
        ({"type": "answer-relevance"}, "answer_relevance", {"threshold": 0.5}),
        ({"type": "context-faithfulness", "threshold": 0.9}, "faithfulness", {"threshold": 0.9}),
        ({"type": "context-recall", "value": "Paris"}, "context_recall", {"threshold": 0.5}),
        ({"type": "trajectory:goal-success", "value": {"goal": "a seat"}}, "goal_success", {"goal": "a seat"}),
        (
            {"type": "select-best", "value": "the shortest"},
            "select_best",
            {"instructions": "Choose by this criterion: the shortest", "threshold": 1.0},
        ),
        ({"type": "similar", "value": "Paris"}, "embedding_similarity", {"threshold": 0.75}),
        (
            {"type": "similar:euclidean", "value": ["a", "b"], "threshold": 2},
            "embedding_similarity",
            {"threshold": 2, "measure_by": "euclidean"},
        ),
    ],
)
def test_assertions_that_ask_a_model_become_judges_with_the_named_endpoint(
    assertion: dict[str, Any], use: str, args: dict[str, Any]
) -> None:
    found = imported(assertion, defaultTest=JUDGED)
    made = only(found, use)
    asks = {name: made.pop(name) for name in ASKING if name in made}
    assert made == args
    assert {name: found.endpoints[endpoint]["model"] for name, endpoint in asks.items()} == {
        **({} if use == "embedding_similarity" else {"endpoint": "gpt-5"}),
        **({"embeddings": "text-embedding-3-small"} if use in ("embedding_similarity", "answer_relevance") else {}),
    }


def test_one_judge_serves_all_cases_when_variables_alone_differ() -> None:
    case = {"assert": [{"type": "llm-rubric", "value": "names {{ q }}"}]}
    found = imported(tests=[{"vars": {"q": each}, **case} for each in ("a", "b")], defaultTest=JUDGED)
    (entry,) = scorers(found)
    assert "when" not in entry


@pytest.mark.parametrize(
    "provider", [None, "exec:./judge.sh", {"config": {}}, {"id": "file://judge.py"}, {"text": "python:judge.py"}]
)
def test_without_an_endpoint_to_ask_the_loss_says_what_to_add(provider: Any) -> None:
    found = imported({"type": "llm-rubric", "value": "is kind", **({"provider": provider} if provider else {})})
    assert scorers(found) == []
    assert any("name one as `defaultTest.options.provider`" in loss.what and loss.line for loss in found.losses)


def test_an_assertion_s_own_provider_judges_and_its_key_is_not_copied() -> None:
    provider = {"id": "openai:gpt-5", "config": {"temperature": 0, "apiKey": "sk-secret"}}
    found = imported({"type": "llm-rubric", "value": "is kind", "provider": provider}, defaultTest=JUDGED)
    (entry,) = scorers(found)
    assert found.endpoints[entry["args"]["endpoint"]]["params"] == {"temperature": 0}
    assert "sk-secret" not in repr(found)


@pytest.mark.parametrize(
    "kind",
    [
        *("javascript", "python", "ruby", "webhook", "classifier", "moderation", "guardrails", "pi", "human"),
        *("agent-rubric", "search-rubric", "promptfoo:redteam:pii", "not-javascript", "is-valid-moon", "max-score"),
    ],
)
def test_foreign_code_and_services_are_named_by_file_and_line(kind: str) -> None:
    config = (
        f"prompts: ['{{{{ q }}}}']\ntests:\n  - vars: {{q: x}}\n    assert:\n      - type: '{kind}'\n        value: x\n"
    )
    found = read("promptfoo", {"promptfooconfig.yaml": config.encode()})
    (loss,) = [loss for loss in found.losses if f"the assertion `{kind}` is not kept: " in loss.what]
    assert (loss.path, loss.line) == ("promptfooconfig.yaml", 5)


TRACED = [
    ({"type": "tool-call-f1", "value": "a, b"}, "tool_name_f1", {"repeats": False, "threshold": 1.0}, ["a", "b"]),
    ({"type": "trajectory:tool-used", "value": ["a", "b"]}, "tool_order", {"mode": "any_order"}, ["a", "b"]),
    ({"type": "not-trajectory:tool-used", "value": "a"}, "tool_order", {"mode": "any_order", "negate": True}, ["a"]),
    (
        {"type": "trajectory:tool-used", "value": {"name": "a", "max": 2}},
        "step_count",
        {"tool": "a", "min": 1, "max": 2},
        None,
    ),
    (
        {"type": "trajectory:tool-sequence", "value": ["a", {"name": "b"}]},
        "tool_order",
        {"mode": "in_order"},
        ["a", "b"],
    ),
    (
        {"type": "trajectory:tool-sequence", "value": {"mode": "exact", "steps": ["a"]}},
        "tool_order",
        {"mode": "exact"},
        ["a"],
    ),
    (
        {"type": "trajectory:tool-args-match", "value": {"name": "a", "args": {"x": 1}, "ignore": "id"}},
        "argument_match",
        {"mode": "partial", "threshold": 1.0, "ignore": ["id"]},
        [{"name": "a", "arguments": {"x": 1}}],
    ),
    ({"type": "trajectory:step-count", "value": {"type": "tool", "max": 3}}, "step_count", {"max": 3}, None),
    ({"type": "is-valid-openai-tools-call"}, "valid_tool_calls", {}, None),
]


@pytest.mark.parametrize(("assertion", "use", "args", "expected"), TRACED)
def test_assertions_about_tools_find_what_they_expect_in_the_case(
    assertion: dict[str, Any], use: str, args: dict[str, Any], expected: list[Any] | None
) -> None:
    found = imported(assertion)
    made = only(found, use)
    if expected is not None:
        assert made.pop("expected") == "metadata.expected_tools"
        assert items(found)[0]["metadata"]["expected_tools"] == expected
    assert made == args


@pytest.mark.parametrize(
    ("assertion", "words"),
    [
        ({"type": "trajectory:tool-used", "value": "search*"}, "stands for several tools"),
        ({"type": "not-trajectory:tool-used", "value": ["a", "b"]}, "write one assertion for each"),
        ({"type": "trajectory:tool-sequence", "value": [{"type": "command", "name": "ls"}]}, "no tool call"),
        (
            {"type": "trajectory:tool-args-match", "value": {"name": "a", "args": {}, "defaults": {"x": 1}}},
            "`defaults`",
        ),
        ({"type": "trajectory:step-count", "value": {"max": 3}}, "all spans of a trace"),
        ({"type": "not-is-valid-openai-tools-call"}, "overlooks the `not-`"),
        ({"type": "latency"}, "no threshold"),
        ({"type": "word-count", "value": {"min": "many"}}, "no number"),
        ({"type": "is-sql", "value": {"databaseType": "Oracle9"}}, "no dialect"),
        ({"type": "is-sql", "value": {"allowedTables": ["select::null::(.*)"]}}, "stands for several"),
        ({"type": "regex", "value": "(?i)x"}, "JavaScript reads"),
        ({"type": "contains", "value": "x", "transform": "output.trim()"}, "code, which is never run"),
    ],
)
def test_what_has_no_counterpart_is_a_loss_that_says_what_to_write(assertion: dict[str, Any], words: str) -> None:
    found = imported(assertion)
    assert scorers(found) == []
    assert any(words in loss.what for loss in found.losses), found.losses


def test_a_set_whose_part_cannot_be_kept_falls_apart_with_the_reason() -> None:
    code = {"type": "javascript", "value": "1"}
    found = imported({"type": "assert-set", "threshold": 0.5, "assert": [{"type": "contains", "value": "a"}, code]})
    assert scorers(found) == [{"use": "contains", "args": {"values": "a"}}]
    assert "`javascript` in line 1 is not kept" in " ".join(loss.what for loss in found.losses)
    judged = imported(
        {"type": "contains", "value": "a"},
        {"type": "llm-rubric", "value": "is kind"},
        defaultTest={**JUDGED, "threshold": 0.5},
    )
    assert [entry["use"] for entry in scorers(judged)] == ["contains", "rubric"]
    assert any("one of them asks a model" in loss.what for loss in judged.losses)


def test_cases_that_expect_different_texts_share_one_set_by_their_references() -> None:
    asserts = [{"type": "icontains", "value": "{{ e }}"}, {"type": "word-count", "value": {"max": 9}}]
    tests = [{"vars": {"q": each, "e": each}} for each in ("a", "b")]
    found = imported(tests=tests, defaultTest={"assert": asserts, "threshold": 0.9})
    (entry,) = scorers(found)
    assert (entry["use"], entry["args"]["assert"][0]) == (
        "assert_set",
        {"use": "contains", "args": {"ignore_case": True}},
    )
    assert [item["reference"] for item in items(found)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a, b ,c", ["a", "b", "c"]),
        ('"a, b",c', ["a, b", "c"]),
        ('"say ""hi""", "b\\"c", "d\\\\e"', ['say "hi"', 'b"c', "d\\e"]),
        (",,a,, b,", ["a", "b"]),
        ('"", a', ["", "a"]),
        ("", []),
        ('it"s', ['it"s']),
    ],
)
def test_a_list_in_one_text_is_read_as_promptfoo_reads_it(text: str, fields: list[str]) -> None:
    assert separated(text) == fields


@pytest.mark.parametrize("text", ['"a', 'x, "a\\"', '"a" b', '"a""'])
def test_a_list_with_an_open_quote_is_refused(text: str) -> None:
    with pytest.raises(CannotMapError, match="quote"):
        separated(text)


def test_numbers_are_written_as_javascript_writes_them() -> None:
    written = [text_of(each) for each in (1, 1.0, -0.5, 1e-7, 1e21, 1.5e300, True)]
    assert written == ["1", "1", "-0.5", "1e-7", "1e+21", "1.5e+300", "true"]


def test_a_schema_of_draft_7_says_so() -> None:
    old = {"type": "array", "items": [{"type": "string"}]}
    assert schema_of("p", old) == {"$schema": "http://json-schema.org/draft-07/schema#", **old}
    assert schema_of("p", {"type": "object"}) == {"type": "object"}
