from typing import Any

import httpx2
import pytest

from app.kit.errors import InvalidContentError
from app.registry.contents import parse
from app.registry.kinds import by_plural
from tests.app.registry.api import items_of, post, problem, prompt


def refused(plural: str, content: dict[str, Any], pointer: str, words: str) -> None:
    with pytest.raises(InvalidContentError) as caught:
        parse(by_plural(plural), content, "/content")
    pointers = [error.pointer for error in caught.value.errors]
    assert any(p.startswith(f"/content{pointer}") for p in pointers), pointers
    assert words in caught.value.detail


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"messages": []}, "/messages", "length >= 1"),
        ({"messages": [{"role": "user"}]}, "/messages/0", "`role` and `content`"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "/messages/0/role", "'robot'"),
        ({"messages": [{"placeholder": "h", "content": "x"}]}, "/messages/0", "stands alone"),
        ({"messages": [{"placeholder": "h"}, {"placeholder": "h"}]}, "/messages/1/placeholder", "there already"),
        (
            {"messages": [{"role": "user", "content": "{{ name }}"}]},
            "/messages/0/content",
            "'name' is used but not declared",
        ),
        ({"messages": [{"role": "user", "content": "a\n{{ x"}]}, "/messages/0/content", "line 2"),
        ({"messages": [{"role": "user", "content": "{% include 'x' %}"}]}, "/messages/0/content", "include"),
        ({"variables": {"q": {"type": "strin"}}}, "/variables/q", "JSON Schema"),
        ({"variables": {"q": {"$ref": "https://example.com/x.json"}}}, "/variables/q", "remote"),
        ({"variables": {"q": {"type": "string", "default": 3}}}, "/variables/q/default", "default"),
        ({"variables": {"a b": {}}}, "/variables/a b", "letters"),
        ({"params": {"model": "gpt"}}, "/params/model", "endpoint"),
        ({"params": 3}, "/params", "Expected `object`"),
        ({"response_format": {"type": "xml"}}, "/response_format/type", "json_schema"),
        ({"response_format": {"type": "json_schema"}}, "/response_format/json_schema", "schema"),
        ({"tags": ["x" * 61]}, "/tags/0", "60"),
        ({"tagz": []}, "/tagz", "unknown field `tagz`; did you mean `tags`?"),
        ({"rag": 3}, "/rag", "Expected `str | null`"),
    ],
)
def test_a_bad_field_of_a_prompt_is_named_with_the_fix(change: dict[str, Any], pointer: str, words: str) -> None:
    refused("prompts", {**prompt(), **change}, pointer, words)


@pytest.mark.parametrize(
    ("plural", "content", "pointer", "words"),
    [
        ("suites", {"dataset": "d", "scorers": []}, "/scorers", "length >= 1"),
        ("suites", {"dataset": "d"}, "/scorers", "required field `scorers`"),
        ("suites", {"dataset": "d", "scorers": [{"use": "exact_mach"}]}, "/scorers/0/use", "exact_match"),
        (
            "suites",
            {"dataset": "d", "scorers": [{"use": "regex", "args": {"pattern": "("}}]},
            "/scorers/0/args",
            "regex",
        ),
        ("suites", {"dataset": "d", "scorers": [{"use": "cost"}, {"use": "cost"}]}, "/scorers/1/name", "name"),
        ("suites", {"dataset": "d", "scorers": [{"use": "cost"}], "endpoints": ["e", "e"]}, "/endpoints/1", "already"),
        ("endpoints", {"provider": "compatible", "model": "m"}, "/base_url", "base_url"),
        ("endpoints", {"provider": "openai", "model": "m", "api_key": "sk-1"}, "/api_key", "Expected `object"),
        ("endpoints", {"provider": "openai", "model": "m", "api_key": {"env": "sk-1"}}, "/api_key/env", "NAME"),
        ("rag-configs", {"corpus": "d", "context": "{{ question }}"}, "/context", "chunks"),
        ("rag-configs", {"corpus": "d", "query": "{{ a() }}"}, "/query", "call"),
        ("tool-configs", {"tools": []}, "/tools", "length >= 1"),
        ("tool-configs", {"tools": [{"function": {"name": "a b"}}]}, "/tools/0/function/name", "regex"),
        (
            "tool-configs",
            {"tools": [{"function": {"name": "f", "parameters": {"type": "objekt"}}}]},
            "/tools/0/function/parameters",
            "JSON Schema",
        ),
        (
            "tool-configs",
            {"tools": [{"function": {"name": "f"}}], "results": {"kind": "recorded", "recorded": {"g": 1}}},
            "/results/recorded/g",
            "there is f",
        ),
        ("rubrics", {"instructions": "{{", "endpoint": "e", "labels": {"a": 1, "b": 0}}, "/instructions", "not closed"),
        ("rubrics", {"instructions": "x", "endpoint": "e"}, "/labels", "either"),
        ("gate-policies", {"rules": []}, "/rules", "at least one rule"),
    ],
)
def test_a_bad_field_of_any_kind_is_named_with_the_fix(
    plural: str, content: dict[str, Any], pointer: str, words: str
) -> None:
    refused(plural, content, pointer, words)


async def test_what_a_kind_refuses_is_a_422_and_nothing_is_stored(client: httpx2.AsyncClient) -> None:
    answer = await post(client, "prompts", "p", {**prompt("{{ name }}"), "tools": "none"})
    assert problem(answer) == (422, "invalid-content", ["/content/messages/0/content"])
    assert await items_of(client, "/api/v1/prompts") == []
