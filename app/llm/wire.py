"""The parts of OpenAI's chat format that are read, decoded in one step. Unknown fields are skipped; servers differ."""

from typing import Any

import msgspec

from app.llm.schemas import Reply, ToolCall, Usage


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
    message: _Message = msgspec.field(default_factory=_Message)
    delta: _Message | None = None
    finish_reason: str | None = None


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


_decoder = msgspec.json.Decoder(Completion, strict=False)


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
    return Reply(text, calls or None, choice.finish_reason, usage, latency_ms, completion.model)


class Gathered:
    """Puts the chunks of a stream together."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._calls: dict[int, tuple[str, str, list[str]]] = {}
        self._finish_reason: str | None = None
        self._usage: Usage | None = None
        self._model: str | None = None
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

    def reply(self, latency_ms: float) -> Reply | None:
        """The whole answer; None when no choice ever came."""
        if not self._any:
            return None
        calls = [ToolCall(i or f"call_{n}", name, "".join(a)) for n, (i, name, a) in sorted(self._calls.items())]
        text = "".join(self._texts) or "".join(self._refusals) or (None if calls else "")
        return Reply(text, calls or None, self._finish_reason, self._usage, latency_ms, self._model)


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
