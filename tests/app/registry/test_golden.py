"""One content of every kind, whose digest is written down here and computed in another way than the service does.

Digests stand in receipts, releases and other people's records: whatever else changes, these lines are never edited.
"""

import hashlib
import json
from typing import Any

import httpx2
import pytest

from app.registry.kinds import kinds
from tests.app.registry.api import made

SENT: list[tuple[str, str, dict[str, Any]]] = [
    (
        "datasets",
        "questions",
        {
            "items": [
                {"id": "1", "inputs": {"question": "Käse?\r\nJa", "n": 0.5}, "reference": "ja", "tags": ["easy"]},
                {"id": "2", "inputs": {"question": "😀"}, "recorded": {"m": {"text": "ok"}}, "cluster": "c"},
            ],
            "description": "Fragen",
            "tags": ["de"],
            "sensitivity": "personal",
            "retention_days": 30,
        },
    ),
    (
        "endpoints",
        "model",
        {
            "provider": "compatible",
            "model": "m-1",
            "base_url": {"env": "BASE_URL"},
            "api_key": {"env": "KEY"},
            "limits": {"rpm": 60},
            "price": {"input": 0.15, "output": 1e-7, "cached_input": 2.0},
            "timeout_s": 12.5,
        },
    ),
    (
        "rag-configs",
        "docs",
        {"corpus": "questions", "retriever": {"top_k": 2}, "chunking": {"by": "sentences", "size": 3}},
    ),
    (
        "tool-configs",
        "weather",
        {
            "tools": [{"function": {"name": "get", "parameters": {"type": "object"}, "strict": True}}],
            "tool_choice": "required",
            "results": {"kind": "recorded", "recorded": {"get": "rain"}},
        },
    ),
    ("prompts", "shared/tone", {"messages": [{"role": "system", "content": "Be kind."}], "aliases": ["pmpt_1"]}),
    (
        "prompts",
        "ask",
        {
            "messages": [
                {"role": "system", "content": "{{ tone }}"},
                {"placeholder": "history"},
                {"role": "user", "content": "{{ question }}\r\n{{ context }}"},
            ],
            "variables": {"question": {"type": "string"}, "context": {"default": "", "type": "string"}},
            "params": {"temperature": 0.2, "seed": 7, "top_p": 1.0},
            "response_format": {"type": "json_object"},
            "fragments": {"tone": "shared/tone"},
            "rag": "docs@1",
            "tools": "weather",
            "owner": "docs team",
            "metadata": {"ü": None, "€": True, "😀": [1, 2.5], "z": {}},
        },
    ),
    (
        "rubrics",
        "helpful",
        {"instructions": "Is {{ output }} helpful?", "endpoint": "model", "labels": {"yes": 1, "no": 0.0}, "votes": 3},
    ),
    (
        "gate-policies",
        "strict",
        {"rules": [{"metric": "right", "no_regression": {"margin": 0.1}}], "confidence": {"pass": 0.9}},
    ),
    (
        "suites",
        "checks",
        {
            "dataset": "questions",
            "endpoints": ["model"],
            "scorers": [{"use": "exact_match", "name": "right", "weight": 2.0}],
            "policy": "strict",
            "repeats": 2,
        },
    ),
]

REFERENCES = {
    "docs": {"/corpus": "questions"},
    "ask": {"/fragments/tone": "shared/tone", "/rag": "docs", "/tools": "weather"},
    "helpful": {"/endpoint": "model"},
    "checks": {"/dataset": "questions", "/endpoints/0": "model", "/policy": "strict"},
}

GOLDEN = {
    "questions": "sha256:00e4ce5001594e40697ea33d5315bd3ef7698a7ebf32ff7b7b7db64b6686d329",
    "model": "sha256:770fe9d18e641b1207cda4fb87cd1ac5fd0d9871d99adfd33ce8bf459e2c5d1d",
    "docs": "sha256:c1ea57320baefd1a93469a777234fc617d1f8d2b9386fb5425cb316d2353113a",
    "weather": "sha256:bc0f09c79982e8090eca3316611d0d3ffdc9dc3eb74cbb75f6efd2ddf5d07c0b",
    "shared/tone": "sha256:853f72b3999694d73db65e021cbc65781638df34ce8c98f9dc58ad82e5f03f13",
    "ask": "sha256:d1c814204daa0a778214d73427375362b3a5551d9ff26fb4e3ae3ebbacfbb7b4",
    "helpful": "sha256:ef78f6b7514dd91e35202545e5b871842ce64a16ffed840a1314d72957158f35",
    "strict": "sha256:1e6ed2dd7ebc608def91389b8365f2989f20380feaebd0acf36ef339bd72ee70",
    "checks": "sha256:aea8536a3491ffd566ddf4b9a11af1413d4858f3a1b2758e42c5d4b4b9b53741",
}


def canonical(value: Any) -> str:
    """RFC 8785 for what stands above, written anew: keys in the order of UTF-16, numbers as JavaScript writes them."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value.replace("\r\n", "\n"), ensure_ascii=False)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value).replace("e-0", "e-")
    return json.dumps(value)


def sha256(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def stored(plural: str, content: dict[str, Any]) -> dict[str, Any]:
    """A dataset's items stand in it by their manifest."""
    if plural != "datasets":
        return content
    lines = []
    for item in content["items"]:
        rest = {key: value for key, value in item.items() if key != "id"}
        lines.append(canonical([item["id"], sha256(canonical(rest))]))
    return {**content, "items": {"count": len(lines), "digest": sha256("".join(lines))}}


@pytest.fixture
async def versions(client: httpx2.AsyncClient) -> dict[str, dict[str, Any]]:
    return {name: await made(client, plural, name, content) for plural, name, content in SENT}


async def test_the_digest_of_one_content_of_every_kind_never_changes(versions: dict[str, dict[str, Any]]) -> None:
    assert {name: version["digest"] for name, version in versions.items()} == GOLDEN
    expected: dict[str, str] = {}
    for plural, name, content in SENT:
        pins = {pointer: expected[to] for pointer, to in REFERENCES.get(name, {}).items()}
        expected[name] = sha256(canonical({"kind": plural, "content": stored(plural, content), "pins": pins}))
        assert versions[name]["pins"] == pins
    assert expected == GOLDEN


def test_there_is_a_vector_for_every_kind() -> None:
    assert {plural for plural, _, _ in SENT} == {kind.plural for kind in kinds().values()}
