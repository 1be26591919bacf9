"""What stands beside the messages of a prompt in other tools: parameters, response formats and tools."""

import re
from collections.abc import Iterable
from typing import Any

from app.formats.building import Builder
from app.formats.nodes import Node
from app.formats.sources import parsed
from app.kit.documents import dump
from app.kit.errors import InvalidContentError

_NOT_PARAMS = {
    "model": "the model is part of an endpoint",
    "messages": "messages stand at the top of a prompt",
    "tools": "tools come from a tool config",
    "tool_choice": "tools come from a tool config",
    "response_format": "response_format stands at the top of a prompt",
    "stream": "who calls decides that",
    "n": "ask for repeats in the suite instead",
}
_RENAMED = {
    "max_output_tokens": "max_completion_tokens",
    "stop_sequences": "stop",
}
PARAMS = frozenset(
    [
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "min_p",
        "presence_penalty",
        "reasoning_effort",
        "repetition_penalty",
        "seed",
        "service_tier",
        "stop",
        "temperature",
        "top_k",
        "top_logprobs",
        "top_p",
        "verbosity",
    ]
)
"""Parameters of a chat completion that are taken as such."""
_FUNCTION = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


def params(fields: Iterable[tuple[str, Node]], builder: Builder) -> dict[str, Any]:
    """Fields such as `maxTokens` or `top_p` as parameters; those of another meaning are losses."""
    found: dict[str, Any] = {}
    for name, field in fields:
        snake = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()
        snake = _RENAMED.get(snake, snake)
        if field.data is None:
            continue
        if snake in PARAMS:
            found[snake] = field.data
        else:
            reason = f": {_NOT_PARAMS[snake]}" if snake in _NOT_PARAMS else ""
            builder.lose(field.path, field.line, f"the parameter `{name}` is not kept{reason}")
    return found


def response_format(node: Node, builder: Builder, schema: Node | None = None) -> dict[str, Any] | None:
    """A response format as chat completions, the Responses API or a bare word name it; None for plain text.

    `schema` is where a JSON Schema stands beside it. One that cannot be used is a loss.
    """
    kind = node.data if isinstance(node.data, str) else node.get("type").data
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return {"type": "json_object"}
    inner = schema or (node.get("json_schema") if node.get("json_schema").data is not None else node)
    data = inner.data
    if isinstance(data, str):  # a JSON text within the file
        try:
            data = parsed(inner.path, data, as_json=True).data
        except InvalidContentError:
            data = None
    if kind != "json_schema" or not isinstance(data, dict):
        builder.lose(node.path, node.line, f"the response format {kind!r} is not kept")
        return None
    body = data.get("schema", None if "type" in data and node is inner else data)
    name = data.get("name") if isinstance(data.get("name"), str) and "schema" in data else "answer"
    if not isinstance(body, dict) or (problem := schema_problem(body)):
        builder.lose(
            inner.path,
            inner.line,
            f"the response format is not kept: {problem if isinstance(body, dict) else 'it has no schema'}",
        )
        return None
    extra = {key: data[key] for key in ("description", "strict") if "schema" in data and data.get(key) is not None}
    return {"type": "json_schema", "json_schema": {"name": name, "schema": body, **extra}}


def schema_problem(schema: dict[str, Any]) -> str | None:
    """Why a JSON Schema cannot be used, or None."""
    from evaluators.jsonschemas import SchemaError, compile_schema

    try:
        compile_schema(schema)
    except SchemaError as error:
        return f"not a usable JSON Schema: {error}"
    return None


def tool_config(nodes: Iterable[Node], builder: Builder, name: str, choice: Any = None) -> str | None:
    """Adds a tool config for function tools, as OpenAI's two APIs write them, and returns its name; None without any."""
    tools: list[dict[str, Any]] = []
    for node in nodes:
        function = node.get("function") if isinstance(node.get("function").data, dict) else node
        data = function.data if isinstance(function.data, dict) else {}
        tool_name = data.get("name")
        if node.get("type").data not in ("function", None) or not isinstance(tool_name, str):
            kind = node.get("type").data
            builder.lose(node.path, node.line, f"the tool {kind or tool_name!r} is no function; it is not kept")
            continue
        parameters = data.get("parameters") or {}
        problem = schema_problem(parameters) if isinstance(parameters, dict) else "its parameters are no JSON Schema"
        if not _FUNCTION.fullmatch(tool_name) or any(t["function"]["name"] == tool_name for t in tools):
            problem = "its name is not allowed, or comes twice"
        if problem:
            builder.lose(node.path, node.line, f"the tool {tool_name!r} is not kept: {problem}")
            continue
        kept = {"name": tool_name, "description": str(data.get("description") or ""), "parameters": parameters}
        tools.append({"function": {**kept, **({"strict": True} if data.get("strict") is True else {})}})
    if not tools:
        return None
    content: dict[str, Any] = {"tools": tools}
    if choice in ("none", "required"):
        content["tool_choice"] = choice
    name = builder.free("tools", name)
    builder.imported.files[f"prompts/{name}.tools.yaml"] = dump(content)
    return name
