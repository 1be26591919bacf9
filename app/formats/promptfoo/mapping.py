"""Which scorer one assertion of promptfoo is, or why there is none."""

import csv
import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from app.formats.building import Builder
from app.formats.naming import checked
from app.formats.nodes import Node
from app.formats.promptfoo.cases import Case, is_template
from app.formats.sources import Sources, parsed
from app.kit.errors import InvalidContentError
from app.kit.templates import TemplateError

_PHRASES: dict[str, tuple[str, dict[str, Any]]] = {
    "contains": ("contains", {}),
    "icontains": ("contains", {"ignore_case": True}),
    "contains-any": ("contains", {}),
    "icontains-any": ("contains", {"ignore_case": True}),
    "contains-all": ("contains", {"mode": "all"}),
    "icontains-all": ("contains", {"mode": "all", "ignore_case": True}),
    "starts-with": ("starts_with", {}),
}
_REASONS = {
    "javascript": "it is code, which is never run",
    "python": "it is code, which is never run",
    "ruby": "it is code, which is never run",
    "webhook": "it calls another service",
    "llm-rubric": "write a rubric file (prompts/<name>.rubric.yaml) and add the scorer `rubric`",
    "g-eval": "write a rubric file (prompts/<name>.rubric.yaml) and add the scorer `rubric`",
    "model-graded-closedqa": "write a rubric file (prompts/<name>.rubric.yaml) and add the scorer `rubric`",
    "model-graded-factuality": "write a rubric file (prompts/<name>.rubric.yaml) and add the scorer `rubric`",
    "factuality": "write a rubric file (prompts/<name>.rubric.yaml) and add the scorer `rubric`",
    "similar": "there is no scorer with embeddings; token_f1 and the fuzz scorers compare texts",
}
_TRANSFORMS = ("transform", "contextTransform")
_IGNORED = ("provider", "rubricPrompt", "config")


class Form(NamedTuple):
    """A scorer without what it expects. `takes` says where that goes: into the item, either way, or nowhere."""

    use: str
    args: str  # JSON with sorted keys, so that equal forms are one
    metric: str
    weight: float
    takes: Literal["reference", "values", "nothing"]


class Wanted(NamedTuple):
    form: Form
    value: Any
    node: Node


class CannotMapError(Exception):
    """An assertion without a scorer; the message says why."""


def wanted_of(node: Node, case: Case, sources: Sources, builder: Builder, templates: Node) -> Iterator[Wanted]:
    reference = node.get("$ref").data
    if isinstance(reference, str) and reference.startswith("#/assertionTemplates/"):
        node = templates.get(reference.removeprefix("#/assertionTemplates/"))
    kind = node.mapping("an assertion").get("type").text("an assertion's `type`")
    if kind == "assert-set":
        for field in ("threshold", "weight", "metric"):
            if node.get(field).data is not None:
                what = f"`{field}` of an assert-set is not kept; its assertions stand for themselves"
                builder.lose(node.path, node.get(field).line, what)
        for inner in node.get("assert").each():
            if inner.get("type").data != "assert-set":
                yield from wanted_of(inner, case, sources, builder, templates)
            else:
                builder.lose(inner.path, inner.line, "an assert-set within another is not kept")
        return
    try:
        yield _form(kind, node, case, sources, builder)
    except CannotMapError as error:
        builder.lose(node.path, node.line, f"the assertion `{kind}` is not kept: {error}")


def _form(kind: str, node: Node, case: Case, sources: Sources, builder: Builder) -> Wanted:
    if kind.startswith("not-"):
        raise CannotMapError("no scorer asks for the opposite")
    if kind in _REASONS:
        raise CannotMapError(_REASONS[kind])
    for name in _TRANSFORMS:
        if node.get(name).data is not None:
            raise CannotMapError(f"its `{name}` is code, which is never run")
    for name in _IGNORED:
        if node.get(name).data is not None:
            builder.lose(node.path, node.get(name).line, f"`{name}` of an assertion is not kept")
    value = _value(node.get("value"), case, sources, builder)
    metric = node.get("metric").data
    weight = node.get("weight").number("a weight")
    use, args, takes, expected = _scorer(kind, node, value, builder)
    form = Form(
        use,
        json.dumps(args, sort_keys=True),
        checked(metric, node.path, node.line) if isinstance(metric, str) and "{{" not in metric else "",
        1.0 if weight is None else weight,
        takes,
    )
    return Wanted(form, expected, node)


_Scorer = tuple[str, dict[str, Any], Literal["reference", "values", "nothing"], Any]


def _scorer(kind: str, node: Node, value: Any, builder: Builder) -> _Scorer:
    if kind in _PHRASES:
        use, args = _PHRASES[kind]
        return use, args, "values", _phrases(value) if kind.endswith(("-any", "-all")) else _one(value)
    if kind == "equals":
        return "exact_match", {}, "reference", value if isinstance(value, dict | list) else _one(value)
    if kind == "levenshtein":
        what = "the threshold of `levenshtein` counts edits; the scorer measures similarity from 0 to 1 and has none"
        builder.lose(node.path, node.line, what)
        return "levenshtein", {}, "reference", _one(value)
    if kind == "regex":
        return "regex", {"pattern": _one(value)}, "nothing", None
    if kind == "is-json":
        return (
            ("is_json", {}, "nothing", None)
            if value in (None, "")
            else ("json_schema", {"schema": _schema(node, value)}, "nothing", None)
        )
    if kind in ("cost", "latency"):
        threshold = node.get("threshold").number("a threshold")
        if threshold is None:
            raise CannotMapError("it has no threshold")
        return kind, {"threshold": threshold}, "nothing", None
    if kind == "word-count":
        return "length", {"unit": "words", **_bounds(value)}, "nothing", None
    raise CannotMapError("no scorer does this")


def _value(node: Node, case: Case, sources: Sources, builder: Builder) -> Any:
    value = node.data
    if isinstance(value, list):
        return [_filled(each, case, builder) for each in value]
    if isinstance(value, str) and value.startswith("file://"):
        if not value.lower().endswith((".txt", ".md", ".json", ".yaml", ".yml")):
            raise CannotMapError(f"{value} is code, which is never run")
        path = sources.resolve(value, node.path, node.line)[0]
        return sources.text(path).strip() if path.lower().endswith((".txt", ".md")) else sources.document(path).data
    return _filled(value, case, builder)


def _filled(value: Any, case: Case, builder: Builder) -> Any:
    """What the case expects, with its variables filled in."""
    if not isinstance(value, str) or not is_template(value):
        return value
    try:
        return builder.filled(value, case.inputs, case.place.path, case.place.line)
    except TemplateError as error:
        raise CannotMapError(f"its value {value!r} cannot be filled in: {error.message}") from error


def _one(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict | list):
        raise CannotMapError("its value is no text")
    return json.dumps(value)


def _phrases(value: Any) -> list[str]:
    if isinstance(value, str):
        value = next(csv.reader([" ".join(value.splitlines())], skipinitialspace=True), [])
        return [each.strip() for each in value]
    if not isinstance(value, list):
        raise CannotMapError("its value is no list of texts")
    return [_one(each) for each in value]


def _schema(node: Node, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = parsed(node.path, value, as_json=False).data
        except InvalidContentError as error:
            raise CannotMapError("its value is no JSON Schema") from error
    if not isinstance(value, dict):
        raise CannotMapError("its value is no JSON Schema")
    return value


def _bounds(value: Any) -> dict[str, int]:
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return {"min": value, "max": value}
    bounds = {key: value[key] for key in ("min", "max") if key in value} if isinstance(value, dict) else {}
    if not bounds or not all(isinstance(each, int) and not isinstance(each, bool) for each in bounds.values()):
        raise CannotMapError("its value is no number of words")
    return bounds
