"""What an assertion of promptfoo expects: its `value`, filled in and read as promptfoo reads it."""

import json
import re
from typing import Any

from app.formats.building import Builder
from app.formats.nodes import Node
from app.formats.promptfoo.cases import Case, is_template
from app.formats.promptfoo.lists import CannotMapError, separated
from app.formats.sources import Sources, parsed
from app.kit.errors import InvalidContentError
from app.kit.templates import TemplateError

_OLD_DRAFT = "http://json-schema.org/draft-07/schema#"
_OLD_WORDS = frozenset({"additionalItems", "definitions", "dependencies"})


def value_of(node: Node, case: Case, sources: Sources, builder: Builder) -> Any:
    """The value with the case's variables filled in, or what the file that it names holds. Raises CannotMapError."""
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
    if not isinstance(value, str) or not is_template(value):
        return value
    try:
        return builder.filled(value, case.inputs, case.place.path, case.place.line)
    except TemplateError as error:
        raise CannotMapError(f"its value {value!r} cannot be filled in: {error.message}") from error


def differs(value: Any) -> bool:
    """Whether a value that is written so may be another one in each case."""
    texts = value if isinstance(value, list) else [value]
    return any(isinstance(each, str) and is_template(each) for each in texts)


def text_of(value: Any) -> str:
    """A value as the text that JavaScript makes of it."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict | list):
        raise CannotMapError("its value is no text")
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e21:
            return str(int(value))
        return re.sub(r"e([+-])0+", r"e\1", repr(value))
    return json.dumps(value)


def texts_of(value: Any) -> list[str]:
    """The texts of a list, or of one text with commas between them."""
    if isinstance(value, str):
        return separated(value)
    if not isinstance(value, list):
        raise CannotMapError("its value is no list of texts")
    return [text_of(each) for each in value]


def schema_of(path: str, value: Any) -> dict[str, Any]:
    """A JSON Schema, which may be a text of YAML. One that is written as in draft 7 says so, for that is what is meant."""
    if isinstance(value, str):
        try:
            value = parsed(path, value, as_json=False).data
        except InvalidContentError as error:
            raise CannotMapError("its value is no JSON Schema") from error
    if not isinstance(value, dict):
        raise CannotMapError("its value is no JSON Schema")
    return {"$schema": _OLD_DRAFT, **value} if "$schema" not in value and _is_old(value) else value


def _is_old(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_is_old, value))
    if not isinstance(value, dict):
        return False
    return bool(_OLD_WORDS & value.keys()) or isinstance(value.get("items"), list) or any(map(_is_old, value.values()))


def bounds_of(value: Any) -> dict[str, int]:
    """`min` and `max` of a number, or of a mapping with one or both."""
    if isinstance(value, str) and re.fullmatch(r"\s*\d+(\.0*)?\s*", value):
        value = int(float(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return {"min": value, "max": value}
    given = {key: value[key] for key in ("min", "max") if value.get(key) is not None} if isinstance(value, dict) else {}
    if not given or not all(isinstance(each, int) and not isinstance(each, bool) for each in given.values()):
        raise CannotMapError("its value is no number, and no `min` and `max`")
    return given
