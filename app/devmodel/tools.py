"""Calling tools: which one a question asks for by its words, and which arguments the question holds."""

import re
from hashlib import blake2b
from typing import Any

import msgspec

from app.devmodel import text as words_of
from app.devmodel.errors import RequestError
from app.devmodel.reading import Message, Passage
from app.devmodel.schema import Schema, UnfillableError, instance

_THRESHOLD = {"dev-large": 0.24, "dev-small": 0.34}
_CLAUSE = re.compile(r"\s*(?:;|[.?!]\s|,?\s+(?:and then|and also|and|then|as well as)\s)\s*")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?![\w])(?!\.\d)")
_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)")
_PROPER = re.compile(r"\b[A-Z][\w'-]*(?:(?:\s+|,\s+)(?:of\s+|the\s+|de\s+)?[A-Z][\w'-]*)*")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b")
_IDENTIFIER = re.compile(r"\b[\w.-]+[/@][\w./@:-]+\b|\b\w+[._]\w[\w.]*\b|https?://\S+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_.\-]+")
_WHOLE_QUESTION = frozenset("query question q text search input prompt message request".split())
_NEGATED = re.compile(r"\b(?:not|no|without|never|don't|doesn't)\W+(?:\w+\W+){0,2}$")


class Function(msgspec.Struct, frozen=True):
    """A function as a tool describes it; `parameters` is a JSON Schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True):
    """An entry of a request's `tools`."""

    type: str
    function: Function


class Call(msgspec.Struct, frozen=True):
    """A call to make: function name and arguments."""

    name: str
    arguments: dict[str, Any]

    def wire(self, salt: str) -> dict[str, Any]:
        """The call in OpenAI's shape; its id follows from what is called and the salt."""
        arguments = msgspec.json.encode(self.arguments).decode()
        digest = blake2b(f"{salt}{self.name}{arguments}".encode(), digest_size=12).hexdigest()
        return {"id": f"call_{digest}", "type": "function", "function": {"name": self.name, "arguments": arguments}}


def calls(
    question: str, tools: list[Tool], tool_choice: str | dict[str, Any] | None, model: str, *, parallel: bool, fresh: bool
) -> list[Call]:
    """The calls that answer a question; none when no tool fits or none may be called.

    `fresh` is false once tool results have come back: then a tool is called only if the request insists.
    Raises RequestError (400) for a tool choice that names no tool.
    """
    forced = _forced(tools, tool_choice)
    if not tools or tool_choice == "none" or (not fresh and forced is None):
        return []
    usable = forced or tools
    clauses = [one for one in _CLAUSE.split(question) if one.strip()]
    if parallel and len(clauses) > 1:
        several = _by_clause(clauses, usable, model)
        if len(several) > 1:
            return several
    score, tool = max(((_fit(question, one, model), one) for one in usable), key=lambda pair: pair[0])
    if forced is None and score < _THRESHOLD[model]:
        return []
    return [Call(tool.function.name, arguments(question, tool.function))]


def _forced(tools: list[Tool], tool_choice: str | dict[str, Any] | None) -> list[Tool] | None:
    """The tools of which one must be called; None when nothing must be."""
    if tool_choice in (None, "auto", "none"):
        return None
    if tool_choice == "required" and tools:
        return tools
    name = tool_choice.get("function", {}).get("name") if isinstance(tool_choice, dict) else None
    named = [one for one in tools if one.function.name == name]
    if not named:
        known = ", ".join(one.function.name for one in tools) or "none"
        raise RequestError(f"tool_choice {tool_choice!r} matches no tool; the tools are: {known}", param="tool_choice")
    return named


def _by_clause(clauses: list[str], tools: list[Tool], model: str) -> list[Call]:
    """One call per clause that fits a tool; the same call is not made twice."""
    found: list[Call] = []
    last: Tool | None = None
    for clause in clauses:
        score, tool = max(((_fit(clause, one, model), one) for one in tools), key=lambda pair: pair[0])
        if score < _THRESHOLD[model]:
            # "the weather in Paris and in Rome": the second clause has the values, the first the verb.
            if last is None or len(clause.split()) > 4 or not _holds_value(clause):
                continue
            tool = last
        call = Call(tool.function.name, arguments(clause, tool.function))
        if call not in found:
            found.append(call)
        last = tool
    return found


def _holds_value(clause: str) -> bool:
    return bool(_NUMBER.search(clause) or _QUOTED.search(clause) or _PROPER.search(clause))


def _fit(question: str, tool: Tool, model: str) -> float:
    """How well a question fits a tool: cosine of the stems in common, the name's counting double; dev-small: equal words."""
    function = tool.function
    name = _CAMEL.sub(" ", function.name)
    described = f"{name} {function.description or ''}"
    if model == "dev-small":
        asked, told = words_of.plain_words(question), words_of.plain_words(described)
        return len(asked & told) / max(1.0, (len(asked) * len(told)) ** 0.5)
    asked_stems = frozenset(words_of.stems(question))
    named = frozenset(words_of.stems(name))
    parameters = " ".join(_CAMEL.sub(" ", one) for one in (function.parameters or {}).get("properties", {}))
    told_stems = frozenset(words_of.stems(described))
    common = asked_stems & told_stems
    weight = len(common) + len(common & named) + 0.5 * len((asked_stems & frozenset(words_of.stems(parameters))) - told_stems)
    return weight / max(1.0, (len(asked_stems) * (len(told_stems) + len(named))) ** 0.5)


def arguments(question: str, function: Function) -> dict[str, Any]:
    """Arguments that the question holds, by parameter names and types; required ones are always there."""
    return _Arguments(question).object(function.parameters or {})


class _Arguments:
    """Reads values out of one question; a value that was used is not used again."""

    def __init__(self, question: str) -> None:
        self._question = question
        self._lowered = question.lower()
        self._numbers = [(one.start(), one[0]) for one in _NUMBER.finditer(question)]
        self._quoted = [next(group for group in one.groups() if group is not None) for one in _QUOTED.finditer(question)]
        self._proper = [one[0] for one in _PROPER.finditer(question) if one.start() > 0 or " " in one[0]]

    def object(self, schema: Schema) -> dict[str, Any]:
        required = schema.get("required", [])
        filled: dict[str, Any] = {}
        for name, part in schema.get("properties", {}).items():
            part = part if isinstance(part, dict) else {}
            value = self._value(name, part, needed=name in required)
            if value is None and name in required:
                value = self._fallback(part)
            if value is not None:
                filled[name] = value
        return filled

    def _value(self, name: str, schema: Schema, *, needed: bool) -> Any:
        if "enum" in schema:
            return self._enum(schema["enum"])
        kind = schema.get("type", "string")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "string")
        if kind in ("integer", "number", "float"):
            return self._number(name, schema, whole=kind == "integer", needed=needed)
        if kind == "boolean":
            return self._boolean(name)
        if kind in ("array", "tuple"):
            return self._array(schema.get("items", {}), needed=needed)
        if kind in ("object", "dict"):
            return self.object(schema) if needed else None
        return self._string(name, schema, needed=needed)

    def _fallback(self, schema: Schema) -> Any:
        kind = schema.get("type", "string")
        if kind == "string" and "enum" not in schema:
            return self._question.strip(" ?.!")
        plain = {"float": "number", "dict": "object", "tuple": "array"}
        try:
            return instance({**schema, "type": plain.get(kind, kind)} if isinstance(kind, str) else schema)
        except (UnfillableError, RequestError):
            return None

    def _enum(self, options: list[Any]) -> Any:
        """The option that is named in the question: the longest, also by its stem."""
        stems = frozenset(words_of.stem(one) for one in words_of.words(self._question))

        def named(option: Any) -> bool:
            own = [words_of.stem(one) for one in words_of.words(str(option))]
            return bool(own) and all(one in stems for one in own)

        return max(filter(named, options), key=lambda one: len(str(one)), default=None)

    def _number(self, name: str, schema: Schema, *, whole: bool, needed: bool) -> int | float | None:
        """The number beside the parameter's name, else the next unused one if a number is needed."""
        words = [one for one in words_of.words(_CAMEL.sub(" ", name)) if one not in words_of.STOPWORDS]
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
        for word in words_of.words(_CAMEL.sub(" ", name)):
            found = re.search(rf"\b{re.escape(word)}", self._lowered) if word not in words_of.STOPWORDS else None
            if found:
                return not _NEGATED.search(self._lowered[: found.start()])
        return None

    def _array(self, items: Schema, *, needed: bool) -> list[Any] | None:
        if not needed:
            return None
        kind = items.get("type", "string") if isinstance(items, dict) else "string"
        if kind in ("integer", "number", "float"):
            numbers = [float(text.replace(",", "")) for _, text in self._numbers]
            self._numbers.clear()
            return [int(one) if one.is_integer() else one for one in numbers]
        if kind in ("object", "dict"):
            return [self.object(items)]
        return self._quoted or self._proper or None

    def _string(self, name: str, schema: Schema, *, needed: bool) -> str | None:
        words = set(words_of.words(_CAMEL.sub(" ", name)))
        if words & _WHOLE_QUESTION and needed:
            return self._quoted.pop(0) if self._quoted else self._question.strip()
        described = words | set(words_of.words(str(schema.get("description", ""))))
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
        spoken = " ".join(words_of.words(_CAMEL.sub(" ", name)))
        found = re.search(rf"\b{re.escape(spoken)}\s*(?:is|=|:|called|named|of)?\s+[\"'`]?([\w./@:-]+)", self._question, re.I)
        if found is None or found[1].lower() in words_of.STOPWORDS:
            return None
        return found[1].rstrip(".,:")


def results(messages: list[Message]) -> list[Passage]:
    """What the tool messages at the end of a chat say, as passages to answer from; JSON is told in sentences."""
    found: list[Passage] = []
    for one in reversed(messages):
        if one.role != "tool":
            break
        found.append(Passage(None, one.name or "", _told(one.text())))
    return found[::-1]


def _told(content: str) -> str:
    try:
        value = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return content
    return "\n\n".join(_sentences_of(value)) or content


def _sentences_of(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        scalars = [f"{key} is {_said(one)}" for key, one in value.items() if not isinstance(one, dict | list)]
        told = [f"{path + ': ' if path else ''}{', '.join(scalars)}."] if scalars else []
        nested = [(f"{path} {key}".strip(), one) for key, one in value.items() if isinstance(one, dict | list)]
        return told + [text for name, one in nested for text in _sentences_of(one, name)]
    if isinstance(value, list):
        if all(not isinstance(one, dict | list) for one in value):
            return [f"{path + ': ' if path else ''}{', '.join(map(_said, value))}."] if value else []
        return [text for one in value for text in _sentences_of(one, path)]
    return [f"{_said(value)}."]


def _said(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
