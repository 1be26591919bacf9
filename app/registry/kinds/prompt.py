"""Prompts: messages as templates, declared variables, params, and the RAG and tool configuration they use by default."""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Annotated, Any, Literal

import msgspec

from app.kit.errors import FieldError
from app.kit.pointers import escape
from app.kit.templates import TemplateError, check, insert
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


Alias = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._:-]{0,119}$")]
MAX_FRAGMENTS = 5
"""How deep fragments may have fragments."""
MAX_COMPOSED = 4 * 1024 * 1024
"""Characters of all messages with fragments in their places: as much as a content may have that is written out."""


class Message(Content, frozen=True):
    """Either a message (`role` and `content`, a template) or `placeholder`: a list of messages given at run time."""

    role: Role | None = None
    content: str | None = None
    placeholder: str | None = None


class Prompt(Content, frozen=True):
    """A prompt. `variables` holds a JSON Schema per variable; one without a `default` is required.

    `fragments` are other prompts, by the name under which a template shows one: `{{ name }}` alone stands for the text of all
    its messages. Their variables come along, and what this prompt declares goes before. `aliases` are further names that it
    is found by, such as the id that it had elsewhere.
    """

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
    fragments: Annotated[dict[str, str], msgspec.Meta(max_length=50)] = {}
    aliases: Annotated[list[Alias], msgspec.Meta(max_length=20)] = []


def references(prompt: Prompt) -> Iterable[Reference]:
    if prompt.rag is not None:
        yield Reference("/rag", "rag_config", prompt.rag)
    if prompt.tools is not None:
        yield Reference("/tools", "tool_config", prompt.tools)
    for name, ref in prompt.fragments.items():
        yield Reference(f"/fragments/{escape(name)}", "prompt", ref)


def composed(prompt: Prompt, fragments: Mapping[str, Prompt]) -> Prompt:
    """The prompt with its fragments (composed themselves) in their places, and with their variables.

    Raises `TemplateError` where a fragment is used in another way than alone, or when it all becomes too large.
    """
    messages = list(_with_texts(prompt, fragments))
    variables: dict[str, dict[str, Any]] = {}
    for part in fragments.values():
        variables |= part.variables
    return msgspec.structs.replace(prompt, messages=messages, variables=variables | prompt.variables, fragments={})


def _with_texts(prompt: Prompt, fragments: Mapping[str, Prompt]) -> Iterator[Message]:
    """The messages one after the other, so that who reads them knows which one does not fit."""
    texts = {name: "\n\n".join(m.content or "" for m in part.messages) for name, part in fragments.items()}
    size = 0
    for message in prompt.messages:
        if message.content is None:
            yield message
            continue
        content = insert(message.content, texts)
        size += len(content)
        if size > MAX_COMPOSED:
            raise TemplateError(f"with its fragments in their places a prompt has at most {MAX_COMPOSED:,} characters")
        yield msgspec.structs.replace(message, content=content)


def problems(prompt: Prompt) -> Iterable[FieldError]:
    for name, schema in prompt.variables.items():
        yield from _variable(name, schema)
    placeholders: set[str] = set()
    for name in prompt.fragments:
        pointer = f"/fragments/{escape(name)}"
        if not VARIABLE_NAME.fullmatch(name):
            yield FieldError(pointer, f"{name!r}: a fragment's name is a letter, then letters, digits and underscores")
        if name in prompt.variables:
            yield FieldError(pointer, f"{name!r} is a variable already; give the fragment another name")
    for i, message in enumerate(prompt.messages):
        yield from _message(message, f"/messages/{i}", {*prompt.variables, *prompt.fragments})
        if message.placeholder is not None and message.placeholder in placeholders:
            yield FieldError(f"/messages/{i}/placeholder", f"{message.placeholder!r} is there already")
        placeholders.add(message.placeholder or "")
    for name in prompt.params:
        if name in NOT_PARAMS:
            yield FieldError(f"/params/{name}", f"{name!r} is no parameter of a prompt: {NOT_PARAMS[name]}")
    yield from _response_format(prompt.response_format)


def disagreements(prompt: Prompt, pinned: Mapping[str, Any]) -> Iterable[FieldError]:
    """Fragments come composed themselves."""
    fragments: dict[str, Prompt] = {name: pinned[f"/fragments/{escape(name)}"] for name in prompt.fragments}
    for name, part in fragments.items():
        if any(message.placeholder is not None for message in part.messages):
            detail = f"{prompt.fragments[name]!r} has a placeholder for messages; a fragment is text alone"
            yield FieldError(f"/fragments/{escape(name)}", detail)
            return
    fitting = 0
    try:
        for _ in _with_texts(prompt, fragments):
            fitting += 1
    except TemplateError as error:
        yield FieldError(f"/messages/{fitting}/content", error.detail)
        return
    yield from _clashes(prompt, fragments)
    rag: RAGConfig | None = pinned.get("/rag")
    if rag is not None:
        known = set(prompt.variables).union(*(part.variables for part in fragments.values()))
        for name in sorted(check(rag.query) - known):
            yield FieldError("/rag", f"the query of {prompt.rag!r} uses the variable {name!r}, which this prompt lacks")


def _clashes(prompt: Prompt, fragments: Mapping[str, Prompt]) -> Iterable[FieldError]:
    """Variables that fragments declare differently, and that the prompt does not settle."""
    declared: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, part in fragments.items():
        for variable, schema in part.variables.items():
            other, earlier = declared.setdefault(variable, (name, schema))
            if schema != earlier and variable not in prompt.variables:
                detail = f"{name!r} and {other!r} declare the variable {variable!r} differently; declare it under `variables` here"
                yield FieldError(f"/fragments/{escape(name)}", detail)


def _message(message: Message, pointer: str, variables: Set[str]) -> Iterable[FieldError]:
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
    for name in sorted(names - variables):
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
    ("messages", "variables", "params", "response_format", "fragments"),
    references,
    problems,
    disagreements,
)
