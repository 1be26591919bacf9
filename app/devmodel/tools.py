"""Calling tools: which one a question asks for by its words, and what to answer once it has answered."""

import re
from hashlib import blake2b
from math import sqrt
from typing import Any

import msgspec

from app.devmodel import text as words_of
from app.devmodel.arguments import arguments, holds_value, spoken
from app.devmodel.errors import RequestError
from app.devmodel.reading import Message, Passage

_THRESHOLD = {"dev-large": 0.24, "dev-small": 0.34}
_CLAUSE = re.compile(r"\s*(?:;|[.?!]\s|,?\s+(?:and then|and also|and|then|as well as)\s)\s*")


class Function(msgspec.Struct, frozen=True):
    """A function as a tool describes it; `parameters` is a JSON Schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True):
    """An entry of a request's `tools`."""

    function: Function
    type: str = "function"


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
    question: str,
    tools: list[Tool],
    tool_choice: str | dict[str, Any] | None,
    model: str,
    *,
    parallel: bool,
    fresh: bool,
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
    return [Call(tool.function.name, arguments(question, tool.function.parameters or {}))]


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
            if last is None or len(clause.split()) > 4 or not holds_value(clause):
                continue
            tool = last
        call = Call(tool.function.name, arguments(clause, tool.function.parameters or {}))
        if call not in found:
            found.append(call)
        last = tool
    return found


def _fit(question: str, tool: Tool, model: str) -> float:
    """How well a question fits a tool: cosine of the stems in common, the name's counting double; dev-small: words."""
    function = tool.function
    name = spoken(function.name)
    described = f"{name} {function.description or ''}"
    if model == "dev-small":
        asked, told = words_of.plain_words(question), words_of.plain_words(described)
        return len(asked & told) / sqrt(max(1, len(asked) * len(told)))
    asked_stems = frozenset(words_of.stems(question))
    named = frozenset(words_of.stems(name))
    parameters = " ".join(spoken(one) for one in (function.parameters or {}).get("properties", {}))
    told_stems = frozenset(words_of.stems(described))
    common = asked_stems & told_stems
    weight = (
        len(common)
        + len(common & named)
        + 0.5 * len((asked_stems & frozenset(words_of.stems(parameters))) - told_stems)
    )
    return weight / sqrt(max(1, len(asked_stems) * (len(told_stems) + len(named))))


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
