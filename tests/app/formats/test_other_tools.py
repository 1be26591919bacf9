import json
from typing import Any

import httpx2
import pytest

from app.formats.schemas import Imported
from app.formats.service import read
from app.kit.documents import load
from app.kit.errors import InvalidContentError
from app.kit.templates import render
from tests.app.formats.syncing import synced


def imported(format_: str, path: str, content: Any) -> Imported:
    text = content if isinstance(content, str) else json.dumps(content)
    return read(format_, {path: text.encode()})


def yaml_of(found: Imported, path: str) -> Any:
    text = found.files[path]
    assert isinstance(text, str)
    return load(text).data


def lost(found: Imported) -> list[tuple[int | None, str]]:
    return [(loss.line, loss.what) for loss in found.losses]


OPENAI = """\
[{"id": "pmpt_68a", "object": "prompt", "version": "2", "name": "Weather helper", "model": "gpt-5-mini",
  "instructions": "Answer about {{city}}.", "created_at": 1760000000,
  "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "{{ question }} {% raw %}"}]}],
  "variables": {"city": "Paris", "question": {"type": "string", "description": "what is asked"}},
  "temperature": 0.2, "max_output_tokens": 300, "reasoning": {"effort": "low"},
  "text": {"format": {"type": "json_schema", "name": "weather", "strict": true, "schema": {"type": "object"}}, "verbosity": "low"},
  "tools": [{"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}},
            {"type": "web_search"}],
  "store": true},
 {"id": "pmpt_68a", "version": "1", "name": "Weather helper", "messages": [{"role": "user", "content": "{{question}}"}]},
 {"id": "pmpt_ref", "version": "1", "variables": {"a": "b"}}]
"""


async def test_openai_prompt_objects_keep_their_ids_as_aliases_and_their_versions(client: httpx2.AsyncClient) -> None:
    found = imported("openai", "prompts.json", OPENAI)
    assert found.aliases == {"pmpt_68a": "Weather-helper"}
    assert [(v.message, len(v.content["messages"]), v.date) for v in found.history] == [
        ("version 1 of pmpt_68a", 1, None),
        ("version 2 of pmpt_68a", 2, "2025-10-09T08:53:20+00:00"),
    ]
    content = yaml_of(found, "prompts/Weather-helper.prompt.yaml")
    assert content == found.history[1].content
    assert content["aliases"] == ["pmpt_68a"]
    assert content["params"] == {
        "temperature": 0.2,
        "max_completion_tokens": 300,
        "reasoning_effort": "low",
        "verbosity": "low",
    }
    assert content["variables"]["city"] == {"type": "string", "examples": ["Paris"]}
    assert render(content["messages"][1]["content"], {"question": "Why?"}) == "Why? {% raw %}"
    assert content["response_format"]["json_schema"] == {
        "name": "weather",
        "schema": {"type": "object"},
        "strict": True,
    }
    assert content["tools"] == "Weather-helper"
    assert lost(found) == [
        (8, "the tool 'web_search' is no function; it is not kept"),
        (9, "`store` of a prompt object is not kept"),
        (
            11,
            "the prompt 'pmpt_ref' is left out: it has no messages; a reference alone holds no text, so paste them from the dashboard",
        ),
    ]
    assert set((await synced(client, found)).values()) == {"create"}


LANGFUSE = [
    {
        "id": "1",
        "name": "movie critic",
        "version": 2,
        "type": "chat",
        "prompt": [
            {
                "role": "system",
                "content": "You judge {movie} as {{ level }} critic. {{a.b}} @@@langfusePrompt:name=x|version=1@@@",
            },
            {"type": "placeholder", "name": "history"},
            {"type": "chatmessage", "role": "user", "content": "{{question}}"},
        ],
        "config": {"model": "gpt-5", "temperature": 0.5, "team": "film"},
        "labels": ["production", "latest", "Not Ours"],
        "tags": ["film"],
        "createdBy": "ada",
        "createdAt": "2026-03-02T10:00:00.000Z",
        "commitMessage": "chat now",
    },
    {"name": "movie critic", "version": 1, "type": "chat", "prompt": [{"role": "user", "content": "{{question}}"}]},
    {"name": "plain", "version": 1, "type": "text", "prompt": "Say {{word}} and { that }.", "labels": []},
]


async def test_langfuse_prompts_keep_versions_labels_placeholders_and_config(client: httpx2.AsyncClient) -> None:
    found = imported("langfuse", "export.json", {"data": LANGFUSE, "meta": {}})
    assert [(v.prompt, v.author, v.labels, v.message) for v in found.history] == [
        ("movie-critic", None, [], ""),
        ("movie-critic", "ada", ["production"], "chat now"),
        ("plain", None, [], ""),
    ]
    assert found.aliases == {"movie critic": "movie-critic", "plain": "plain"}
    content = yaml_of(found, "prompts/movie-critic.prompt.yaml")
    assert content["messages"][1] == {"placeholder": "history"}
    assert render(content["messages"][0]["content"], {"level": "a hard"}) == (
        "You judge {movie} as a hard critic. {{a.b}} @@@langfusePrompt:name=x|version=1@@@"
    )
    assert (content["params"], content["metadata"], content["tags"]) == (
        {"temperature": 0.5},
        {"config": {"team": "film"}},
        ["film"],
    )
    assert found.endpoints == {"gpt-5": {"provider": "openai", "model": "gpt-5", "api_key": {"env": "OPENAI_API_KEY"}}}
    assert [what.split("`")[1] if "`" in what else what for _, what in lost(found)] == [
        "@@@langfusePrompt:name=x|version=1@@@",
        "{{a.b}}",
        "the label 'Not Ours' is not allowed here: a-z, 0-9, '_' and '-', at most 40",
    ]
    assert set((await synced(client, found)).values()) == {"create"}


GITHUB = """\
name: Text Summarizer
description: Summarizes input text concisely
model: openai/gpt-4o-mini
modelParameters:
  temperature: 0.5
  maxTokens: 200
messages:
  - role: system
    content: You are a text summarizer. Your only job is to summarize text given to you.
  - role: user
    content: |
      Summarize the given text, beginning with "Summary -":
      <text>
      {{input}}
      </text>
testData:
  - input: |
      The quick brown fox jumped over the lazy dog.
      The dog was too tired to react.
    expected: Summary - A fox jumped over a lazy, unresponsive dog.
  - input: Nothing happened.
    expected: Summary - Nothing.
evaluators:
  - name: Output should start with 'Summary -'
    string:
      startsWith: 'Summary -'
  - name: ends
    string: {endsWith: "."}
  - name: right
    string:
      contains: '{{expected}}'
  - name: Similarity
    uses: github/similarity
responseFormat: json_schema
jsonSchema: '{"name": "summary", "strict": true, "schema": {"type": "object"}}'
"""


async def test_a_github_prompt_file_becomes_prompt_dataset_and_suite(client: httpx2.AsyncClient) -> None:
    found = imported("prompt.yml", "prompts/summarize.prompt.yml", GITHUB)
    assert set(found.files) == {
        "prompts/summarize.prompt.yaml",
        "datasets/summarize.jsonl",
        "datasets/summarize.suite.yaml",
    }
    content = yaml_of(found, "prompts/summarize.prompt.yaml")
    assert content["params"] == {"temperature": 0.5, "max_tokens": 200}
    assert content["metadata"] == {"title": "Text Summarizer"}
    assert content["response_format"]["json_schema"]["name"] == "summary"
    assert yaml_of(found, "datasets/summarize.suite.yaml")["scorers"] == [
        {"use": "starts_with", "name": "Output should start with 'Summary -'", "args": {"values": "Summary -"}},
        {"use": "regex", "name": "ends", "args": {"pattern": "\\.\\z"}},
        {"use": "contains", "name": "right"},
    ]
    assert lost(found) == [
        (32, "the evaluator 'Similarity' is not kept: no scorer does this; a model judges with a rubric file")
    ]
    assert set((await synced(client, found)).values()) == {"create"}


PROMPTY = """\
---
name: support
description: Answers customers
authors: [ada]
model:
  id: gpt-5-mini
  provider: openai
  connection: {kind: key, apiKey: "${env:OPENAI_API_KEY}"}
  options: {temperature: 0.7, maxOutputTokens: 500, additionalProperties: {x: 1}}
inputs:
  firstName: {kind: string, default: friend, description: who asks}
  question: {kind: string, required: true}
  rank: {kind: integer, example: 3}
  history: {kind: thread}
tools:
  - {name: look_up, kind: function, description: finds, parameters: [{name: id, kind: string}]}
  - {name: docs, kind: mcp}
tags: [support]
---
system:
Help {{ firstName }}{% if rank %} of rank {{ rank }}{% endif %}.

{{ history }}

user[name="x"]:
{{ question }}
"""


async def test_a_prompty_file_becomes_a_prompt_with_inputs_tools_and_thread(client: httpx2.AsyncClient) -> None:
    found = imported("prompty", "support.prompty", PROMPTY)
    content = yaml_of(found, "prompts/support.prompt.yaml")
    assert content["messages"] == [
        {"role": "system", "content": "Help {{ firstName }}{% if rank %} of rank {{ rank }}{% endif %}."},
        {"placeholder": "history"},
        {"role": "user", "content": "{{ question }}"},
    ]
    assert content["variables"] == {
        "firstName": {"type": "string", "description": "who asks", "default": "friend"},
        "question": {"type": "string"},
        "rank": {"type": "integer", "examples": [3]},
    }
    assert content["params"] == {"temperature": 0.7, "max_completion_tokens": 500}
    assert yaml_of(found, "prompts/support.tools.yaml")["tools"][0]["function"]["parameters"] == {
        "type": "object",
        "properties": {"id": {"type": "string"}},
    }
    assert set(found.endpoints) == {"gpt-5-mini"}
    assert [line for line, _ in lost(found)] == [9, 17, 8]
    assert "OPENAI_API_KEY}" not in repr(found)
    assert set((await synced(client, found)).values()) == {"create"}


PROMPTY_1 = """\
---
name: Basic Prompt
model:
  api: chat
  configuration:
    type: azure_openai
    azure_deployment: gpt-35-turbo
    azure_endpoint: ${env:AZURE_OPENAI_ENDPOINT}
  parameters:
    max_tokens: 128
    response_format: {type: json_object}
sample:
  firstName: Jane
  context: ${file:sample.json}
---
system:
You are an AI assistant for {{firstName}}. {{context}}

user:
{{question}}
"""


def test_the_first_version_of_prompty_is_read_too() -> None:
    found = imported("prompty", "chat/basic.prompty", PROMPTY_1)
    content = yaml_of(found, "prompts/chat/basic.prompt.yaml")
    assert content["variables"]["firstName"] == {"type": "string", "examples": ["Jane"]}
    assert (content["params"], content["response_format"]) == ({"max_tokens": 128}, {"type": "json_object"})
    assert found.endpoints["gpt-35-turbo"]["base_url"] == {"env": "AZURE_OPENAI_BASE_URL"}
    assert (14, "`${file:sample.json}` is never read here; the value is left out") in lost(found)


@pytest.mark.parametrize(
    ("format_", "path", "content", "words"),
    [
        ("openai", "p.json", '[{"id": "pmpt_1",\n "version": "1"}]', "p.json: line 1: the prompt 'pmpt_1' is left out"),
        ("openai", "p.json", '{"id": "a\u202eb", "messages": []}', "hidden character U+202E"),
        ("openai", "p.json", '{"id": 5}', "an id is a text, not a number"),
        ("openai", "p.json", '{"a": 1,\n"a": 2}', "line 2: the key 'a' stands at line 1 already"),
        ("langfuse", "p.json", [{"name": "a\u200bb", "prompt": "x"}], "hidden character U+200B"),
        ("langfuse", "p.json", [{"prompt": "x"}], "a prompt's name is a text, not nothing"),
        ("langfuse", "p.jsonl", '{"name": "a", "prompt": "x"}\nnope', "p.jsonl: line 2: not JSON"),
        ("prompt.yml", "p.prompt.yml", "messages: *x", "p.prompt.yml: line 1"),
        ("prompt.yml", "p.prompt.yml", "a: 1\n\tb: 2", "p.prompt.yml: line 2"),
        ("prompty", "p.prompty", "---\nname: x\n", "line 1: the front matter is not closed"),
        ("prompty", "p.prompty", "---\nname: x\nname: y\n---\nhi", "line 3: the key 'name' stands at line 2"),
        ("prompty", "p.prompty", "---\n- x\n---\nhi", "line 2: the front matter is a mapping"),
        ("prompty", "p.prompty", "---\ninputs: {'a b': {}}\n---\nhi", "line 2: 'a b' is no name of a variable"),
    ],
)
def test_bad_files_of_other_tools_are_refused_with_their_line(
    format_: str, path: str, content: Any, words: str
) -> None:
    with pytest.raises(InvalidContentError) as refusal:
        imported(format_, path, content)
    assert words in refusal.value.detail


@pytest.mark.parametrize(
    ("format_", "path", "content", "words"),
    [
        ("prompty", "p.prompty", "user:\nhi\n{% include 'x' %}", "`include` is not allowed"),
        ("prompty", "p.prompty", "user:\n{{ env.HOME }}", "reads the environment"),
        ("prompty", "p.prompty", "tool:\nx", "the role 'tool' has no place here"),
        ("prompty", "p.prompty", "---\ninputs: {a: {kind: image}}\n---\nx", "the kind 'image' has no place here"),
        ("prompt.yml", "p.prompt.yml", "messages: []", "it has no messages"),
        (
            "langfuse",
            "p.json",
            [{"name": "a", "prompt": [{"type": "placeholder", "name": "a b"}]}],
            "cannot name a placeholder",
        ),
        (
            "langfuse",
            "p.json",
            [{"name": "a", "prompt": [{"role": "user", "content": [{"type": "image_url"}]}]}],
            "a part of type 'image_url'",
        ),
    ],
)
def test_a_prompt_that_would_say_something_else_is_left_out_and_reported(
    format_: str, path: str, content: Any, words: str
) -> None:
    found = imported(format_, path, content)
    assert found.files == {}
    assert [words in what and "is left out" in what for _, what in lost(found)] == [True]
