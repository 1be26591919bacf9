"""OpenAI's chat format, as its official clients send and read it."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from app.generation.schemas import Answer, Bundle
from app.kit.errors import BadRequestError, DomainError, FieldError, InvalidContentError, RateLimitedError
from app.kit.problems import on_bug, on_domain_error, on_http_error, with_retry_after
from app.llm.errors import EndpointError
from app.llm.schemas import Message, ToolCall


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class ChatRequest(msgspec.Struct, frozen=True):
    """What decides something here. `variables` and `unit` come in the client's `extra_body`; `user` stands in for `unit`."""

    model: str
    messages: list[Message] = []
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    variables: dict[str, Any] = {}
    unit: str | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    n: int | None = None
    store: bool | None = None

    @property
    def whom(self) -> str | None:
        return self.unit or self.user


def decode(body: bytes) -> tuple[ChatRequest, dict[str, Any]]:
    """A request, and the parameters in it that a release has decided already. Raises `BadRequestError` naming the field."""
    try:
        given = msgspec.json.decode(body)
        request = msgspec.convert(given, ChatRequest)
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at `$.")
        raise BadRequestError.at(f"/{at.rstrip('`').replace('.', '/')}" if at else "", message) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    if request.n not in (None, 1):
        raise BadRequestError.at("/n", "one answer is given at a time")
    known = ChatRequest.__struct_fields__
    return request, {name: value for name, value in given.items() if name not in known and value is not None}


def refuse_decided(others: Mapping[str, Any], bundle: Bundle) -> None:
    """What was gated is what is served: a caller may repeat a released parameter, not change it."""
    decided = {**bundle.endpoint.params, **bundle.prompt.params, **bundle.params}
    wrong = [
        FieldError(
            f"/{name}", f"the release decides {name} ({decided.get(name)!r}): leave it out, or release another content"
        )
        for name, value in others.items()
        if decided.get(name) != value
    ]
    if wrong:
        raise BadRequestError("; ".join(f"{error.pointer}: {error.detail}" for error in wrong), wrong)


def completion(inference: str, created: int, model: str, answer: Answer, ours: dict[str, Any]) -> dict[str, Any]:
    """A whole answer."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": _refusal(answer)}
    if answer.tool_calls:
        message["tool_calls"] = [_tool_call(call) for call in answer.tool_calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(answer)}
    found: dict[str, Any] = {
        "id": inference,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [choice],
    }
    if answer.usage is not None:
        found["usage"] = usage(answer)
    return {**found, "promptward": ours}


class Chunks:
    """The events of one streamed answer."""

    def __init__(self, inference: str, created: int, model: str) -> None:
        self._head = {"id": inference, "object": "chat.completion.chunk", "created": created, "model": model}

    def begin(self) -> bytes:
        return self._event({"role": "assistant", "content": ""})

    def text(self, text: str) -> bytes:
        return self._event({"content": text})

    def end(self, answer: Answer, ours: dict[str, Any], *, include_usage: bool) -> bytes:
        """The last choice, what is ours, the usage when it was asked for, and the end of the stream."""
        delta: dict[str, Any] = {}
        if answer.tool_calls:
            delta["tool_calls"] = [{"index": i, **_tool_call(call)} for i, call in enumerate(answer.tool_calls)]
        if (refusal := _refusal(answer)) is not None:
            delta["refusal"] = refusal
        last = self._event(delta, finish_reason(answer), {"promptward": ours})
        if include_usage:
            last += _sse({**self._head, "choices": [], "usage": usage(answer), "promptward": ours})
        return last + b"data: [DONE]\n\n"

    def broken(self, error: DomainError) -> bytes:
        """An error in the middle. No end of the stream follows, so that nobody takes what came for the whole."""
        return _sse({"error": error_of(error)})

    def _event(self, delta: dict[str, Any], finish: str | None = None, more: dict[str, Any] | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _sse({**self._head, "choices": [choice], **(more or {})})


def finish_reason(answer: Answer) -> str:
    if answer.status == "failed":
        return "content_filter"
    return answer.finish_reason or "stop"


def usage(answer: Answer) -> dict[str, Any]:
    found = answer.usage
    if found is None:
        return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return {
        "prompt_tokens": found.prompt_tokens,
        "completion_tokens": found.completion_tokens,
        "total_tokens": found.prompt_tokens + found.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": found.cached_tokens},
    }


# Errors

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


def status_of(error: DomainError) -> int:
    """What OpenAI's clients expect: a request that cannot be served is a 400, a model endpoint's limit a 429."""
    if isinstance(error, InvalidContentError):
        return 400
    if isinstance(error, EndpointError):
        return {"rate_limit": 429, "timeout": 504}.get(error.kind, 502)
    return error.status


def error_of(error: DomainError) -> dict[str, Any]:
    status = status_of(error)
    param = error.errors[0].pointer.lstrip("/").replace("/", ".") if error.errors else None
    code = f"upstream_{error.kind}" if isinstance(error, EndpointError) else error.slug.replace("-", "_")
    return {"message": error.detail, "type": _TYPES.get(status, "api_error"), "param": param or None, "code": code}


def on_error(request: Request[Any, Any, Any], error: DomainError) -> Response[Any]:
    headers = dict(on_domain_error(request, error).headers or {})
    if not isinstance(error, RateLimitedError):
        headers["x-should-retry"] = "false"  # what we have tried again already need not be tried again by who calls us
    if isinstance(error, EndpointError) and error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return _response(status_of(error), error_of(error), headers)


def on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    status = on_http_error(request, error).status_code or 500
    found = {"message": error.detail, "type": _TYPES.get(status, "api_error"), "param": None, "code": None}
    return _response(status, found, dict(error.headers or {}))


def on_fault(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    on_bug(request, error)  # which writes it to the log
    message = f"{type(error).__name__}: it was logged; please report it"
    return _response(500, {"message": message, "type": "api_error", "param": None, "code": "internal"}, {})


def _response(status: int, error: dict[str, Any], headers: dict[str, str]) -> Response[Any]:
    headers = with_retry_after(status, headers)
    return Response({"error": error}, status_code=status, media_type="application/json", headers=headers)


def _refusal(answer: Answer) -> str | None:
    return answer.error if answer.status == "failed" else None


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _sse(data: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(data) + b"\n\n"
