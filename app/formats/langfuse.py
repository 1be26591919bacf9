"""Langfuse's prompts as its API and its export give them: one object, a list, or `{data: [...]}`."""

import re
from typing import Any

from app.formats.building import Builder, declared
from app.formats.chat import CannotKeepError, chat, content_of, left_out
from app.formats.foreign import with_variables
from app.formats.naming import ALIAS, checked, name_of, tag_of
from app.formats.nodes import Node
from app.formats.providers import endpoint_of
from app.formats.schemas import Version
from app.formats.settings import PARAMS, params, response_format, tool_config
from app.formats.sources import Sources

_IGNORED = frozenset(
    [
        "id",
        "createdAt",
        "updatedAt",
        "projectId",
        "createdBy",
        "name",
        "version",
        "type",
        "prompt",
        "config",
        "labels",
        "tags",
        "commitMessage",
        "resolutionGraph",
        "isActive",
        "lastUpdatedAt",
        "lastConfig",
    ]
)
_REFERENCE = re.compile(r"@@@langfusePrompt:.*?@@@")


def read_langfuse(sources: Sources, builder: Builder) -> None:
    """Versions of one name become its history, oldest first, with their labels; the names that callers know are aliases."""
    for path in sources.paths:
        if path.lower().endswith(".jsonl"):
            nodes = [Node.at_line(row, path, number) for number, row in sources.json_lines(path)]
        else:
            node = Node.of_file(sources, path)
            nodes = (node.get("data") if isinstance(node.get("data").data, list) else node).one_or_more()
        for each in nodes:
            _version(each.mapping("a prompt"), builder)
    builder.settle()


def _version(node: Node, builder: Builder) -> None:
    original = checked(node.get("name").text("a prompt's name"), node.path, node.line)
    try:
        found = chat(_messages(node, builder), with_variables, builder)
    except CannotKeepError as error:
        left_out(builder, node.path, node.line, original, error)
        return
    aliases = builder.imported.aliases
    if original not in aliases:
        aliases[original] = builder.free("prompt", name_of(original))
    name, config = aliases[original], node.get("config")
    if isinstance(model := config.get("model").data, str):
        endpoint_of(builder, model if ":" in model or "/" in model else f"openai:{model}", config.get("model"), model)
    rest = {k: f.data for k, f in config.fields() if k not in PARAMS and k not in ("model", "response_format", "tools")}
    content = content_of(
        found,
        declared(found.names),
        params=params(((k, f) for k, f in config.fields() if k in PARAMS), builder),
        response_format=response_format(config.get("response_format"), builder),
        tools=tool_config(config.get("tools").each(), builder, name),
        tags=[tag_of(tag.text("a tag")) for tag in node.get("tags").each()],
        metadata={"config": rest} if rest else {},
        aliases=[original] if original != name and ALIAS.fullmatch(original) else [],
    )
    for key, field in node.fields():
        if key not in _IGNORED and field.data not in (None, {}, []):
            builder.lose(field.path, field.line, f"`{key}` of a prompt is not kept")
    version = Version(
        name,
        content,
        _text(node, "createdBy"),
        _text(node, "createdAt"),
        _text(node, "commitMessage") or "",
        builder.labels([label.data for label in node.get("labels").each()], node.path, node.get("labels").line),
    )
    number = node.get("version").data
    builder.version(version, node.path, node.line, number if isinstance(number, int) else None)


def _messages(node: Node, builder: Builder) -> list[Node]:
    prompt = node.get("prompt")
    for found in sorted(set(_REFERENCE.findall(str(prompt.data)))):
        builder.lose(prompt.path, prompt.line, f"`{found}` is kept as text: other prompts are not put in")
    if isinstance(prompt.data, str):
        data: dict[str, Any] = {"role": "user", "content": prompt.data}
        return [Node(data, prompt.path, prompt.document, prompt.pointer)]
    if not isinstance(prompt.data, list):
        raise CannotKeepError(prompt.line, "`prompt` is a text or a list of messages")
    return list(prompt.each())


def _text(node: Node, key: str) -> str | None:
    value = node.get(key).data
    return value if isinstance(value, str) else None
