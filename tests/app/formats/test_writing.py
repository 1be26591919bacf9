import json
import re
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.formats.foreign import with_variables
from app.formats.schemas import Exported, Imported, Project
from app.formats.service import read, write
from app.kit.documents import load
from evaluators.registry import names, schema

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,6}(/[a-z][a-z0-9]{0,6})?", fullmatch=True).filter(
    lambda n: n.rpartition("/")[2] not in ("system", "prompt", "index") and not n.startswith("prompts/")
)
VARIABLES = st.lists(st.from_regex(r"v[a-z0-9_]{0,6}", fullmatch=True), min_size=1, max_size=3, unique=True)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r", exclude_categories=["Cs"]), max_size=30)
# What looks like a variable is one in GitHub's format, which has no way to write it as text.
BRACED = (
    TEXT | st.lists(st.sampled_from(["{{", "{%", "{#", "{", "}}", " ", "a", "\n", "%}"]), max_size=5).map("".join)
).filter(lambda text: not re.search(r"\{\{\s*\w+\s*\}\}", text))
VISIBLE = st.text(string.ascii_letters + "{%'\" .:,é😀", min_size=1, max_size=12).filter(lambda t: t == t.strip() and t)


@st.composite
def prompts(draw: st.DrawFn, names: list[str]) -> dict[str, Any]:
    """A prompt that uses each of `names`."""
    messages = []
    for _ in range(draw(st.integers(1, 3))):
        pieces = [piece for name in names for piece in (draw(BRACED), "{{ " + name + " }}")]
        source = with_variables("".join([*pieces, draw(BRACED)])).source
        messages.append({"role": draw(st.sampled_from(["system", "user", "assistant"])), "content": source})
    return {"messages": messages, "variables": {name: {"type": "string"} for name in sorted(names)}}


@st.composite
def projects(draw: st.DrawFn, scorers: st.SearchStrategy[list[dict[str, Any]]], endpoint: str) -> Project:
    names = draw(VARIABLES)
    suite = draw(NAMES)
    rows = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, BRACED)), min_size=2, max_size=4))
    references = draw(st.lists(VISIBLE, min_size=len(rows), max_size=len(rows), unique=True))
    chosen = draw(scorers)
    items: list[dict[str, Any]] = [{"id": str(n), "inputs": row} for n, row in enumerate(rows, start=1)]
    if any(
        each["use"] == "exact_match" or "values" not in each.get("args", {"values": 0})
        for each in chosen
        if each["use"] in REFERRING
    ):
        items = [{**item, "reference": reference} for item, reference in zip(items, references, strict=True)]
    key = {"provider": "openai", "model": "gpt-5", "api_key": {"env": "OPENAI_API_KEY"}}
    return Project(
        {draw(NAMES): draw(prompts(names))},
        {suite: {"dataset": suite, "endpoints": [endpoint], "scorers": chosen}},
        {suite: items},
        {endpoint: key},
    )


REFERRING = ("exact_match", "contains", "starts_with")


def named(scorers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same scorers, each under a metric of its own."""
    return [
        {"use": s["use"], "name": f"m{i}", **{k: v for k, v in s.items() if k != "use"}} for i, s in enumerate(scorers)
    ]


PARTS = (
    st.builds(lambda v: {"use": "contains", "args": {"negate": True, "values": v}}, VISIBLE)
    | st.just({"use": "is_json", "name": "json", "weight": 2.0})
    | st.just({"use": "latency", "args": {"threshold": 90}, "weight": 0.0})
    | st.builds(lambda w: {"use": "length", "args": {"unit": "words", "max": w}}, st.integers(1, 90))
)
SETS = st.builds(
    lambda first, more, threshold: {
        "use": "assert_set",
        "args": {"assert": [{"use": "is_json"}, first, *more], **({"threshold": threshold} if threshold else {})},
    },
    PARTS,
    st.lists(PARTS, max_size=2),
    st.sampled_from([None, 0.5, 1.0]),
)
PROMPTFOO_SCORERS = st.lists(
    st.just({"use": "exact_match"})
    | SETS
    | st.just({"use": "exact_match", "args": {"negate": True}})
    | st.just({"use": "json_schema", "args": {"schema": {"type": "object"}}})
    | st.builds(lambda v: {"use": "cost", "args": {"negate": True, "threshold": v}}, st.integers(1, 9))
    | st.just({"use": "is_json"})
    | st.builds(lambda v: {"use": "contains", "args": {"values": v}}, VISIBLE)
    | st.builds(
        lambda v: {"use": "contains", "args": {"mode": "all", "values": v}}, st.lists(VISIBLE, min_size=1, max_size=2)
    )
    | st.builds(lambda v: {"use": "contains", "args": {"ignore_case": True, "values": v}}, VISIBLE)
    | st.builds(lambda v: {"use": "starts_with", "args": {"values": v}}, VISIBLE)
    | st.builds(lambda w: {"use": "latency", "args": {"threshold": w}, "weight": 2.0}, st.integers(1, 9000))
    | st.builds(lambda w: {"use": "length", "args": {"unit": "words", "min": w, "max": w + 5}}, st.integers(1, 90)),
    min_size=1,
    max_size=4,
).map(named)
GITHUB_SCORERS = st.lists(
    st.just({"use": "exact_match"})
    | st.just({"use": "contains"})
    | st.builds(lambda v: {"use": "contains", "args": {"values": v}}, VISIBLE.filter(lambda v: "{{" not in v))
    | st.builds(lambda v: {"use": "starts_with", "args": {"values": v}}, VISIBLE.filter(lambda v: "{{" not in v)),
    min_size=1,
    max_size=3,
).map(named)


def again(exported: Exported, format_: str) -> Imported:
    return read(format_, exported.files)


def as_project(found: Imported) -> Project:
    """What a sync would make of an import."""
    contents: dict[str, dict[str, Any]] = {"prompts": {}, "suites": {}, "items": {}}
    for path, text in found.files.items():
        assert isinstance(text, str)
        if path.endswith(".prompt.yaml"):
            contents["prompts"][path.removeprefix("prompts/").removesuffix(".prompt.yaml")] = load(text).data
        elif path.endswith(".suite.yaml"):
            contents["suites"][path.removeprefix("datasets/").removesuffix(".suite.yaml")] = load(text).data
        else:
            rows = [json.loads(line) for line in text.split("\n") if line]
            contents["items"][path.removeprefix("datasets/").removesuffix(".jsonl")] = rows
    return Project(**contents, endpoints=found.endpoints)


def in_any_order(project: Project) -> Project:
    """promptfoo keeps what every test asks for apart, so that scorers may change places."""
    for suite in project.suites.values():
        suite["scorers"].sort(key=lambda scorer: scorer["name"])
    return project


@settings(max_examples=50, deadline=None)
@given(projects(PROMPTFOO_SCORERS, "large"))
def test_a_project_comes_back_from_promptfoo_as_it_went(project: Project) -> None:
    exported = write("promptfoo", project)
    found = again(exported, "promptfoo")
    assert (exported.losses, found.losses) == ([], [])
    assert in_any_order(as_project(found)) == in_any_order(project)


@settings(max_examples=50, deadline=None)
@given(projects(GITHUB_SCORERS, "openai/gpt-5"))
def test_a_project_comes_back_from_a_prompt_yml_as_it_went(project: Project) -> None:
    (name,), (suite,) = project.prompts, project.suites
    same = Project(
        project.prompts,
        {name: {**project.suites[suite], "dataset": name}},
        {name: project.items[suite]},
        project.endpoints,
    )
    exported = write("prompt.yml", same)
    found = again(exported, "prompt.yml")
    # Braces that are text look like a variable's to whoever reads them, and that is said.
    unexpected = [loss for loss in found.losses if "kept as plain text" not in loss.what]
    assert (exported.losses, unexpected) == ([], [])
    assert as_project(found) == same


def test_an_export_says_what_it_leaves_behind() -> None:
    project = Project(
        {
            "chat": {"messages": [{"placeholder": "history"}]},
            "docs/answer": {
                "messages": [{"role": "user", "content": "{% if q %}{{ q | tojson }}{% endif %} | tojson"}],
                "variables": {"q": {"default": "x"}},
                "rag": "docs",
                "params": {"temperature": 0},
            },
        },
        {
            "qa": {
                "dataset": "qa",
                "endpoints": ["dev"],
                "policy": "p",
                "scorers": [{"use": "token_f1"}, {"use": "exact_match"}],
            }
        },
        {"qa": [{"id": "a", "inputs": {"q": ["x"]}, "reference": ["y", "z"], "cluster": "c"}]},
        {"dev": {"provider": "replay", "model": "m"}},
    )
    exported = write("promptfoo", project)
    assert json.loads(exported.files["qa/prompts/docs/answer.json"])[0]["content"] == (
        "{% if q %}{{ q | dump }}{% endif %} | tojson"
    )
    assert load(exported.files["qa/promptfooconfig.yaml"].decode()).data == {
        "prompts": [{"id": "file://prompts/docs/answer.json", "label": "docs/answer"}],
        "tests": [{"vars": {"q": ["x"]}, "options": {"disableVarExpansion": True}}],
    }
    assert [(loss.path, loss.what.split(":")[0]) for loss in exported.losses] == [
        ("prompts/chat", "the prompt is left out"),
        ("prompts/docs/answer", "`rag` is not kept"),
        ("prompts/docs/answer", "`params` is not kept"),
        ("prompts/docs/answer", "the default of the variable 'q' is not kept; promptfoo shows nothing instead"),
        ("suites/qa", "`policy` is not kept"),
        ("endpoints/dev", "this endpoint is not given, or promptfoo has no counterpart for it"),
        ("suites/qa", "the scorer 'token_f1' has no counterpart in promptfoo with this reference or these arguments"),
        ("datasets/qa", "`cluster` is not kept"),
        (
            "suites/qa",
            "the scorer 'exact_match' has no counterpart in promptfoo with this reference or these arguments",
        ),
    ]
    assert set(write("prompt.yml", project).files) == set()


TOOLS = [
    {"use": "tool_name_f1", "args": {"expected": "metadata.expected_tools", "repeats": False, "threshold": 0.5}},
    {"use": "tool_order", "args": {"expected": "metadata.expected_tools", "mode": "any_order"}},
    {"use": "tool_order", "args": {"expected": "metadata.expected_tools", "mode": "exact", "negate": True}},
    {
        "use": "argument_match",
        "args": {
            "expected": "metadata.expected_tools_2",
            "mode": "partial",
            "threshold": 1.0,
            "ignore": ["id"],
        },
    },
    {"use": "step_count", "args": {"tool": "search", "min": 1, "max": 3}},
    {"use": "bleu", "args": {"profile": "promptfoo", "threshold": 0.4}},
    {"use": "rouge_1", "args": {"profile": "promptfoo", "threshold": 0.8, "negate": True}},
    {"use": "levenshtein", "args": {"profile": "promptfoo", "max_distance": 3.0}},
    {"use": "refusal", "args": {"negate": True}},
    {"use": "refusal"},
    {"use": "finish_reason", "args": {"allowed": ["stop"]}},
    {"use": "perplexity", "args": {"form": "score", "threshold": 0.4}},
    {"use": "is_xml", "args": {"required_elements": ["/book/title"]}},
    {"use": "contains_json", "args": {"schema": {"type": "object"}}},
    {"use": "valid_tool_calls"},
]


@pytest.mark.parametrize("scorer", TOOLS, ids=lambda each: f"{each['use']} {each.get('args', {})}"[:60])
def test_what_promptfoo_has_a_type_for_comes_back_as_it_went(scorer: dict[str, Any]) -> None:
    if scorer["use"] not in names() or (
        scorer["use"] == "levenshtein" and "max_distance" not in str(schema("levenshtein"))
    ):
        pytest.skip(f"there is no such scorer {scorer['use']}")
    reference = {"reference": "a reference"} if "profile" in scorer.get("args", {}) else {}
    metadata = {
        "expected_tools": ["search", "book"],
        "expected_tools_2": [{"name": "search", "arguments": {"query": "{{ q }}"}}],
    }
    project = Project(
        {"ask": {"messages": [{"role": "user", "content": "{{ q }}"}], "variables": {"q": {"type": "string"}}}},
        {"qa": {"dataset": "qa", "scorers": [scorer]}},
        {"qa": [{"id": "1", "inputs": {"q": "x"}, **reference, "metadata": metadata}]},
    )
    exported = write("promptfoo", project)
    assert exported.losses == []
    again_ = as_project(again(exported, "promptfoo"))
    assert again_.suites["qa"]["scorers"] == [scorer]
    assert again_.items["qa"] == project.items["qa"]
