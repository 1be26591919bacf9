"""JSON, XML, HTML, YAML and Markdown are recognised; what is made to hurt gets the right status at once."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators import Sample, Score, ScorerConfigError, build

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "lol">'
    + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    + "]><a>&e9;</a>"
)
ALIASES = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
SCHEMA = {"type": "object", "required": ["a"]}


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """A server that nobody must call, whatever a text or a schema refers to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def was_called(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def scored(use: str, output: str, **args: Any) -> Score:
    scorer = build(use, args)
    scorer.score(Sample(output="[1]"))  # what is imported and compiled once does not count
    began = time.thread_time()
    score = scorer.score(Sample(output=output))
    assert time.thread_time() - began < 2
    return score


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("<a><b><c/></b></a>", 1),
        ("<?xml version='1.0' encoding='utf-16'?><a><b><c/></b></a>", 1),
        ("<x:a xmlns:x='urn:x'><x:b><x:c/></x:b></x:a>", 1),
        ("<a><c/></a>", 0),
        ("<b><c/></b>", 0),
        ("<a><b><c></b></a>", 0),
        ("<a><b><c/></b></a> indeed", 0),
        ("<a><b><c/></b>&nbsp;</a>", 0),
        (BOMB, 0),
        ('<!-- <a> --><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><b><c/></b>&x;</a>', 0),
        ("<a>" * 100_000, 0),
        ("<a>" + "<b>x</b>" * 120_000 + "</a>", 0),
        ("<a>\ud800</a>", 0),
        ("<a>\0</a>", 0),
        ("", 0),
        ("&" * 1_000_000, 0),
    ],
)
def test_xml_is_well_formed_with_its_elements_and_without_a_dtd(output: str, value: float) -> None:
    score = scored("is_xml", output, required_elements=["b/c", "/a/b"])
    assert (score.status, score.value) == ("ok", value), score.explanation


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("<!DOCTYPE html><html><head><title>a<b</title></head><body><p>x<br></body></html>", 1),
        ("<div>hi</div>", 1),
        ("<ul><li>a<li>b</ul>", 1),
        ("<my-card>x</my-card>", 1),
        ("<svg><path d='M0'/></svg>", 1),
        ("<a href='x>y'>t</a><!-- done -->", 1),
        ("<script>if (a<b) { c() }</script>", 1),
        ("Here it is: <b>x</b>", 0),
        ("<p>a</p> there", 0),
        ("<answer>x</answer>", 0),
        ("<div><span></div></span>", 0),
        ("<div>", 0),
        ("</p>", 0),
        ("a < b", 0),
        ("", 0),
        ("<" * 1_000_000, 0),
        ("<a '" * 250_000, 0),
        ("<!--" * 250_000, 0),
        ("<script>" * 125_000, 0),
        ("<div>" * 200_000, 0),
    ],
)
def test_html_is_known_elements_that_open_and_close(output: str, value: float) -> None:
    score = scored("is_html", output)
    assert (score.status, score.value) == ("ok", value), score.explanation


def test_a_fragment_is_no_document() -> None:
    assert scored("is_html", "<div>x</div>", document=True).value == 0
    assert scored("is_html", "<html><body>x</body></html>", document=True).value == 1


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("a: 1\nb: [x, y]", 1),
        ("- x\n- &n {a: 1}\n- *n", 1),
        ("a: 2001-01-01\nb: !!str 5", 1),
        ("hello", 0),
        ("# The answer", 0),
        ("```yaml\na: 1\n```", 0),
        ("---\na: 1\n---\nb: 2", 0),
        ("a: [1,", 0),
        ("a: *b", 0),
        ("&a [*a]", 0),
        ("a: !!python/object/apply:os.system ['id']", 0),
        (ALIASES, 0),
        ("[" * 100_000, 0),
        ("- " * 100_000, 0),
        ("? " * 100_000, 0),
        ("\ud800: 1", 0),
        ("a: \x07", 0),
        ("x" * 1_000_000, 0),
        ("", 0),
    ],
)
def test_yaml_is_one_harmless_mapping_or_sequence(output: str, value: float) -> None:
    score = scored("is_yaml", output)
    assert (score.status, score.value) == ("ok", value), score.explanation


def test_a_single_value_is_yaml_only_where_that_is_asked_for() -> None:
    assert scored("is_yaml", "hello", scalars=True).value == 1


JSON_TEXTS = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text('ab"{[\\', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a"}', max_size=2), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(
    st.lists(JSON_TEXTS, max_size=4) | st.dictionaries(st.text("ab", max_size=2), JSON_TEXTS, max_size=3),
    st.text("x ]},:", max_size=9),
)
def test_an_array_or_object_is_found_behind_any_text(value: Any, text: str) -> None:
    score = build("contains_json").score(Sample(output=f"{text}{json.dumps(value)}{text}"))
    assert (score.value, score.evidence) == (1, {"start": len(text)})


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ('Sure: {"a": 1}.', 1),
        ('[1] {"b": 1} {"a": 1}', 1),
        ('\ud800 {"a": 1}', 1),
        ('[1] {"b": 1}', 0),
        ('{"a": NaN}', 0),
        ('{"a": 1e999}', 0),
        ('{"a": Infinity}', 0),
        ("no", 0),
        ("", 0),
        ("{" * 1_000_000, 0),
        ("[" * 1_000_000, None),
        ('["' * 500_000, None),
        ('{"a":' * 200_000, None),
        ("[1]" * 300_000, None),
    ],
)
def test_json_that_fits_is_found_in_text(output: str, value: float | None) -> None:
    score = scored("contains_json", output, schema=SCHEMA)
    assert (score.status, score.value) == ("error" if value is None else "ok", value), score.explanation


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "https://example.com/other.json#/$defs/x"}}},
        {"$ref": "file:///etc/passwd"},
        {
            "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(25)} | {"d25": {}},
            "$ref": "#/$defs/d0",
        },
        {"pattern": "(?=a)b"},
        {"type": "nonsense"},
        {},
    ],
)
@pytest.mark.parametrize("use", ["json_schema", "contains_json"])
def test_a_schema_that_reaches_out_or_explodes_is_refused(use: str, schema: dict[str, Any]) -> None:
    began = time.thread_time()
    with pytest.raises(ScorerConfigError) as raised:
        build(use, {"schema": schema})
    assert raised.value.pointer.startswith("/args/schema")
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    "output", ["", "[" * 100_000, '{"a": NaN}', '{"a": 1e999}', "\ud800", '"\ud800"', '{"a": 1,}', "x" * 1_000_000]
)
def test_what_is_no_json_cannot_fit_a_schema(output: str) -> None:
    assert scored("json_schema", output, schema=SCHEMA).label == "unparsable"
    assert scored("is_json", output).value == 0


def test_a_megabyte_of_json_is_held_against_an_evil_pattern() -> None:
    evil = {"type": "array", "items": {"type": "string", "pattern": "^(a+)+$"}}
    output = json.dumps(["a" * 100_000 + "!"] * 10)
    assert scored("json_schema", output, schema=evil).value == 0


DOCUMENT = """# Summary:

A [link](https://example.com/a) and ![image](./p.png).

## **Steps**

- one
- two

```python
print()
```

| a | b |
|---|---|
| 1 | 2 |
"""
DEMANDS: dict[str, Any] = {
    "headings": ["Summary", "Steps"],
    "min_lists": 1,
    "min_tables": 1,
    "code_languages": ["python"],
    "max_heading_depth": 2,
    "no_raw_html": True,
    "valid_links": True,
}


@pytest.mark.parametrize(
    ("old", "new", "unmet"),
    [
        ("", "", []),
        ("## **Steps**", "### Steps", ["headings at most 2 deep"]),
        ("Summary", "Other", ["the heading 'Summary'"]),
        ("- one\n- two\n", "one\n", ["at least 1 lists, found 0"]),
        ("|---|---|\n", "", ["at least 1 tables, found 0"]),
        ("```python", "```", ["a code block in python"]),
        ("A [", "A <b>x</b> [", ["no raw HTML"]),
        ("https://example.com/a", "javascript:alert(1)", ["valid links ('javascript:alert(1)')"]),
        ("(https://example.com/a)", "()", ["valid links ('')"]),
    ],
)
def test_markdown_is_held_to_each_demand(old: str, new: str, unmet: list[str]) -> None:
    score = scored("markdown_structure", DOCUMENT.replace(old, new, 1) if old else DOCUMENT, **DEMANDS)
    assert score.evidence == {"unmet": unmet}
    assert score.value == pytest.approx(1 - len(unmet) / 8)
    assert score.passed is (not unmet)


@pytest.mark.parametrize("unit", ["[", "![[", "> ", "_*", "a\n", "# \n", "`a``b", "[a](<", "<", "**a "])
def test_markdown_made_to_hurt_is_read_in_time(unit: str) -> None:
    assert scored("markdown_structure", unit * (40_000 // len(unit)), min_lists=1).status == "ok"
    assert scored("markdown_structure", unit * (1_000_000 // len(unit)), min_lists=1).status == "error"


@pytest.mark.parametrize(
    "args", [{}, {"max_heading_depth": 6}, {"headings": [" "]}, {"min_lists": -1}, {"min_lists": 1, "threshold": 0.0}]
)
def test_markdown_without_a_demand_is_refused(args: dict[str, Any]) -> None:
    with pytest.raises(ScorerConfigError):
        build("markdown_structure", args)


def test_a_doctype_in_a_comment_or_in_character_data_is_none() -> None:
    assert scored("is_xml", "<!-- <!DOCTYPE x> --><a><![CDATA[<!DOCTYPE y>]]></a>").value == 1


@pytest.mark.parametrize("path", ["", "/", "a//b", "a[1]", "../a", "{x}a", "a|b", "1a"])
def test_a_required_element_is_a_path_of_names(path: str) -> None:
    with pytest.raises(ScorerConfigError):
        build("is_xml", {"required_elements": [path]})
