"""Bundles out of references, contents and pins, on either database."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.datasets.parsing import parse
from app.datasets.service import Datasets
from app.generation.bundles import resolve_bundle
from app.generation.schemas import CandidateSpec, Draft
from app.kit.db import make_engine, make_sessions
from app.kit.errors import InvalidContentError
from app.registry.service import Registry
from app.registry.tables import ContentRow

PROMPT = {
    "messages": [{"role": "user", "content": "{{ context }} {{ question }}"}],
    "variables": {"question": {"type": "string"}, "context": {"type": "string", "default": ""}},
    "rag": "docs/rag",
    "tools": "docs/tools@1",
}
RAG = {"corpus": "corpus"}
TOOLS = {"tools": [{"function": {"name": "f"}}]}
ENDPOINT = {
    "provider": "compatible",
    "model": "m",
    "base_url": {"env": "THE_URL"},
    "api_key": {"env": "THE_KEY"},
    "price": {"input": 1.5},
    "limits": {"rpm": 60},
    "timeout_s": 7,
}


@pytest.fixture
async def registry(database_url: str) -> AsyncIterator[Registry]:
    engine = make_engine(database_url)
    async with make_sessions(engine).begin() as session:
        registry = Registry(session, "default")
        await corpus(session, "corpus", "text one")
        await registry.create_version("rag_config", "docs/rag", RAG)
        await registry.create_version("tool_config", "docs/tools", TOOLS)
        await registry.create_version("prompt", "docs/answer", PROMPT)
        await registry.create_version("endpoint", "local", ENDPOINT)
        yield registry
    await engine.dispose()


async def corpus(session: AsyncSession, name: str, text: str) -> None:
    line = msgspec.json.encode({"id": "a", "inputs": {"text": text}})
    await Datasets(session, "default").create_version(name, parse(line, "application/x-ndjson"))


SPEC = CandidateSpec("docs/answer")


async def test_a_prompt_brings_what_it_pins(registry):
    bundle = await resolve_bundle(registry, SPEC, "local")
    rag = await registry.resolve("rag_config", "docs/rag")
    assert bundle.rag == rag.content
    assert (bundle.rag_digest, bundle.corpus_digest) == (rag.digest, rag.pins["/corpus"])
    assert bundle.tools_digest == (await registry.resolve("tool_config", "docs/tools")).digest
    assert (bundle.refs.prompt, bundle.refs.endpoint) == ("docs/answer@1", "local@1")
    assert bundle.refs.rag_config == f"docs/rag@{rag.digest[:19]}"
    assert bundle.project_id == "default"


async def test_the_endpoint_becomes_a_spec_with_names_of_variables_in_place_of_values(registry):
    spec = (await resolve_bundle(registry, SPEC, "local")).spec
    assert (spec.name, spec.base_url, spec.base_url_env, spec.api_key_env) == ("local", None, "THE_URL", "THE_KEY")
    assert (spec.timeout_s, spec.limits.rpm, spec.limits.max_concurrency) == (7, 60, 64)
    assert spec.price is not None
    assert spec.price.input == 1.5


async def test_a_moved_dependency_changes_no_version_that_pinned_it(registry):
    before = await resolve_bundle(registry, SPEC, "local")
    await registry.create_version("rag_config", "docs/rag", {**RAG, "min_score": 2.0})
    after = await resolve_bundle(registry, SPEC, "local")
    assert after == before
    named = await resolve_bundle(registry, CandidateSpec("docs/answer", rag_config="docs/rag"), "local")
    assert named.rag is not None
    assert named.rag.min_score == 2.0
    assert named.refs.rag_config == "docs/rag@2"
    assert named.digest != before.digest
    assert named.deciding != before.deciding


async def test_null_means_none_and_left_out_means_the_prompts_own(registry):
    bundle = await resolve_bundle(registry, CandidateSpec("docs/answer", rag_config=None, tool_config=None), "local")
    assert bundle.rag is bundle.tools is bundle.rag_digest is bundle.corpus_digest is bundle.tools_digest is None
    assert bundle.digest != (await resolve_bundle(registry, SPEC, "local")).digest


async def test_what_does_not_decide_an_answer_changes_the_bundle_and_not_its_deciding_part(registry):
    before = await resolve_bundle(registry, SPEC, "local")
    cheap = Draft({**ENDPOINT, "price": {"input": 9.0}, "limits": {"rpm": 1}, "timeout_s": 1, "description": "d"})
    after = await resolve_bundle(registry, SPEC, cheap)
    assert after.digest != before.digest
    assert after.deciding == before.deciding
    other = await resolve_bundle(registry, SPEC, Draft({**ENDPOINT, "model": "n"}))
    assert other.deciding != before.deciding


async def test_a_candidates_own_endpoint_and_params_come_first(registry):
    own = CandidateSpec("docs/answer", endpoint=Draft({**ENDPOINT, "model": "own"}), params={"temperature": 0})
    bundle = await resolve_bundle(registry, own, "local")
    assert (bundle.endpoint.model, bundle.params) == ("own", {"temperature": 0})
    without = await resolve_bundle(registry, CandidateSpec("docs/answer", endpoint=own.endpoint), "local")
    assert without.digest != bundle.digest
    assert without.deciding != bundle.deciding


async def test_a_content_is_the_same_bundle_as_its_version_and_is_kept_by_digest(registry):
    draft = await resolve_bundle(registry, CandidateSpec(Draft(PROMPT)), "local")
    versioned = await resolve_bundle(registry, SPEC, "local")
    assert (draft.digest, draft.deciding) == (versioned.digest, versioned.deciding)
    assert draft.refs.prompt == draft.prompt_digest[:19]
    new = await resolve_bundle(registry, CandidateSpec(Draft({**PROMPT, "description": "new"})), "local")
    again = await resolve_bundle(registry, CandidateSpec(new.prompt_digest), new.endpoint_digest)
    assert again.digest == new.digest


async def test_a_content_that_is_only_tried_is_not_kept(registry):
    async def count() -> int:
        return (await registry._session.scalars(select(func.count()).select_from(ContentRow))).one()

    before = await count()
    tried = CandidateSpec(Draft({**PROMPT, "description": "tried"}), rag_config=Draft({**RAG, "min_score": 1.0}))
    assert await resolve_bundle(registry, tried, Draft({**ENDPOINT, "model": "tried"}), keep=False)
    assert await count() == before


@pytest.mark.parametrize(
    ("spec", "endpoint", "pointer", "says"),
    [
        (CandidateSpec("nope"), "local", "/c/prompt", "nope"),
        (CandidateSpec("docs/answer@9"), "local", "/c/prompt", "docs/answer"),
        (CandidateSpec("sha256:" + "0" * 64), "local", "/c/prompt", "sha256:000"),
        (CandidateSpec("docs/answer", rag_config="nope"), "local", "/c/rag_config", "nope"),
        (CandidateSpec("docs/answer", tool_config="nope"), "local", "/c/tool_config", "nope"),
        (SPEC, "nope", "/c/endpoint", "nope"),
        (SPEC, None, "/c/endpoint", "name the endpoint"),
        (CandidateSpec(Draft({"messages": []})), "local", "/c/prompt/content/messages", "length"),
        (CandidateSpec(Draft({**PROMPT, "rag": "nope"})), "local", "/c/prompt/content/rag", "nope"),
        (SPEC, Draft({**ENDPOINT, "provider": "azure"}), "/c/endpoint/content/provider", "not available"),
        (CandidateSpec("docs/answer", params={"model": "x"}), "local", "/c/params/model", "cannot be set here"),
        (
            CandidateSpec("docs/answer", rag_config=Draft({**RAG, "query": "{{ topic }}"})),
            "local",
            "/c/rag_config",
            "topic",
        ),
    ],
)
async def test_whatever_is_unknown_or_does_not_fit_is_named_with_its_place(registry, spec, endpoint, pointer, says):
    with pytest.raises(InvalidContentError) as caught:
        await resolve_bundle(registry, spec, endpoint, pointer="/c")
    assert [error.pointer for error in caught.value.errors] == [pointer]
    assert says in caught.value.detail
