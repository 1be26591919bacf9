"""Prompts: messages as templates, declared variables, params, and the RAG and tool configuration they use by default."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec

from app.kit.errors import FieldError
from app.registry.kinds.base import Content, Kind, Reference

Role = Literal["system", "developer", "user", "assistant"]


class Message(Content, frozen=True):
    """Either a message (`role` and `content`, a template) or `placeholder`: a list of messages given at run time."""

    role: Role | None = None
    content: str | None = None
    placeholder: str | None = None


class Prompt(Content, frozen=True):
    """A prompt. `variables` holds a JSON Schema per variable; one without a `default` is required."""

    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    description: str = ""
    variables: dict[str, dict[str, Any]] = {}
    params: dict[str, Any] = {}
    response_format: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "text"})
    rag: str | None = None
    tools: str | None = None
    tags: list[str] = []
    owner: str | None = None
    metadata: dict[str, Any] = {}


def references(prompt: Prompt) -> Iterable[Reference]:
    if prompt.rag is not None:
        yield Reference("/rag", "rag_config", prompt.rag)
    if prompt.tools is not None:
        yield Reference("/tools", "tool_config", prompt.tools)


def problems(prompt: Prompt) -> Iterable[FieldError]:
    for i, message in enumerate(prompt.messages):
        if message.placeholder is None and (message.role is None or message.content is None):
            yield FieldError(f"/messages/{i}", "a message needs `role` and `content`, or `placeholder` alone")
        if message.placeholder is not None and (message.role is not None or message.content is not None):
            yield FieldError(
                f"/messages/{i}", "`placeholder` stands alone: remove `role` and `content`, or the placeholder"
            )


KIND = Kind(
    "prompt",
    "prompts",
    ".prompt.yaml",
    Prompt,
    ("messages", "variables", "params", "response_format"),
    references,
    problems,
)
