"""The parts of OpenAI's chat format that are read, decoded in one step. Unknown fields are skipped; servers differ."""

from typing import Any

import msgspec

from app.llm.schemas import Embedded, Reply, ToolCall, Usage
from evaluators.judging import TokenLogprob


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: Any = None


class _ToolCall(msgspec.Struct):
    id: str | None = None
    index: int | None = None
    function: _Function = msgspec.field(default_factory=_Function)


class _Message(msgspec.Struct):
    content: Any = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    """`logprobs` stay raw: few ask for them, and servers that were not asked send what they like."""

    message: _Message = msgspec.field(default_factory=_Message)
    delta: _Message | None = None
    finish_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw()


class _Likely(msgspec.Struct):
    token: str
    logprob: float


class _Token(msgspec.Struct):
    token: str
    logprob: float
    top_logprobs: list[_Likely] | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Embedding(msgspec.Struct):
    embedding: list[float]
    index: int | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None

    def usage(self) -> Usage:
        cached = self.prompt_tokens_details.cached_tokens if self.prompt_tokens_details else None
        return Usage(self.prompt_tokens or 0, self.completion_tokens or 0, cached or 0)


class Completion(msgspec.Struct):
    """A whole answer, or a chunk of a streamed one."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    model: str | None = None
    error: Any = None


class _Embeddings(msgspec.Struct):
    data: list[_Embedding] | None = None
    usage: _Usage | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(Completion, strict=False)
_logprobs_decoder = msgspec.json.Decoder(_Logprobs | None)
_embeddings_decoder = msgspec.json.Decoder(_Embeddings, strict=False)


def decode(data: bytes | str) -> Completion:
    """Raises `msgspec.MsgspecError` (or `UnicodeDecodeError`) for what is not JSON or not of this form."""
    return _decoder.decode(data)


def reply(completion: Completion, latency_ms: float) -> Reply | None:
    """The first choice; None when there is none."""
    if not completion.choices:
        return None
    choice = completion.choices[0]
    message = choice.message
    calls = [
        ToolCall(call.id or f"call_{i}", call.function.name or "", _arguments(call.function.arguments))
        for i, call in enumerate(message.tool_calls or ())
    ]
    text = _text(message.content)
    if not text and message.refusal:
        text = message.refusal
    usage = completion.usage.usage() if completion.usage else None
    logprobs = _logprobs(choice.logprobs)
    return Reply(text, calls or None, choice.finish_reason, usage, latency_ms, completion.model, logprobs or None)


def embedded(data: bytes) -> Embedded | str:
    """The vectors by their index, or what the endpoint says in their place. Raises as `decode` does."""
    found = _embeddings_decoder.decode(data)
    if not found.data:
        return (
            "answered with vectors of no text" if found.error is None else f"answered 200 with an error: {found.error}"
        )
    places = [n if each.index is None else each.index for n, each in enumerate(found.data)]
    vectors = [found.data[n].embedding for n in sorted(range(len(places)), key=places.__getitem__)]
    return Embedded(vectors, found.usage.usage() if found.usage else None)


class Gathered:
    """Puts the chunks of a stream together."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._calls: dict[int, tuple[str, str, list[str]]] = {}
        self._finish_reason: str | None = None
        self._usage: Usage | None = None
        self._model: str | None = None
        self._logprobs: list[TokenLogprob] = []
        self._any = False

    def add(self, chunk: Completion) -> str:
        """The text that `chunk` brings."""
        self._usage = chunk.usage.usage() if chunk.usage else self._usage
        self._model = chunk.model or self._model
        if not chunk.choices:
            return ""
        self._any = True
        choice = chunk.choices[0]
        self._finish_reason = choice.finish_reason or self._finish_reason
        self._logprobs += _logprobs(choice.logprobs)
        if choice.delta is None:
            return ""
        for i, call in enumerate(choice.delta.tool_calls or ()):
            key = i if call.index is None else call.index
            known = self._calls.get(key, ("", "", []))
            known[2].append(_arguments(call.function.arguments) if call.function.arguments is not None else "")
            self._calls[key] = (known[0] or call.id or "", known[1] or call.function.name or "", known[2])
        text = _text(choice.delta.content) or ""
        self._texts.append(text)
        self._refusals.append(choice.delta.refusal or "")
        return text

    @property
    def finish_reason(self) -> str | None:
        return self._finish_reason

    @property
    def begun(self) -> bool:
        """Something of the answer itself has come."""
        return bool(self._calls) or any(self._texts) or any(self._refusals)

    def reply(self, latency_ms: float, ttft_ms: float | None = None) -> Reply | None:
        """The whole answer; None when no choice ever came."""
        if not self._any:
            return None
        calls = [ToolCall(i or f"call_{n}", name, "".join(a)) for n, (i, name, a) in sorted(self._calls.items())]
        text = "".join(self._texts) or "".join(self._refusals) or (None if calls else "")
        told = self._logprobs or None
        return Reply(text, calls or None, self._finish_reason, self._usage, latency_ms, self._model, told, ttft_ms)


def _logprobs(raw: msgspec.Raw) -> list[TokenLogprob]:
    """What is there in OpenAI's form; any other form counts as none."""
    if not memoryview(raw):
        return []
    try:
        found = _logprobs_decoder.decode(raw)
    except msgspec.MsgspecError:
        return []
    tokens = found.content if found is not None and found.content is not None else []
    return [TokenLogprob(t.token, t.logprob, {one.token: one.logprob for one in t.top_logprobs or ()}) for t in tokens]


def _text(content: Any) -> str | None:
    """Content is text, or a list of parts of which some are text."""
    if content is None or isinstance(content, str):
        return _storable(content) if content else content
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return _storable("".join(text for text in texts if isinstance(text, str)))
    return msgspec.json.encode(content).decode()


def _arguments(value: Any) -> str:
    """Arguments are JSON as text; some servers send the object itself."""
    if value is None:
        return ""
    return _storable(value) if isinstance(value, str) else msgspec.json.encode(value).decode()


def _storable(text: str) -> str:
    """PostgreSQL stores no NUL; one that a model writes becomes U+FFFD, the sign for what cannot be shown."""
    return text.replace("\x00", "\ufffd") if "\x00" in text else text
