"""Prompts: messages as templates, declared variables, params, and the RAG and tool configuration they use by default."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec

from app.kit.errors import FieldError
from app.kit.pointers import escape
from app.kit.templates import TemplateError, check
from app.registry.kinds.base import Content, Kind, Reference, Tag, schema_problems
from app.registry.kinds.rag_config import RAGConfig

Role = Literal["system", "developer", "user", "assistant"]

VARIABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
NOT_PARAMS = {
    "model": "the endpoint names the model",
    "messages": "messages stand at the top of the prompt",
    "tools": "tools come from a tool config",
    "tool_choice": "tools come from a tool config",
    "response_format": "response_format stands at the top of the prompt",
    "stream": "who calls decides that",
    "n": "ask for repeats in the suite instead",
}
JSON_SCHEMA_FIELDS = frozenset({"name", "schema", "description", "strict"})


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
    tags: list[Tag] = []
    owner: str | None = None
    metadata: dict[str, Any] = {}


def references(prompt: Prompt) -> Iterable[Reference]:
    if prompt.rag is not None:
        yield Reference("/rag", "rag_config", prompt.rag)
    if prompt.tools is not None:
        yield Reference("/tools", "tool_config", prompt.tools)


def problems(prompt: Prompt) -> Iterable[FieldError]:
    for name, schema in prompt.variables.items():
        yield from _variable(name, schema)
    placeholders: set[str] = set()
    for i, message in enumerate(prompt.messages):
        yield from _message(message, f"/messages/{i}", prompt.variables)
        if message.placeholder is not None and message.placeholder in placeholders:
            yield FieldError(f"/messages/{i}/placeholder", f"{message.placeholder!r} is there already")
        placeholders.add(message.placeholder or "")
    for name in prompt.params:
        if name in NOT_PARAMS:
            yield FieldError(f"/params/{name}", f"{name!r} is no parameter of a prompt: {NOT_PARAMS[name]}")
    yield from _response_format(prompt.response_format)


def disagreements(prompt: Prompt, pinned: Mapping[str, Any]) -> Iterable[FieldError]:
    rag: RAGConfig | None = pinned.get("/rag")
    if rag is not None:
        for name in sorted(check(rag.query) - set(prompt.variables)):
            yield FieldError("/rag", f"the query of {prompt.rag!r} uses the variable {name!r}, which this prompt lacks")


def _message(message: Message, pointer: str, variables: Mapping[str, Any]) -> Iterable[FieldError]:
    if message.placeholder is not None:
        if message.role is not None or message.content is not None:
            yield FieldError(pointer, "`placeholder` stands alone: remove `role` and `content`, or the placeholder")
        if not VARIABLE_NAME.fullmatch(message.placeholder):
            yield FieldError(f"{pointer}/placeholder", "a placeholder's name has letters, digits and underscores")
        return
    if message.role is None or message.content is None:
        yield FieldError(pointer, "a message needs `role` and `content`, or `placeholder` alone")
        return
    try:
        names = check(message.content)
    except TemplateError as error:
        yield FieldError(f"{pointer}/content", error.detail)
        return
    for name in sorted(names - set(variables)):
        yield FieldError(
            f"{pointer}/content",
            f"the variable {name!r} is used but not declared; add it under `variables`, such as `{name}: {{type: string}}`",
        )


def _variable(name: str, schema: dict[str, Any]) -> Iterable[FieldError]:
    pointer = f"/variables/{escape(name)}"
    if not VARIABLE_NAME.fullmatch(name):
        yield FieldError(pointer, f"{name!r}: a variable's name is a letter, then letters, digits and underscores")
    if found := list(schema_problems(schema, pointer)):
        yield from found
    elif "default" in schema:
        yield from schema_problems(schema, pointer, instance=schema["default"])


def _response_format(form: dict[str, Any]) -> Iterable[FieldError]:
    kind, pointer = form.get("type"), "/response_format"
    if kind in ("text", "json_object"):
        if extra := sorted(set(form) - {"type"}):
            yield FieldError(f"{pointer}/{escape(extra[0])}", f"{kind!r} has no further fields")
    elif kind != "json_schema":
        yield FieldError(f"{pointer}/type", "use text, json_object or json_schema")
    else:
        spec = form.get("json_schema")
        if (
            not isinstance(spec, dict)
            or not isinstance(spec.get("name"), str)
            or not isinstance(spec.get("schema"), dict)
        ):
            yield FieldError(
                f"{pointer}/json_schema", "it needs a `name` and a `schema`, such as {name: answer, schema: {}}"
            )
            return
        for extra_field in sorted(set(spec) - JSON_SCHEMA_FIELDS):
            yield FieldError(f"{pointer}/json_schema/{escape(extra_field)}", f"unknown field `{extra_field}`")
        yield from schema_problems(spec["schema"], f"{pointer}/json_schema/schema")


KIND = Kind(
    "prompt",
    "prompts",
    ".prompt.yaml",
    Prompt,
    ("messages", "variables", "params", "response_format"),
    references,
    problems,
    disagreements,
)
