"""Bundles without a registry, for tests whose subject is the path and not the parts."""

from typing import Any

import msgspec

from app.generation.bundles import endpoint_spec
from app.generation.schemas import Bundle, Refs
from app.kit.digests import digest
from app.registry.kinds import kinds
from app.registry.schemas import Artifact

QUESTION = {
    "messages": [{"role": "user", "content": "{{ question }}"}],
    "variables": {"question": {"type": "string"}},
}


class Item(msgspec.Struct):
    id: str
    inputs: dict[str, Any]


def parsed(kind: str, content: dict[str, Any]) -> Any:
    return kinds()[kind].parse(content)


def bundle(
    base_url: str | None = None,
    prompt: dict[str, Any] | None = None,
    *,
    rag: dict[str, Any] | None = None,
    tools: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
    endpoint_params: dict[str, Any] | None = None,
    **endpoint: Any,
) -> Bundle:
    endpoint = {"provider": "compatible", "model": "m", "params": endpoint_params or {}, **endpoint}
    if base_url is not None:
        endpoint["base_url"] = base_url
    made = parsed("endpoint", endpoint)
    artifact = Artifact("endpoint", "local", 1, digest(endpoint), made, {}, {})
    prompt = QUESTION if prompt is None else prompt
    everything = digest([prompt, rag, tools, endpoint, params])
    return Bundle(
        project_id="p",
        prompt=parsed("prompt", prompt),
        prompt_digest=digest(prompt),
        endpoint=made,
        endpoint_digest=artifact.digest,
        spec=endpoint_spec(artifact),
        digest=everything,
        deciding=everything,
        refs=Refs("docs/answer@1", "local@1"),
        rag=parsed("rag_config", {"corpus": "docs", **rag}) if rag is not None else None,
        corpus_digest="corpus" if rag is not None else None,
        tools=parsed("tool_config", tools) if tools is not None else None,
        params=params or {},
    )
