"""A call and the rounds of tool calls that may follow, put together into one answer."""

from typing import Any

import msgspec

from app.generation.schemas import Answer, Bundle
from app.kit.errors import FieldError, InvalidContentError
from app.kit.pointers import escape
from app.llm.prices import cost_nano
from app.llm.schemas import ChatRequest, Message, Reply, ToolCall, Usage
from app.registry.kinds.tool_config import ToolConfig
from evaluators.contract import Chunk


class Conversation:
    """Hand each reply to `take` until it returns the answer."""

    def __init__(
        self, bundle: Bundle, messages: list[Message], context: str | None, chunks: list[Chunk] | None = None
    ) -> None:
        self._bundle, self._messages, self._context, self._chunks = bundle, messages, context, chunks
        self._followed: list[Message] = []
        self._ttft_ms: float | None = None
        self._rounds = 0
        self._calls: list[ToolCall] = []
        self._usage: Usage | None = None
        self._latency_ms: float | None = None
        self._last: Reply | None = None

    def request(self) -> ChatRequest:
        """What to send next. A forced tool choice holds for the first call alone: forced for ever, no model could end."""
        prompt, endpoint, tools = self._bundle.prompt, self._bundle.endpoint, self._bundle.tools
        params = {**endpoint.params, **prompt.params, **self._bundle.params}
        return ChatRequest(
            messages=self._messages,
            params={name: value for name, value in params.items() if value is not None},
            tools=[as_sent(t) for t in tools.tools] if tools else None,
            tool_choice=tools.tool_choice if tools and tools.tool_choice != "auto" and self._rounds == 0 else None,
            parallel_tool_calls=False if tools and not tools.parallel_tool_calls else None,
            response_format=prompt.response_format if asks_json(self._bundle) else None,
        )

    def take(self, reply: Reply) -> Answer | None:
        """The answer, or none when the results of tool calls were added and the model is to be asked again."""
        if self._last is None:
            self._usage = reply.usage
        else:
            self._usage = self._usage + reply.usage if self._usage and reply.usage else None
        before_ms = self._latency_ms or 0.0
        self._latency_ms = before_ms + reply.latency_ms
        self._ttft_ms = None if reply.ttft_ms is None else before_ms + reply.ttft_ms
        self._last = reply
        self._calls += reply.tool_calls or []
        message = _as_message(reply)
        self._followed.append(message)
        tools = self._bundle.tools
        if not reply.tool_calls or tools is None or tools.results.kind == "none":
            return self._answer(reply.text if reply.tool_calls else reply.text or "")
        if self._rounds >= tools.max_rounds:
            return self.failed(
                f"the model still called tools after {tools.max_rounds} rounds, the tool config's max_rounds"
            )
        self._rounds += 1
        if unknown := next((call.name for call in reply.tool_calls if call.name not in _names(tools)), None):
            return self.failed(f"the model called the tool {unknown!r}, which it was not given")
        results = [_result(tools, call) for call in reply.tool_calls]
        self._followed += results
        self._messages = [*self._messages, message, *results]
        return None

    def failed(self, error: str) -> Answer:
        """The answer of a model that is to blame."""
        answer = self._answer(self._last.text if self._last else None)
        return msgspec.structs.replace(answer, status="failed", error=error)

    def _answer(self, text: str | None) -> Answer:
        last = self._last
        logprobs = None if last is None or last.logprobs is None else [token.logprob for token in last.logprobs]
        return Answer(
            status="answered",
            text=text,
            parsed=parsed(self._bundle, text),
            tool_calls=self._calls or None,
            finish_reason=last.finish_reason if last else None,
            usage=self._usage,
            cost_nano=cost_nano(self._bundle.spec.price, self._usage),
            latency_ms=self._latency_ms,
            context=self._context,
            model=last.model if last else None,
            chunks=self._chunks,
            trajectory=self._followed if self._rounds else None,
            logprobs=logprobs,
            ttft_ms=self._ttft_ms,
        )


def asks_json(bundle: Bundle) -> bool:
    return bundle.prompt.response_format.get("type") in ("json_object", "json_schema")


def parsed(bundle: Bundle, text: str | None) -> Any:
    """The text as JSON when the prompt asks for JSON; none when it is not JSON, which scorers then see."""
    if not text or not asks_json(bundle):
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def as_sent(tool: Any) -> dict[str, Any]:
    """A tool of a config as OpenAI writes it."""
    function = msgspec.to_builtins(tool.function)
    return {"type": "function", "function": function}


def _names(tools: ToolConfig) -> set[str]:
    return {tool.function.name for tool in tools.tools}


def _as_message(reply: Reply) -> Message:
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in reply.tool_calls or ()
    ]
    return {"role": "assistant", "content": reply.text, **({"tool_calls": calls} if calls else {})}


def _result(tools: ToolConfig, call: ToolCall) -> Message:
    recorded = tools.results.recorded
    if call.name not in recorded:
        pointer = f"/tool_config/results/recorded/{escape(call.name)}"
        detail = f"the model called the tool {call.name!r}, and the tool config has no recorded result of it; add one"
        raise InvalidContentError(f"{pointer}: {detail}", [FieldError(pointer, detail)])
    result = recorded[call.name]
    content = result if isinstance(result, str) else msgspec.json.encode(result).decode()
    return {"role": "tool", "tool_call_id": call.id, "content": content}
