"""Models of other tools as endpoints. Keys are never copied, only the names of environment variables."""

import re
from typing import Any

from app.formats.building import Builder
from app.formats.naming import name_of
from app.formats.nodes import Node

_CHAT = frozenset({"chat", "responses", "messages", "completion-chat"})
_OTHER_KINDS = frozenset(
    [
        "completion",
        "embedding",
        "embeddings",
        "image",
        "moderation",
        "realtime",
        "assistant",
        "codex-sdk",
        "tts",
        "transcription",
    ]
)
_NEVER = (
    "exec",
    "python",
    "file",
    "http",
    "https",
    "ws",
    "wss",
    "webhook",
    "echo",
    "package",
    "golang",
    "ruby",
    "promptfoo",
)
_ENVIRONMENT = re.compile(r"\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def endpoint_of(builder: Builder, model: str, node: Node, label: str = "", settings: Node | None = None) -> str | None:
    """Adds an endpoint for `provider:model` (or `provider/model`), and returns its name; None, with a loss, if there is none."""
    separator = ":" if ":" in model else "/"
    provider, _, rest = model.partition(separator)
    if not rest:
        provider, rest = "openai", model
    if provider in _NEVER or model.startswith(("file:", "http:", "https:")):
        builder.lose(node.path, node.line, f"the provider {model!r} runs code or calls another program; it is not kept")
        return None
    kind, colon, tail = rest.partition(":")
    if colon and kind in _OTHER_KINDS:
        builder.lose(node.path, node.line, f"the provider {model!r} is no chat model; it is not kept")
        return None
    if colon and kind in _CHAT:
        rest = tail
        if kind == "responses":
            builder.lose(
                node.path, node.line, f"{model!r} is called by chat completions here, not by the Responses API"
            )
    content: dict[str, Any] = {"provider": "openai", "model": rest, "api_key": {"env": "OPENAI_API_KEY"}}
    if provider != "openai":
        prefix = re.sub(r"[^A-Z0-9]+", "_", provider.upper()).strip("_") or "MODEL"
        prefix = f"MODEL_{prefix}" if prefix[0].isdigit() else prefix
        variables = {"base_url": {"env": f"{prefix}_BASE_URL"}, "api_key": {"env": f"{prefix}_API_KEY"}}
        content = {"provider": "compatible", "model": rest, **variables}
        builder.lose(
            node.path,
            node.line,
            f"{model!r} is called through an API like OpenAI's: set {prefix}_BASE_URL and {prefix}_API_KEY to one that has it",
        )
    if settings is not None:
        _settings(builder, content, settings)
    return _named(builder, name_of(label or model.replace(":", "/"), "model"), content)


def _settings(builder: Builder, content: dict[str, Any], settings: Node) -> None:
    params: dict[str, Any] = {}
    for key, field in settings.fields():
        if key in ("apiKey", "api_key"):
            if isinstance(field.data, str) and (named := _ENVIRONMENT.fullmatch(field.data.strip())):
                content["api_key"] = {"env": named[1]}
            else:
                builder.lose(
                    field.path, field.line, "a key is never copied; set the environment variable of the endpoint"
                )
        elif key == "apiKeyEnvar" and isinstance(field.data, str) and _NAME.fullmatch(field.data):
            content["api_key"] = {"env": field.data}
        elif key in ("apiBaseUrl", "apiHost", "base_url"):
            _address(builder, content, field)
        elif key in (
            "temperature",
            "max_tokens",
            "max_completion_tokens",
            "top_p",
            "seed",
            "stop",
            "presence_penalty",
            "frequency_penalty",
            "reasoning_effort",
            "top_k",
            "min_p",
            "logit_bias",
            "verbosity",
        ):
            params[key] = field.data
        else:
            builder.lose(field.path, field.line, f"`{key}` of a provider is not kept")
    if params:
        content["params"] = params


def _address(builder: Builder, content: dict[str, Any], field: Node) -> None:
    text = field.text("the address of a provider").strip()
    content["provider"] = "compatible"
    if named := _ENVIRONMENT.fullmatch(text):
        content["base_url"] = {"env": named[1]}
    elif re.fullmatch(r"https?://[^\s{}@]+", text):
        content["base_url"] = text
    elif re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?(/[^\s{}@]*)?", text):
        content["base_url"] = f"https://{text}"
    else:
        builder.lose(field.path, field.line, "this address is not kept; set OPENAI_BASE_URL")
        content["base_url"] = {"env": "OPENAI_BASE_URL"}


def _named(builder: Builder, name: str, content: dict[str, Any]) -> str:
    endpoints = builder.imported.endpoints
    if endpoints.get(name) == content:
        return name
    name = builder.free("endpoint", name)
    endpoints[name] = content
    return name
