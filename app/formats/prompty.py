"""Prompty files (v2, and v1 where it differs): front matter in YAML, then the messages."""

import re
from typing import Any

from app.formats.building import Builder, checked_variable
from app.formats.chat import CannotKeepError, Chat, Language, chat, content_of, jinja, left_out
from app.formats.foreign import with_variables
from app.formats.naming import name_of_path, tag_of
from app.formats.nodes import Node
from app.formats.providers import endpoint_of
from app.formats.settings import params, response_format, schema_problem, tool_config
from app.formats.sources import Sources, parsed

_ROLE = re.compile(r"#?\s*(system|user|assistant|developer|function|tool)\s*(\[[^\]]*\])?\s*:", re.IGNORECASE)
_THREAD = re.compile(r"\{\{\s*([A-Za-z][A-Za-z0-9_]*)\s*\}\}")
_OUTSIDE = re.compile(r"\$\{(env|file):[^}]{0,200}\}")
_LONGEST_MARKER = 200  # a longer line is text; cut off, it matches no marker
_TYPES = {
    "string": "string",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "boolean": "boolean",
    "bool": "boolean",
    "array": "array",
    "object": "object",
}
_READ = frozenset(
    [
        "name",
        "displayName",
        "description",
        "metadata",
        "model",
        "inputs",
        "outputs",
        "tools",
        "template",
        "authors",
        "tags",
        "version",
        "sample",
        "$schema",
    ]
)


def read_prompty(sources: Sources, builder: Builder) -> None:
    """Each file is a prompt. Inputs become variables, outputs a response format, thread inputs placeholders."""
    for path in sources.paths:
        front, body, first_line = _split(sources, path)
        try:
            _file(front, body, first_line, builder)
        except CannotKeepError as error:
            left_out(builder, path, front.line or 1, name_of_path(path), error)


def _split(sources: Sources, path: str) -> tuple[Node, str, int]:
    """Front matter, body, and the body's first line."""
    lines = re.split(r"(?<=\n)", sources.text(path))
    fence = lines[0].strip() if lines else ""
    if fence not in ("---", "+++"):
        return Node.at_line({}, path, 1), "".join(lines), 1
    end = next((i for i, line in enumerate(lines[1:], start=1) if line.strip() == fence), None)
    if end is None:
        raise Node.at_line(None, path, 1).refuse(f"the front matter is not closed; a line {fence} is missing")
    text = "".join(lines[1:end])
    if not text.strip():
        return Node.at_line({}, path, 1), "".join(lines[end + 1 :]), end + 2
    document = parsed(path, text, as_json=False, first_line=2)
    return Node(document.data, path, document).mapping("the front matter"), "".join(lines[end + 1 :]), end + 2


def _file(front: Node, body: str, first_line: int, builder: Builder) -> None:
    for key, field in front.fields():
        if key not in _READ:
            builder.lose(field.path, field.line, f"`{key}` of the front matter is not kept")
    inputs = _inputs(front, builder)
    threads = {name for name, schema in inputs.items() if schema.get("type") == "thread"}
    variables = {name: schema for name, schema in inputs.items() if name not in threads}
    messages = list(_messages(body, first_line, front.path, threads))
    found = chat(messages, _language(front), builder)
    for name in found.names & threads:
        raise CannotKeepError(first_line, f"the thread {name!r} stands within a message; give it a line of its own")
    for name in found.names - set(variables):
        variables[name] = {"type": "string"}
    wanted = name_of_path(front.path)
    model = front.get("model")
    options = model.get("options") if model.get("options").data is not None else model.get("parameters")
    content = content_of(
        Chat(found.messages, found.names),
        dict(sorted(variables.items())),
        description=front.get("description").optional_text("`description`"),
        params=params(((k, f) for k, f in options.fields() if k not in ("response_format", "tools")), builder),
        response_format=_output(front, options, builder),
        tools=tool_config([*_tools(front), *options.get("tools").each()], builder, wanted),
        tags=_tags(front),
        metadata=_metadata(front, builder),
    )
    builder.prompt(wanted, content, front.path, front.line)
    _endpoint(model, builder)


def _language(front: Node) -> Language:
    template = front.get("template")
    kind = template.data
    if isinstance(kind, dict):
        form = template.get("format")
        kind = form.get("kind").data if isinstance(form.data, dict) else form.data or template.get("type").data
    if kind in (None, "jinja2", "nunjucks"):
        return jinja
    if kind == "mustache":
        return with_variables
    raise CannotKeepError(template.line, f"its templates are written in {kind!r}; jinja2 and mustache are read")


def _messages(body: str, first_line: int, path: str, threads: set[str]) -> list[Node]:
    """A body parted by lines such as `user:`; text before the first is the system's."""
    messages: list[Node] = []
    role, start = "system", first_line
    lines: list[str] = []

    def close() -> None:
        text = "\n".join(lines)
        if text.strip():
            leading = text[: len(text) - len(text.lstrip())].count("\n")
            messages.append(Node.at_line({"role": role, "content": text.strip()}, path, start + leading))

    for number, line in enumerate(re.split(r"\r?\n", body), start=first_line):
        bare = line.strip()[:_LONGEST_MARKER]
        marker, thread = _ROLE.fullmatch(bare), _THREAD.fullmatch(bare)
        if marker or (thread and thread[1] in threads):
            close()
            lines, start = [], number + 1
        if marker:
            role = marker[1].lower()
        elif thread and thread[1] in threads:
            messages.append(Node.at_line({"type": "placeholder", "name": thread[1]}, path, number))
        else:
            lines.append(line)
    close()
    return messages


def _inputs(front: Node, builder: Builder) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    named = _properties(front.get("inputs"))
    for name, field in named:
        checked_variable(name, field.path, field.line)
        found[name] = _schema(field, builder)
    for name, value in front.get("sample").fields():
        if not _outside(value, builder):
            schema = found.setdefault(
                checked_variable(name, value.path, value.line),
                {} if not isinstance(value.data, str) else {"type": "string"},
            )
            schema.setdefault("examples", [value.data])
    if isinstance(front.get("sample").data, str):
        _outside(front.get("sample"), builder)
    return found


def _properties(node: Node) -> list[tuple[str, Node]]:
    """Properties as a map, or as a list with a `name` each."""
    if isinstance(node.data, list):
        return [(each.get("name").text("a name"), each) for each in node.each()]
    return list(node.fields())


def _schema(field: Node, builder: Builder) -> dict[str, Any]:
    """A property as JSON Schema; a bare value is a default. `thread` stays as it is, for the caller."""
    data = field.data
    if not isinstance(data, dict):
        inferred = {bool: "boolean", int: "integer", float: "number", list: "array"}.get(type(data), "string")
        if _outside(field, builder):
            return {"type": "string"}
        return {"type": inferred, "default": data} if data is not None else {"type": "string"}
    kind = data.get("kind", data.get("type", "string"))
    if kind == "thread":
        return {"type": "thread"}
    if not isinstance(kind, str) or kind not in _TYPES:
        raise CannotKeepError(
            field.line, f"an input of the kind {kind!r} has no place here; it takes texts, numbers and lists"
        )
    schema: dict[str, Any] = {"type": _TYPES[kind]}
    for key, name in (("description", "description"), ("default", "default"), ("enumValues", "enum"), ("enum", "enum")):
        if data.get(key) is not None and not _outside(field.get(key), builder):
            schema[name] = data[key]
    for key in ("example", "sample"):
        if data.get(key) is not None and not _outside(field.get(key), builder):
            schema["examples"] = [data[key]]
    if data.get("required") is False and "default" not in schema and kind == "string":
        schema["default"] = ""
    for key in ("items", "properties"):
        if isinstance(data.get(key), dict | list):
            inner = field.get(key)
            parts = {name: _schema(each, builder) for name, each in _properties(inner)} if key == "properties" else None
            schema[key] = parts if parts is not None else _schema(inner, builder)
    if problem := schema_problem(schema):
        raise CannotKeepError(field.line, problem)
    return schema


def _output(front: Node, options: Node, builder: Builder) -> dict[str, Any] | None:
    outputs = _properties(front.get("outputs"))
    if not outputs:
        return response_format(options.get("response_format"), builder)
    properties = {name: _schema(field, builder) for name, field in outputs}
    return {
        "type": "json_schema",
        "json_schema": {"name": "output", "schema": {"type": "object", "properties": properties}},
    }


def _tools(front: Node) -> list[Node]:
    found = []
    for name, tool in _properties(front.get("tools")):
        kind = tool.get("kind").data
        given = tool.get("parameters")
        parameters = given.data
        if isinstance(parameters, list):
            parameters = {
                "type": "object",
                "properties": {
                    n: {"type": _TYPES.get(str(f.get("kind").data), "string")} for n, f in _properties(given)
                },
            }
        data = {
            **(tool.data if isinstance(tool.data, dict) else {}),
            "type": kind or "function",
            "name": name,
            "parameters": parameters or {},
        }
        found.append(Node(data, tool.path, tool.document, tool.pointer))
    return found


def _tags(front: Node) -> list[str]:
    tags = front.get("tags") if front.get("tags").data is not None else front.get("metadata").get("tags")
    return [tag_of(tag.text("a tag")) for tag in tags.each()]


def _metadata(front: Node, builder: Builder) -> dict[str, Any]:
    metadata = front.get("metadata").data
    found = {k: v for k, v in metadata.items() if k != "tags"} if isinstance(metadata, dict) else {}
    for key, name in (("authors", "authors"), ("version", "version"), ("displayName", "title"), ("name", "name")):
        if front.get(key).data is not None and not _outside(front.get(key), builder):
            found[name] = front.get(key).data
    return found


def _endpoint(model: Node, builder: Builder) -> None:
    if model.data is None:
        return
    if isinstance(model.data, str):
        endpoint_of(builder, f"openai:{model.data}", model)
        return
    settings = model.get("configuration")
    kind = model.get("apiType").data or model.get("api").data or "chat"
    if kind not in ("chat", "responses"):
        builder.lose(model.path, model.line, f"the model's API {kind!r} is no chat; its endpoint is not kept")
        return
    if model.get("connection").data is not None:
        builder.lose(
            model.path,
            model.get("connection").line,
            "the model's connection is not kept; keys and addresses are set by whoever runs the service",
        )
    provider = model.get("provider").data or settings.get("type").data or "openai"
    identity = (
        model.get("id").data
        or settings.get("name").data
        or settings.get("model").data
        or settings.get("azure_deployment").data
    )
    if not isinstance(identity, str) or not isinstance(provider, str) or _OUTSIDE.search(identity):
        builder.lose(model.path, model.line, "the model has no name of its own; no endpoint is made")
        return
    for key, field in settings.fields():
        if key not in ("type", "name", "model", "azure_deployment"):
            builder.lose(field.path, field.line, f"`{key}` of the model's configuration is not kept")
    endpoint_of(builder, f"{provider}:{identity}", model, identity)


def _outside(node: Node, builder: Builder) -> bool:
    """Whether a value asks for an environment variable or a file, which is never read."""
    if isinstance(node.data, str) and (found := _OUTSIDE.search(node.data)):
        builder.lose(node.path, node.line, f"`{found[0]}` is never read here; the value is left out")
        return True
    return False
