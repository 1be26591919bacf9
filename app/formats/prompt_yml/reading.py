"""GitHub's `.prompt.yml`: a prompt with its test data and evaluators in one file."""

import json
import re
from typing import Any

from app.formats.building import Builder, declared
from app.formats.chat import CannotKeepError, Chat, chat, content_of, left_out
from app.formats.foreign import with_variables
from app.formats.naming import name_of_path
from app.formats.nodes import Node
from app.formats.providers import endpoint_of
from app.formats.settings import params, response_format
from app.formats.sources import Sources

_READ = frozenset(
    [
        "name",
        "description",
        "model",
        "modelParameters",
        "messages",
        "testData",
        "evaluators",
        "responseFormat",
        "jsonSchema",
    ]
)
_EXPECTED = re.compile(r"\{\{\s*expected\s*\}\}")


def read_prompt_yml(sources: Sources, builder: Builder) -> None:
    """Each file is a prompt; its `testData` becomes a dataset and its `evaluators` a suite of the same name."""
    for path in sources.paths:
        node = Node.of_file(sources, path).mapping("a .prompt.yml file")
        try:
            found = chat(node.get("messages").each(), with_variables, builder)
        except CannotKeepError as error:
            left_out(builder, path, node.line, name_of_path(path), error)
            continue
        _file(node, found, builder)


def _file(node: Node, found: Chat, builder: Builder) -> None:
    schema = node.get("jsonSchema")
    title = node.get("name").optional_text("`name`")
    content = content_of(
        found,
        declared(found.names),
        description=node.get("description").optional_text("`description`"),
        params=params(node.get("modelParameters").fields(), builder),
        response_format=response_format(
            node.get("responseFormat"), builder, schema if schema.data is not None else None
        ),
        metadata={"title": title} if title else {},
    )
    name = builder.prompt(name_of_path(node.path), content, node.path, node.line)
    model = node.get("model")
    endpoint = endpoint_of(builder, model.text("`model`"), model) if model.data is not None else None
    for key, field in node.fields():
        if key not in _READ:
            builder.lose(field.path, field.line, f"`{key}` of the file is not kept")
    items = [_item(number, row) for number, row in enumerate(node.get("testData").each(), start=1)]
    if not items:
        if node.get("evaluators").data:
            builder.lose(node.path, node.get("evaluators").line, "there is no testData, so that no suite is made")
        return
    dataset = builder.free("dataset", name)
    builder.dataset(dataset, items, node.path)
    entries = _scorers(node, builder)
    if entries:
        suite: dict[str, Any] = {
            "dataset": dataset,
            **({"endpoints": [endpoint]} if endpoint else {}),
            "scorers": entries,
        }
        builder.suite(dataset, suite, node.path)


def _item(number: int, row: Node) -> dict[str, Any]:
    inputs = dict(row.mapping("a row of testData").data)
    expected = inputs.pop("expected", None)
    return {"id": str(number), "inputs": inputs, **({} if expected is None else {"reference": expected})}


def _scorers(node: Node, builder: Builder) -> list[dict[str, Any]]:
    from evaluators.contract import ScorerConfigError
    from evaluators.registry import build

    entries: list[dict[str, Any]] = []
    for evaluator in node.get("evaluators").each():
        wanted = evaluator.mapping("an evaluator").get("name").optional_text("an evaluator's name")
        rules = list(evaluator.get("string").fields())
        if not rules:
            kind = evaluator.get("uses").data or ("llm" if evaluator.get("llm").data else "unknown")
            what = (
                f"the evaluator {wanted or kind!r} is not kept: no scorer does this; a model judges with a rubric file"
            )
            builder.lose(evaluator.path, evaluator.line, what)
        for rule, value in rules:
            entry = _entry(rule, value)
            try:
                if entry is None:
                    raise ScorerConfigError("no scorer does this")
                build(entry["use"], entry.get("args"))
            except ScorerConfigError as error:
                builder.lose(value.path, value.line, f"`{rule}` of the evaluator {wanted!r} is not kept: {error}")
                continue
            metric, number = wanted or entry["use"], 1
            while any(metric == e.get("name", e["use"]) for e in entries):
                number += 1
                metric = f"{wanted or entry['use']}-{number}"
            use = entry.pop("use")
            entries.append({"use": use, **({"name": metric} if metric != use else {}), **entry})
    return entries


def _entry(rule: str, value: Node) -> dict[str, Any] | None:
    """The scorer of a string rule; `{{expected}}` is the case's own reference."""
    text = value.data if isinstance(value.data, str) else json.dumps(value.data)
    own = _EXPECTED.fullmatch(text.strip()) is not None
    if "{{" in text and not own:
        return None
    if rule in ("contains", "startsWith"):
        use = "contains" if rule == "contains" else "starts_with"
        return {"use": use} if own else {"use": use, "args": {"values": text}}
    if rule == "equals" and own:
        return {"use": "exact_match"}
    if rule in ("equals", "endsWith") and not own:
        start = r"\A" if rule == "equals" else ""
        return {"use": "regex", "args": {"pattern": f"{start}{re.escape(text)}\\z"}}
    return None
