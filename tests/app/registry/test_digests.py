"""Digests are kept in other people's records: these vectors never change."""

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.registry.contents import deciding, parse, plain, prepare
from app.registry.kinds import kinds
from app.registry.schemas import Artifact


def prepared(kind: str, content: dict[str, Any], pins: dict[str, Artifact] | None = None) -> Any:
    declared = kinds()[kind]
    return prepare(declared, parse(declared, content), pins or {})


def sha256(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


VECTORS: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "prompt",
        {"messages": [{"role": "user", "content": "Hi"}]},
        '{"content":{"messages":[{"content":"Hi","role":"user"}]},"kind":"prompts","pins":{}}',
        "sha256:ad6ebc1b926555fa9c4f02d1e1af03ab7f252fd04265194cbdf1f479e6cee21d",
    ),
    (
        "prompt",
        {
            "tags": [],
            "variables": {"q": {"type": "string", "default": "é€😀"}},
            "params": {"temperature": 0.0, "top_p": 1e-7, "seed": 1.0},
            "messages": [{"content": "a\r\nb {{ q }}", "role": "system", "placeholder": None}],
            "response_format": {"type": "text"},
        },
        '{"content":{"messages":[{"content":"a\\nb {{ q }}","role":"system"}],"params":{"seed":1,"temperature":0,"top_p":1e-7},'
        '"variables":{"q":{"default":"é€😀","type":"string"}}},"kind":"prompts","pins":{}}',
        "sha256:a964bcc649782001d0690fbbf514833721898039d59740c66f18e7c6392b0654",
    ),
    (
        "endpoint",
        {"provider": "openai", "model": "m", "limits": {"max_concurrency": 64}, "timeout_s": 60, "params": {}},
        '{"content":{"model":"m","provider":"openai"},"kind":"endpoints","pins":{}}',
        "sha256:787f897f73286a2929e66d56bf55e3128753e24500816bad1da4dad581d96301",
    ),
]


@pytest.mark.parametrize(("kind", "content", "canonical", "golden"), VECTORS)
def test_golden_vectors(kind: str, content: dict[str, Any], canonical: str, golden: str) -> None:
    assert prepared(kind, content).digest == sha256(canonical) == golden


def test_key_order_line_endings_and_defaults_do_not_change_a_digest_and_anything_else_does() -> None:
    base = prepared("prompt", {"messages": [{"role": "user", "content": "a\nb"}], "tags": ["x"]}).digest
    same = [
        {"tags": ["x"], "messages": [{"content": "a\nb", "role": "user"}]},
        {"tags": ["x"], "messages": [{"content": "a\r\nb", "role": "user"}], "description": "", "rag": None},
        {"tags": ["x"], "messages": [{"content": "a\nb", "role": "user"}], "response_format": {"type": "text"}},
    ]
    other = [
        {"tags": ["x"], "messages": [{"content": "a\nb ", "role": "user"}]},
        {"tags": ["x"], "messages": [{"content": "a\rb", "role": "user"}]},
        {"tags": ["x"], "messages": [{"content": "a\nb", "role": "user"}], "description": "."},
        {"tags": ["x"], "messages": [{"content": "a\nb", "role": "user"}], "metadata": {"a": False}},
        {"tags": ["x"], "messages": [{"content": "a\nb", "role": "user"}], "metadata": {"a": 0}},
    ]
    assert {prepared("prompt", content).digest for content in same} == {base}
    assert len({base, *(prepared("prompt", content).digest for content in other)}) == len(other) + 1


# A default that changes would change what old contents mean. Add fields; never edit a line.
DEFAULTS = r"""{
"Approvals.count": 1,
"Approvals.role": "approver",
"Calibration.labels": "required",
"Calibration.method": "ppi",
"Calibration.min_labels": 100,
"Chunking.by": "none",
"Chunking.overlap": 0,
"Chunking.size": 200,
"Confidence.block": 0.98,
"Confidence.pass": 0.95,
"Cost.max_ratio": "required",
"Data.cluster": null,
"Data.fresh_baseline": true,
"Data.max_age": "14d",
"Data.max_missing": 0.02,
"Data.repeats": 1,
"Dataset.description": "",
"Dataset.items": "required",
"Dataset.schema": null,
"Dataset.tags": [],
"DerivedSpec.name": "required",
"Endpoint.api_key": null,
"Endpoint.base_url": null,
"Endpoint.description": "",
"Endpoint.limits": {},
"Endpoint.model": "required",
"Endpoint.params": {},
"Endpoint.price": null,
"Endpoint.provider": "required",
"Endpoint.tags": [],
"Endpoint.timeout_s": 60.0,
"Errors.max_rate": "required",
"Extend.max_repeats": 5,
"Feedback.floor": null,
"Feedback.no_worse_by": null,
"Feedback.signal": "required",
"FromEnvironment.env": "required",
"Function.description": "",
"Function.name": "required",
"Function.parameters": {},
"Function.strict": null,
"GatePolicy.baseline": "deployed",
"GatePolicy.ci": null,
"GatePolicy.confidence": {},
"GatePolicy.data": {},
"GatePolicy.decide_at": 0.5,
"GatePolicy.description": "",
"GatePolicy.extend": {},
"GatePolicy.on_inconclusive": null,
"GatePolicy.rollout_rules": [],
"GatePolicy.rules": "required",
"GatePolicy.run": {},
"GatePolicy.undecided_after": "14d",
"GatePolicy.version": 1,
"Improvement.at_least": "required",
"Items.count": "required",
"Items.digest": "required",
"Latency.max_ratio": null,
"Latency.p95_max_ms": null,
"Limits.max_concurrency": 64,
"Limits.rpm": null,
"Limits.tpm": null,
"Message.content": null,
"Message.placeholder": null,
"Message.role": null,
"MustPass.allow_failures": 2,
"MustPass.confirm": 4,
"MustPass.tag": "required",
"NoRegression.margin": "required",
"Overrides.confidence": null,
"Overrides.data": null,
"Overrides.extend": null,
"Overrides.on_inconclusive": null,
"Overrides.rules": null,
"Overrides.run": null,
"Price.cached_input": null,
"Price.input": 0.0,
"Price.output": 0.0,
"Prompt.description": "",
"Prompt.messages": "required",
"Prompt.metadata": {},
"Prompt.owner": null,
"Prompt.params": {},
"Prompt.rag": null,
"Prompt.response_format": {"type": "text"},
"Prompt.tags": [],
"Prompt.tools": null,
"Prompt.variables": {},
"RAGConfig.chunking": {},
"RAGConfig.context": "{% for chunk in chunks %}[{{ loop.index }}] {{ chunk.title }}\n{{ chunk.text }}\n\n{% endfor %}",
"RAGConfig.corpus": "required",
"RAGConfig.description": "",
"RAGConfig.min_score": null,
"RAGConfig.query": "{{ question }}",
"RAGConfig.retriever": {},
"RAGConfig.tags": [],
"Results.kind": "none",
"Results.recorded": {},
"Results.url": null,
"Retriever.endpoint": null,
"Retriever.kind": "bm25",
"Retriever.top_k": 4,
"Retriever.url": null,
"Rubric.description": "",
"Rubric.endpoint": "required",
"Rubric.examples": [],
"Rubric.instructions": "required",
"Rubric.labels": null,
"Rubric.params": {},
"Rubric.scale": null,
"Rubric.tags": [],
"Rubric.votes": 1,
"Rule.accept_uncalibrated": false,
"Rule.approvals": null,
"Rule.calibration": null,
"Rule.cost": null,
"Rule.endpoints": "pooled",
"Rule.errors": null,
"Rule.feedback": null,
"Rule.floor": null,
"Rule.improvement": null,
"Rule.latency": null,
"Rule.metric": null,
"Rule.must_pass": null,
"Rule.no_regression": null,
"Rule.slices": null,
"Rule.strength": null,
"Run.looks": [1.0],
"Run.max_calls": null,
"Scale.high": "required",
"Scale.low": "required",
"ScorerSpec.args": {},
"ScorerSpec.name": null,
"ScorerSpec.use": "required",
"ScorerSpec.weight": 1.0,
"ScorerSpec.when": [],
"Slices.by": "required",
"Slices.min_cases": 20,
"Suite.dataset": "required",
"Suite.description": "",
"Suite.endpoints": [],
"Suite.policy": null,
"Suite.repeats": 1,
"Suite.scorers": "required",
"Suite.tags": [],
"Tool.function": "required",
"Tool.type": "function",
"ToolConfig.description": "",
"ToolConfig.max_rounds": 4,
"ToolConfig.parallel_tool_calls": true,
"ToolConfig.results": {},
"ToolConfig.tags": [],
"ToolConfig.tool_choice": "auto",
"ToolConfig.tools": "required"
}"""


def defaults() -> dict[str, Any]:
    found: dict[str, Any] = {}
    todo = [kind.content for kind in kinds().values()]
    while todo:
        struct = todo.pop()
        for field in msgspec.structs.fields(struct):
            todo += [t for t in _structs(field.type) if t.__name__ not in {key.partition(".")[0] for key in found}]
            if field.required:
                found[f"{struct.__name__}.{field.encode_name}"] = "required"
                continue
            value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()  # type: ignore[operator]
            found[f"{struct.__name__}.{field.encode_name}"] = plain(value)
    return dict(sorted(found.items()))


def _structs(annotation: Any) -> list[Any]:
    from typing import get_args

    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return [annotation]
    return [struct for argument in get_args(annotation) for struct in _structs(argument)]


def test_published_defaults_stay_as_they_are() -> None:
    now = defaults()
    published = json.loads(DEFAULTS)
    assert {key: now.get(key) for key in published} == published
    assert {key for key, value in now.items() if value == "required"} <= set(published), "a new field has a default"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2.0**53) + 1, 2.0**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5, alphabet="abc~/"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5, alphabet="abc~/"), json_values, max_size=4))
def test_what_is_stored_has_the_digest_of_what_was_sent(metadata: dict[str, Any]) -> None:
    first = prepared("prompt", {"messages": [{"role": "user", "content": "x"}], "metadata": metadata})
    again = prepared("prompt", msgspec.json.decode(first.body))
    assert (again.digest, again.body) == (first.digest, first.body)


def test_only_what_decides_an_answer_is_in_the_deciding_part() -> None:
    dataset = prepared("dataset", {"items": {"count": 1, "digest": "sha256:0"}, "description": "card"})
    reworded = prepared("dataset", {"items": {"count": 1, "digest": "sha256:0"}, "description": "better card"})
    extended = prepared("dataset", {"items": {"count": 2, "digest": "sha256:1"}, "description": "card"})

    def config(pinned: Any, **more: Any) -> dict[str, Any]:
        made = prepared("rag_config", {"corpus": "docs", **more}, {"/corpus": pinned.artifact()})
        return deciding(made.artifact())

    assert config(dataset) == config(reworded) == config(dataset, description="new", tags=["x"])
    assert config(dataset) == config(dataset, corpus="docs@1"), "how the corpus is called decides nothing"
    assert config(dataset) != config(extended)
    assert config(dataset) != config(dataset, query="{{ q }}")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), "no JSON number"),
        (float("inf"), "no JSON number"),
        (2**53, "past 2**53"),
        (1e20, "past 2**53"),
        ("\ud800", "lone surrogate"),
        ("a\x00", "NUL"),
    ],
)
def test_what_json_cannot_hold_exactly_is_refused_with_its_place(value: Any, words: str) -> None:
    from app.kit.errors import InvalidContentError

    with pytest.raises(InvalidContentError) as caught:
        prepared("prompt", {"messages": [{"role": "user", "content": "x"}], "metadata": {"a/b": [1, value]}})
    assert [e.pointer for e in caught.value.errors] == ["/metadata/a~1b/1"]
    assert words in caught.value.detail


def test_a_bomb_of_nesting_is_refused() -> None:
    from app.kit.errors import InvalidContentError

    bomb: Any = 1
    for _ in range(900):
        bomb = [bomb]
    with pytest.raises(InvalidContentError, match="deeper than 64"):
        prepared("prompt", {"messages": [{"role": "user", "content": "x"}], "metadata": {"a": bomb}})
