"""Arguments of a tool call: which values the question holds for which parameters."""

import re
from typing import Any

from app.devmodel import text as words_of
from app.devmodel.scalars import Schema
from app.devmodel.schema import instance, valid

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?![\w])(?!\.\d)")
_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)")
_PROPER = re.compile(r"\b[A-Z][\w'-]*(?:(?:\s+|,\s+)(?:of\s+|the\s+|de\s+)?[A-Z][\w'-]*)*")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b")
_IDENTIFIER = re.compile(r"\b[\w.-]+[/@][\w./@:-]+\b|\b\w+[._]\w[\w.]*\b|https?://\S+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_.\-]+")
_WHOLE_QUESTION = frozenset(("query", "question", "q", "text", "search", "input", "prompt", "message", "request"))
_OTHER_NAMES = {"float": "number", "dict": "object", "tuple": "array"}
_NEGATED = re.compile(r"\b(?:not|no|without|never|don't|doesn't)\W+(?:\w+\W+){0,2}$")


def arguments(question: str, parameters: Schema) -> dict[str, Any]:
    """Arguments that the question holds, by parameter names and types; required ones are always there."""
    return _Arguments(question, parameters).object(parameters)


def holds_value(clause: str) -> bool:
    """Whether a clause names a number, a quotation or a proper name."""
    return bool(_NUMBER.search(clause) or _QUOTED.search(clause) or _PROPER.search(clause))


def spoken(name: str) -> str:
    """An identifier as words: `get_weather`, `getWeather` and `math.hypot` fall apart."""
    return _CAMEL.sub(" ", name)


def _main_branch(schema: Any) -> Schema:
    """A parameter's schema without its "or null", and with the type names that some APIs write put right."""
    if not isinstance(schema, dict):
        return {}
    for key in ("anyOf", "oneOf"):
        branches = [one for one in schema.get(key, ()) if isinstance(one, dict) and one.get("type") != "null"]
        if branches:
            schema = {**{name: part for name, part in schema.items() if name != key}, **branches[0]}
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    return {**schema, "type": _OTHER_NAMES.get(kind, kind)} if kind else schema


class _Arguments:
    """Reads values out of one question; a value that was used is not used again."""

    def __init__(self, question: str, parameters: Schema) -> None:
        self._question = question
        self._definitions: Schema = {key: parameters[key] for key in ("$defs", "definitions") if key in parameters}
        self._lowered = question.lower()
        self._numbers = [(one.start(), one[0]) for one in _NUMBER.finditer(question)]
        self._quoted = [
            next(group for group in one.groups() if group is not None) for one in _QUOTED.finditer(question)
        ]
        self._proper = [one[0] for one in _PROPER.finditer(question) if one.start() > 0 or " " in one[0]]

    def object(self, schema: Schema) -> dict[str, Any]:
        required = schema.get("required", [])
        filled: dict[str, Any] = {}
        for name, part in schema.get("properties", {}).items():
            part = _main_branch(part)
            value = self._value(name, part, needed=name in required)
            if value is not None and not valid({**self._definitions, **part}, value):
                value = None
            if value is None and name in required:
                value = self._fallback(part)
            if value is not None:
                filled[name] = value
        return filled

    def _value(self, name: str, schema: Schema, *, needed: bool) -> Any:
        if "enum" in schema:
            return self._enum(schema["enum"])
        if "$ref" in schema:
            return None
        kind = schema.get("type", "string")
        if kind in ("integer", "number"):
            return self._number(name, schema, whole=kind == "integer", needed=needed)
        if kind == "boolean":
            return self._boolean(name)
        if kind == "array":
            return self._array(_main_branch(schema.get("items", {})), needed=needed)
        if kind == "object":
            return self.object(schema) if needed else None
        return self._string(name, schema, needed=needed)

    def _fallback(self, schema: Schema) -> Any:
        """A value that the question does not hold: its own words for a string, else any valid one."""
        whole = self._question.strip(" ?.!")
        if schema.get("type", "string") == "string" and valid({**self._definitions, **schema}, whole):
            return whole
        return instance({**self._definitions, **schema})

    def _enum(self, options: list[Any]) -> Any:
        """The option that is named in the question: the longest, also by its stem."""
        stems = frozenset(words_of.stem(one) for one in words_of.words(self._question))

        def named(option: Any) -> bool:
            own = [words_of.stem(one) for one in words_of.words(str(option))]
            return bool(own) and all(one in stems for one in own)

        return max(filter(named, options), key=lambda one: len(str(one)), default=None)

    def _number(self, name: str, schema: Schema, *, whole: bool, needed: bool) -> int | float | None:
        """The number beside the parameter's name, else the next unused one if a number is needed."""
        words = [one for one in words_of.words(spoken(name)) if one not in words_of.STOPWORDS]
        best: tuple[float, int] | None = None
        for place, (start, _) in enumerate(self._numbers):
            for word in words:
                for match in re.finditer(rf"\b{re.escape(word)}", self._lowered):
                    distance = start - match.end() if match.end() <= start else 1.5 * (match.start() - start)
                    if distance < 30 and (best is None or distance < best[0]):
                        best = (distance, place)
        if best is None and needed and self._numbers:
            best = (0.0, 0)
        if best is None:
            return None
        number = float(self._numbers.pop(best[1])[1].replace(",", ""))
        if number < schema.get("minimum", number) or number > schema.get("maximum", number):
            return None
        if whole or number.is_integer():
            return int(number) if number.is_integer() else None
        return number

    def _boolean(self, name: str) -> bool | None:
        for word in words_of.words(spoken(name)):
            found = re.search(rf"\b{re.escape(word)}", self._lowered) if word not in words_of.STOPWORDS else None
            if found:
                return not _NEGATED.search(self._lowered[: found.start()])
        return None

    def _array(self, items: Schema, *, needed: bool) -> list[Any] | None:
        if not needed:
            return None
        kind = items.get("type", "string")
        if kind in ("integer", "number"):
            numbers = [float(text.replace(",", "")) for _, text in self._numbers]
            self._numbers.clear()
            return [int(one) if one.is_integer() else one for one in numbers]
        if kind == "object":
            return [self.object(items)]
        return self._quoted or self._proper or None

    def _string(self, name: str, schema: Schema, *, needed: bool) -> str | None:
        words = words_of.words(spoken(name))
        if needed and words[-1:] and words[-1] in _WHOLE_QUESTION:
            return self._quoted.pop(0) if self._quoted else self._question.strip()
        described = {*words, *words_of.words(str(schema.get("description", "")))}
        if "date" in described and (found := _DATE.search(self._question)):
            return found[0]
        after = self._after_name(name)
        if after is not None:
            return after
        if not needed:
            return None
        if self._quoted:
            return self._quoted.pop(0)
        if found := _IDENTIFIER.search(self._question):
            return found[0].rstrip(".?!")
        return self._proper.pop(0) if self._proper else None

    def _after_name(self, name: str) -> str | None:
        """A value right behind the parameter's name: "version 7", "environment production", "city: Rome"."""
        called = " ".join(words_of.words(spoken(name)))
        found = re.search(
            rf"\b{re.escape(called)}\s*(?:is|=|:|called|named|of)?\s+[\"'`]?([\w./@:-]+)", self._question, re.IGNORECASE
        )
        if found is None or found[1].lower() in words_of.STOPWORDS:
            return None
        return found[1].rstrip(".,:")
