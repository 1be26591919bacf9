"""OpenAI's prompt objects (`pmpt_…`), as pasted JSON: one object, a list of them, or `{data: [...]}`."""

from datetime import UTC, datetime
from typing import Any

from app.formats.building import Builder, checked_variable
from app.formats.chat import CannotKeepError, Chat, chat, content_of, left_out
from app.formats.foreign import with_variables
from app.formats.naming import ALIAS, checked, name_of
from app.formats.nodes import Node
from app.formats.providers import endpoint_of
from app.formats.schemas import Version
from app.formats.settings import PARAMS, params, response_format, tool_config
from app.formats.sources import Sources
from app.kit.errors import InvalidContentError

_READ = frozenset(
    [
        "id",
        "object",
        "version",
        "name",
        "title",
        "description",
        "variables",
        "messages",
        "instructions",
        "input",
        "model",
        "tools",
        "tool_choice",
        "text",
        "response_format",
        "reasoning",
        "created_at",
        "created_by",
        "prompt",
        "metadata",
    ]
)


def read_openai(sources: Sources, builder: Builder) -> None:
    """Each id becomes an alias of its prompt; several versions of one id become its history."""
    for path in sources.paths:
        node = Node.of_file(sources, path)
        listed = node.get("data")
        for each in (listed if isinstance(listed.data, list) else node).one_or_more():
            _object(each.mapping("a prompt object"), builder)
    builder.settle()
    if not builder.imported.files:
        first = builder.imported.losses[0] if builder.imported.losses else None
        raise InvalidContentError(
            f"{first.path}: line {first.line}: {first.what}" if first else "there is no prompt object"
        )


def _object(node: Node, builder: Builder) -> None:
    inner = node.get("prompt")
    if isinstance(inner.data, dict) and "messages" not in node.data:  # a call that holds the object
        node = inner
    identity = checked(node.get("id").optional_text("an id"), node.path, node.line)
    title = node.get("name").optional_text("a name") or node.get("title").optional_text("a title")
    title = checked(title, node.path, node.line)
    try:
        found = _messages(node, builder)
    except CannotKeepError as error:
        left_out(builder, node.path, node.line, identity or title or "without an id", error)
        return
    imported = builder.imported
    known = imported.aliases.get(identity) if identity else None
    name = known or builder.free("prompt", name_of(title or identity))
    if identity:
        imported.aliases[identity] = name
    metadata: dict[str, Any] = (
        dict(node.get("metadata").data or {}) if isinstance(node.get("metadata").data, dict) else {}
    )
    tools = tool_config(node.get("tools").each(), builder, name, node.get("tool_choice").data)
    text = node.get("text").get("format")
    form = response_format(node.get("response_format") if text.data is None else text, builder)
    if isinstance(model := node.get("model").data, str):
        endpoint_of(builder, f"openai:{model}", node.get("model"), model)
    content = content_of(
        found,
        _variables(node.get("variables"), found.names),
        description=node.get("description").optional_text("a description"),
        params=_params(node, builder),
        response_format=form,
        tools=tools,
        metadata=metadata,
        aliases=[identity] if identity and ALIAS.fullmatch(identity) else [],
    )
    version = Version(name, content, _author(node), _date(node), _message(node))
    number = node.get("version").data
    order = int(number) if isinstance(number, int) or (isinstance(number, str) and number.isdecimal()) else None
    builder.version(version, node.path, node.line, order)


def _messages(node: Node, builder: Builder) -> Chat:
    nodes: list[Node] = []
    for key, role in (("instructions", "system"), ("messages", None), ("input", "user")):
        field = node.get(key)
        if isinstance(field.data, str):
            message = {"role": role or "user", "content": field.data}
            nodes.append(Node.at_line(message, field.path, field.line or 1))
        else:
            nodes += field.one_or_more()
    if not nodes:
        raise CannotKeepError(
            node.line, "it has no messages; a reference alone holds no text, so paste them from the dashboard"
        )
    return chat(nodes, with_variables, builder)


def _variables(node: Node, names: frozenset[str]) -> dict[str, dict[str, Any]]:
    """`variables` by name, with a schema or an example each; or a list of names."""
    schemas: dict[str, dict[str, Any]] = {name: {"type": "string"} for name in names}
    for entry in node.each():
        name = entry.data if isinstance(entry.data, str) else entry.get("name").text("a variable's name")
        schemas.setdefault(checked_variable(name, entry.path, entry.line), {"type": "string"})
    for name, field in node.fields():
        checked_variable(name, field.path, field.line)
        schemas[name] = (
            {"type": "string", "examples": [field.data]} if isinstance(field.data, str) else {"type": "string"}
        )
        if isinstance(field.get("description").data, str):
            schemas[name]["description"] = field.get("description").data
    return dict(sorted(schemas.items()))


def _params(node: Node, builder: Builder) -> dict[str, Any]:
    found = params(((k, f) for k, f in node.fields() if k in PARAMS or k == "max_output_tokens"), builder)
    effort, verbosity = node.get("reasoning").get("effort").data, node.get("text").get("verbosity").data
    if effort is not None:
        found["reasoning_effort"] = effort
    if verbosity is not None:
        found["verbosity"] = verbosity
    for name, field in node.fields():
        if (
            name not in _READ
            and name not in PARAMS
            and name != "max_output_tokens"
            and field.data not in (None, {}, [])
        ):
            builder.lose(field.path, field.line, f"`{name}` of a prompt object is not kept")
    return found


def _author(node: Node) -> str | None:
    author = node.get("created_by").data
    return author if isinstance(author, str) else None


def _date(node: Node) -> str | None:
    created = node.get("created_at").data
    if isinstance(created, int) and 0 < created < 2**33:
        return datetime.fromtimestamp(created, UTC).isoformat()
    return created if isinstance(created, str) else None


def _message(node: Node) -> str:
    number, identity = node.get("version").data, node.get("id").data
    return f"version {number} of {identity}" if number is not None else ""
