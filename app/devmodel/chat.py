"""A chat completion: from a request to its choices. Pure: no clock, no counter, no network."""

import re
from hashlib import blake2b
from typing import Any

import msgspec

from app.devmodel import extract, judge, panel, tools
from app.devmodel.case import case_of
from app.devmodel.reading import Reading, read
from app.devmodel.scalars import Schema
from app.devmodel.schema import instance
from app.devmodel.style import style_of
from app.devmodel.wire import ChatRequest, encode, tokens

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])")
_JSON_KEY = re.compile(r'"([A-Za-z_]\w{0,30})"\s*:')


class Choice(msgspec.Struct, frozen=True):
    """One answer: text, or calls of tools in OpenAI's shape."""

    finish_reason: str
    text: str | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()

    def tokens(self) -> int:
        """Completion tokens by our rule."""
        return tokens(self.text or "") + sum(tokens(encode(one["function"]).decode()) for one in self.tool_calls)

    def message(self) -> dict[str, Any]:
        """The choice as an assistant message."""
        said: dict[str, Any] = {"role": "assistant", "content": self.text, "refusal": None}
        return {**said, "tool_calls": list(self.tool_calls)} if self.tool_calls else said


def complete(request: ChatRequest, model: str) -> list[Choice]:
    """The `n` choices; with temperature each has its own seed, otherwise they are equal.

    Raises RequestError (400) for parts that are no text, a tool choice without its tool, a schema that cannot be filled.
    """
    temperature = request.temperature or 0.0
    count = request.n or 1
    first = _choice(request, model, request.seed or 0, temperature)
    if temperature == 0:
        return [first] * count
    return [first, *(_choice(request, model, (request.seed or 0) + place, temperature) for place in range(1, count))]


def _choice(request: ChatRequest, model: str, seed: int, temperature: float) -> Choice:
    reading = read(request.messages)
    if request.tools and model != "dev-echo":
        wanted = tools.calls(
            reading.question,
            request.tools,
            request.tool_choice,
            model,
            parallel=request.parallel_tool_calls is not False,
            fresh=request.messages[-1].role != "tool",
        )
        if wanted:
            salt = blake2b(encode(request.messages), digest_size=8).hexdigest()
            return Choice("tool_calls", None, tuple(one.wire(salt) for one in wanted))
    return _cut(_text(request, reading, model, seed, temperature), request)


def _text(request: ChatRequest, reading: Reading, model: str, seed: int, temperature: float) -> str:
    wanted = request.response_format
    if wanted is not None and wanted.type != "text":
        texts = [one.text() for one in request.messages]
        schema = wanted.json_schema.schema if wanted.json_schema else None
        if schema is not None and (judged := panel.judged(texts, schema, model)) is not None:
            return encode(judged).decode()
        case = case_of(texts)
        if case is not None and (schema is None or judge.is_rubric(schema)):
            said = judge.judged_object(case, model) if schema is None else judge.judged_instance(schema, case, model)
            return encode(said).decode()
    text = _answer(request, reading, model, seed, temperature)
    if wanted is None or wanted.type == "text":
        return text
    if wanted.json_schema is None:
        return encode({_first_key(reading.instructions): text}).decode()
    return encode(instance(wanted.json_schema.schema, _Suggestions(reading.question, text))).decode()


def _answer(request: ChatRequest, reading: Reading, model: str, seed: int, temperature: float) -> str:
    if model == "dev-echo":
        return reading.question
    style = style_of(reading.instructions)
    if told := tools.results(request.messages):
        reading = msgspec.structs.replace(reading, passages=tuple(told))
        # A tool was called because it fits: its result is the answer even when it shares no word with the question.
        style = msgspec.structs.replace(style, abstention=None)
    return extract.answer(reading, style, model, seed=seed, temperature=temperature)


def _first_key(instructions: str) -> str:
    """The first JSON key that the instructions show, so that `{"answer": …}` in a prompt is met."""
    found = _JSON_KEY.search(instructions)
    return found[1] if found else "answer"


class _Suggestions:
    """Proposes values for the fields of a schema that is no rubric: the answer, its numbers, the options it names."""

    def __init__(self, question: str, text: str) -> None:
        self._text = text
        self._words = f" {question} {text} ".lower()
        self._numbers = [float(one) for one in _NUMBER.findall(f"{text} {question}")]

    def __call__(self, _name: str, schema: Schema) -> Any:
        if "enum" in schema:
            return next(
                (
                    one
                    for one in schema["enum"]
                    if isinstance(one, str) and re.search(rf"\b{re.escape(one.lower())}\b", self._words)
                ),
                None,
            )
        kind = schema.get("type")
        if kind == "string" and "format" not in schema:
            return self._text
        if kind in ("integer", "number"):
            return next((one for one in self._numbers if kind == "number" or one.is_integer()), None)
        return None


def _cut(text: str, request: ChatRequest) -> Choice:
    """Apply `stop`, then `max_tokens`."""
    reason = "stop"
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    for stop in stops:
        if stop:
            text = text.partition(stop)[0]
    most = request.max_completion_tokens or request.max_tokens
    if most is not None and tokens(text) > most:
        text, reason = text[: 4 * most], "length"
    return Choice(reason, text)
