import contextlib
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.formats.foreign import literal, template_or_text, with_variables
from app.formats.service import read
from app.kit.documents import load
from app.kit.errors import InvalidContentError
from app.kit.templates import check, render
from tests.app.formats.syncing import synced


def prompt(files: dict[str, Any], name: str) -> dict[str, Any]:
    content: dict[str, Any] = load(files[f"prompts/{name}.prompt.yaml"]).data
    return content


_BRACES = st.lists(
    st.sampled_from(["{", "}", "%", "#", "-", " ", "x", "{{", "{% raw %}", "{{ x }}", "\n", "'", "\\"])
).map("".join)


@given(_BRACES | st.text())
@example("{{" * 1500)
@example("{{{ x }}}")
def test_a_literal_text_renders_to_itself(text: str) -> None:
    source = literal(text)
    assert check(source) == frozenset()
    assert render(source, {}) == text


@given(_BRACES)
@example("{{{x}}}")
def test_simple_variables_are_filled_in_and_nothing_else_changes(text: str) -> None:
    foreign = with_variables(text)
    assert foreign.names <= {"x"}
    expected = text.replace("{{ x }}", "<X>") if "{{ x }}" in text else text
    assert render(foreign.source, {"x": "<X>"}) == expected.replace("{{x}}", "<X>")


def test_all_recorded_versions_of_real_prompts_render_to_their_original_text(shared_data: Path) -> None:
    file = shared_data / "fabric_prompt_versions.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    imported = read("git-log", {"history.jsonl": file.read_bytes()})
    assert len(imported.history) == len(rows) == 64
    for row, version in zip(rows, imported.history, strict=True):
        system = version.content["messages"][0]["content"]
        own_notation = {name: "{{" + name + "}}" for name in check(system)}
        assert render(system, own_notation) == row["text"]
        assert (version.prompt, version.date) == (row["pattern"], row["date"])
        assert version.message == f"commit {row['commit'][:12]}"
    assert Counter(v.prompt for v in imported.history)["extract_wisdom"] == 26
    assert len({(v.prompt, json.dumps(v.content)) for v in imported.history}) == 63
    assert len(imported.files) == 8
    newest = prompt(imported.files, "write_essay")
    assert newest == next(v.content for v in reversed(imported.history) if v.prompt == "write_essay")
    assert set(newest["variables"]) == {"author_name", "input"}
    assert imported.losses == []


def test_a_history_is_ordered_by_version_and_keeps_authors_and_dates() -> None:
    lines = [
        {"path": "a/system.md", "version": 2, "text": "two", "author": "Ada", "date": "2026-01-02T00:00:00+01:00"},
        {"path": "a/system.md", "version": 1, "text": "one", "author": "Bob", "message": "begin"},
    ]
    imported = read("git-log", {"log.jsonl": "\n".join(map(json.dumps, lines)).encode()})
    assert [(v.prompt, v.author, v.date, v.message) for v in imported.history] == [
        ("a", "Bob", None, "begin"),
        ("a", "Ada", "2026-01-02T00:00:00+01:00", ""),
    ]
    assert prompt(imported.files, "a")["messages"][0]["content"] == "two"


def test_a_text_with_variables_is_one_message_and_one_without_is_a_system_message() -> None:
    imported = read(
        "text",
        {
            "prompts/ask.txt": b"\xef\xbb\xbfWhat is {{ topic }}?\n",
            "patterns/wisdom/system.md": b"# IDENTITY and PURPOSE\n\nYou are wise about {{field}}.\n",
            "tone.md": b"Be kind.\n",
        },
    )
    assert prompt(imported.files, "ask") == {
        "messages": [{"role": "user", "content": "What is {{ topic }}?\n"}],
        "variables": {"topic": {"type": "string"}},
    }
    wisdom = prompt(imported.files, "patterns/wisdom")
    assert [m["role"] for m in wisdom["messages"]] == ["system", "user"]
    assert set(wisdom["variables"]) == {"field", "input"}
    assert prompt(imported.files, "tone")["messages"][1] == {"role": "user", "content": "{{ input }}"}


def test_what_only_looks_like_a_tag_is_kept_as_text_and_reported_with_its_line() -> None:
    text = "# Title {#anchor}\nUse {{ name }}.\nWrite {% include 'x' %} and {{ f(1) }}.\n"
    imported = read("text", {"howto.md": text.encode()})
    source = prompt(imported.files, "howto")["messages"][0]["content"]
    assert render(source, {"name": "{{ name }}"}) == text
    assert [(loss.line, loss.what.split("`")[1]) for loss in imported.losses] == [
        (3, "{% include 'x' %}"),
        (3, "{{ f(1) }}"),
    ]


@pytest.mark.parametrize(
    ("format_", "path", "text"),
    [
        ("text", "p.md", "{{" * 130_000),
        ("text", "p.md", "{{a}}" * 52_000),
        ("text", "p.md", "{% " * 80_000),
        ("langfuse", "p.json", '[{"name": "a", "prompt": "' + "{{" * 130_000 + '"}]'),
        ("langfuse", "p.json", "[" + "1," * 150_000 + "1]"),
        ("prompty", "p.prompty", "user" + " " * 250_000 + "x"),
        ("prompty", "p.prompty", "---\ndescription: x\nmetadata: {a: '" + "${env:" * 40_000 + "'}\n---\nhi"),
        ("openai", "p.json", '{"a": "' + "\\" * 200_000 + '"}'),
        ("promptfoo", "promptfooconfig.yaml", "prompts: ['" + "{{ a" * 60_000 + "']"),
    ],
)
def test_texts_made_to_take_long_do_not(format_: str, path: str, text: str) -> None:
    begun = time.thread_time()
    with contextlib.suppress(InvalidContentError):
        read(format_, {path: text.encode()})
    assert time.thread_time() - begun < 2


def test_a_template_that_our_language_takes_stays_a_template() -> None:
    text = "{% if long %}{{ text | upper }}{% endif %}"
    assert template_or_text(text).source == text


@pytest.mark.parametrize(
    ("format_", "files", "words"),
    [
        ("text", {}, "no file"),
        ("text", {"a.md": b"ok\n\xff"}, "a.md: line 2: byte 3 is not UTF-8"),
        ("text", {"a.md": b"ok\n\x00"}, "a.md: line 2: a NUL"),
        ("text", {"a.md": b" \n"}, "empty"),
        ("text", {"../a.md": b"x"}, "relative"),
        ("text", {"/etc/a.md": b"x"}, "relative"),
        ("text", {"a\u202emd.exe": b"x"}, "U+202E"),
        ("text", {"a.md": b"x" * 300_000}, "at most 262144 characters"),
        ("git-log", {"l.jsonl": b'{"path": "a", "text": "x"}\n{"path": 1, "text": "x"}'}, "l.jsonl: line 2: `path`"),
        (
            "git-log",
            {"l.jsonl": b'{"path": "a", "path": "b", "text": "x"}'},
            "line 1: not JSON: the key 'path' comes twice",
        ),
        ("git-log", {"l.jsonl": b'\n{"path": "a", "text": "x", "date": "soon"}'}, "line 2: 'soon' is no date"),
        ("git-log", {"l.jsonl": "{}".encode("utf-16")}, "not UTF-8"),
        ("git-log", {"l.jsonl": b"[" * 200_000}, "line 1: nested too deeply"),
        ("git-log", {"l.jsonl": '{"pattern": "a\u202eb", "text": "x"}'.encode()}, "line 1: the name 'a\\u202eb'"),
        ("nonsense", {"a": b""}, "'nonsense' is no format; there is"),
    ],
)
def test_bad_files_are_refused_with_file_and_line(format_: str, files: dict[str, bytes], words: str) -> None:
    with pytest.raises(InvalidContentError) as refusal:
        read(format_, files)
    assert words in refusal.value.detail


async def test_imported_texts_are_versions_after_a_sync(client: httpx2.AsyncClient, shared_data: Path) -> None:
    imported = read("git-log", {"history.jsonl": (shared_data / "fabric_prompt_versions.jsonl").read_bytes()})
    assert await synced(client, imported) == {("prompts", v.prompt): "create" for v in imported.history}
    for version in imported.history:
        answer = await client.post(
            f"/api/v1/prompts/{version.prompt}/versions", json={"content": version.content, "message": version.message}
        )
        assert answer.status_code in (200, 201), answer.text
