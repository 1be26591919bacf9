"""Messages of other tools: a list of `{role, content}` whose contents are templates in the tool's own language."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from app.formats.building import Builder
from app.formats.foreign import Foreign, with_variables
from app.formats.nodes import Node
from app.kit.templates import TemplateError, check

ROLES = frozenset({"system", "developer", "user", "assistant"})
_TEXT_PARTS = frozenset({"text", "input_text", "output_text"})

Language = Callable[[str], Foreign]
"""Makes a template of ours; raises `TemplateError` for what cannot be one."""


class Chat(NamedTuple):
    """Messages as a prompt holds them, and the variables that they need."""

    messages: list[dict[str, str]]
    names: frozenset[str]


class CannotKeepError(Exception):
    """A prompt that would not say the same here; the message says why. It is left out, and that is a loss."""

    def __init__(self, line: int | None, what: str) -> None:
        super().__init__(what)
        self.line = line


def jinja(text: str) -> Foreign:
    """Templates of Jinja and its likes: taken as they are, or refused."""
    names = check(text)
    if "env" in names:
        raise TemplateError("`env` reads the environment of the process, which templates here never do")
    return Foreign(text, names)


def chat(nodes: Iterable[Node], language: Language, builder: Builder) -> Chat:
    """Raises `CannotKeepError` for a message that has no counterpart."""
    messages: list[dict[str, str]] = []
    names: set[str] = set()
    for node in nodes:
        if not isinstance(node.data, dict):
            raise CannotKeepError(node.line, "a message is a mapping with `role` and `content`")
        role, content = node.get("role"), node.get("content")
        if role.data not in ROLES:
            known = ", ".join(sorted(ROLES))
            raise CannotKeepError(
                role.line, f"a message of the role {role.data!r} has no place here; roles are {known}"
            )
        for key, field in node.fields():
            if key not in ("role", "content", "type"):
                builder.lose(field.path, field.line, f"`{key}` of a message is not kept")
        foreign = translated(text_of(content, builder), content, language, builder)
        messages.append({"role": role.data, "content": foreign.source})
        names |= foreign.names
    if not messages:
        raise CannotKeepError(None, "it has no messages")
    return Chat(messages, frozenset(names))


def text_of(content: Node, builder: Builder) -> str:
    """A message's content as one text."""
    if isinstance(content.data, str):
        return content.data
    texts: list[str] = []
    for part in content.each():
        if not isinstance(part.data, dict) or part.data.get("type", "text") not in _TEXT_PARTS:
            kind = part.data.get("type") if isinstance(part.data, dict) else part.data
            raise CannotKeepError(part.line, f"a message with a part of type {kind!r}; only text is kept")
        texts.append(part.get("text").text("the text of a message"))
    if not texts:
        raise CannotKeepError(content.line, "a message without text")
    if len(texts) > 1:
        builder.lose(content.path, content.line, f"{len(texts)} parts of a message are joined by an empty line")
    return "\n\n".join(texts)


def translated(text: str, node: Node, language: Language, builder: Builder) -> Foreign:
    """`text` at `node` as a template of ours. Raises `CannotKeepError` with the line of what is refused."""
    try:
        foreign = language(text)
    except TemplateError as error:
        inside = f" (line {error.line} of its text)" if error.line and error.line > 1 else ""
        raise CannotKeepError(node.line, f"{error.message}{inside}") from error
    if language is with_variables:
        for stray in foreign.strays:
            if stray.tag.startswith("{{"):
                what = f"`{stray.tag}` is no name of a variable; it is kept as plain text"
                builder.lose(node.path, node.line, what)
    return foreign


def left_out(builder: Builder, path: str, line: int | None, name: str, error: CannotKeepError) -> None:
    builder.lose(path, error.line or line, f"the prompt {name!r} is left out: {error}")


def content_of(found: Chat, variables: dict[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A prompt's content; what is empty in `more` is left out, and `description` comes first."""
    kept = {key: value for key, value in more.items() if value not in (None, "", [], {})}
    description = {"description": kept.pop("description")} if "description" in kept else {}
    return {**description, "messages": found.messages, **({"variables": variables} if variables else {}), **kept}
