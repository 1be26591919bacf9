import json
import re
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.kit.documents import DocumentError, dump, load, load_json


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: no\nb: on\nc: Yes", {"a": "no", "b": "on", "c": "Yes"}),
        ("a: 2024-01-01\nb: 12:30:45", {"a": "2024-01-01", "b": "12:30:45"}),
        (
            "a: 1\nb: -2.5\nc: 1e3\nd: 0x10\ne: 1_000\nf: 010",
            {"a": 1, "b": -2.5, "c": 1000.0, "d": "0x10", "e": "1_000", "f": 10},
        ),
        ("a: true\nb: null\nc: ~\nd:\ne: 'null'", {"a": True, "b": None, "c": None, "d": None, "e": "null"}),
        ("1: x\ntrue: y", {"1": "x", "true": "y"}),
        ("a: |\n  one\n  two\nb: >-\n  three\n  four", {"a": "one\ntwo\n", "b": "three four"}),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("d: &d {p: 1, q: 2}\ne:\n  <<: *d\n  q: 3", {"d": {"p": 1, "q": 2}, "e": {"p": 1, "q": 3}}),
        ('{"a": [1, null, "x"], "b": {}}', {"a": [1, None, "x"], "b": {}}),
        ("# only a list\n- a\n- [b, {c: d}]", ["a", ["b", {"c": "d"}]]),
        ("!!str 5", "5"),
    ],
)
def test_yaml_is_read_as_json_data(text: str, data: Any) -> None:
    assert load(text).data == data


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("# nothing", "nothing but comments"),
        ("a: 1\nb:\n  c: 1\n  c: 2", "line 4, column 3: the key 'c' stands at line 3 already"),
        ("a: [1", "line 2"),
        ("a:\n\t- b", "line 2"),
        ("a: b: c", "line 1, column 5"),
        ("a: 1\n---\nb: 2", "line 2, column 1: a second document begins"),
        ("x: !!python/object/apply:os.system [id]", "the tag"),
        ("x: !!binary aGk=", "the tag"),
        ("x: *nowhere", "*nowhere refers to itself, or to nothing above it"),
        ("- &a [*a]", "*a refers to itself"),
        ("? [a]\n: b", "a key is a text"),
        ("a: x\x07y", "U+0007"),
        ("e: {<<: 3}", "takes in mappings"),
    ],
)
def test_what_is_no_plain_data_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        load(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "bomb",
    [
        "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30)),
        "[" * 100_000,
        "{a: " * 50_000,
        "- x\n" * 300_000,
    ],
)
def test_a_bomb_is_refused_within_a_second(bomb: str) -> None:
    began = time.process_time()
    with pytest.raises(DocumentError):
        load(bomb)
    assert time.process_time() - began < 1.0


def test_every_value_has_its_line() -> None:
    document = load(
        "messages:\n  - role: user\n    content: |\n      a\n      b\n  - {role: system,\n     content: x}\n"
    )
    assert document.line("/messages/0/content") == 3
    assert document.line("/messages/1/content") == 7
    assert document.line("/messages/1/content/deeper/still") == 7
    assert document.line("") == 1


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="eE")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(st.lists(json_values, max_size=4))
def test_what_pyyaml_writes_is_read_back(value: list[Any]) -> None:
    """But for texts such as 1e3, which are numbers in YAML 1.2 alone: PyYAML does not quote them."""
    text = yaml.safe_dump(value)
    if "!!binary" not in text:
        assert load(text).data == value


_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
_TEXTS = st.text(_CHARACTERS, max_size=60) | st.sampled_from(
    ["1e3", "08", "no", "<<", "~", "null", "a: b", "#x", "\n x", "a\r\nb", "0x10", "- a", "a\n---\nb", "a\n\n"]
)
_DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(_TEXTS, _DATA, max_size=4))
def test_what_is_written_is_read_back_as_it_was(data: dict[str, Any]) -> None:
    assert load(dump(data)).data == data


@given(st.dictionaries(_TEXTS, _DATA, max_size=4), st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_json_is_read_whatever_its_writer_escaped(data: dict[str, Any], ascii_only: bool, indent: Any) -> None:
    assert load_json(json.dumps(data, ensure_ascii=ascii_only, indent=indent)).data == data


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1,\n "b": }', "line 2"),
        ('{"a": 1,\n "a": 2}', "line 2, column 2: the key 'a' stands at line 1 already"),
        ("a: 1", "not JSON"),
        ('{"a": "\\ud800"}', "line 1"),
        ("[" * 100_000, "not JSON"),
        ("[" * 90 + "]" * 90, "deeper than 64"),
    ],
)
def test_what_is_not_json_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(DocumentError, match=re.escape(words)):
        load_json(text)
