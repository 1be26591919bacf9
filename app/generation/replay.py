"""Answers that were made elsewhere."""

from typing import Any

import msgspec

from app.datasets.schemas import Recorded, RecordedChunk
from app.generation.conversation import parsed
from app.generation.schemas import Answer, Bundle, CaseInput
from app.kit.errors import FieldError, InvalidContentError
from app.kit.pointers import escape
from app.llm.errors import EndpointError
from app.llm.prices import cost_nano
from app.llm.schemas import ToolCall, Usage
from evaluators.contract import Chunk


def recording(bundle: Bundle, case: CaseInput) -> Any:
    """What was recorded for this bundle's model. Raises `EndpointError` (`not_recorded`) when nothing was."""
    model = bundle.endpoint.model
    if not case.recorded or model not in case.recorded:
        known = f"there is {', '.join(sorted(case.recorded))}" if case.recorded else "there is none"
        detail = f"endpoint {bundle.spec.name!r}: the case has no answer under `recorded.{model}`; {known}"
        raise EndpointError("not_recorded", detail)
    return case.recorded[model]


def replayed(bundle: Bundle, case: CaseInput) -> Answer:
    """The recorded answer. Raises `EndpointError` when there is none, `InvalidContentError` when it is malformed."""
    found = recording(bundle, case)
    pointer = f"/recorded/{escape(bundle.endpoint.model)}"
    try:
        recorded = found if isinstance(found, Recorded) else msgspec.convert(found, Recorded)
        usage = None if recorded.usage is None else _usage(recorded.usage)
        calls = [_call(i, call) for i, call in enumerate(recorded.tool_calls or ())]
    except msgspec.ValidationError as error:
        raise InvalidContentError(f"{pointer}: {error}", [FieldError(pointer, str(error))]) from error
    text = recorded.text if calls else recorded.text or ""
    filtered = recorded.finish_reason == "content_filter"
    return Answer(
        status="failed" if filtered else "answered",
        text=text,
        parsed=parsed(bundle, text),
        tool_calls=calls or None,
        finish_reason=recorded.finish_reason,
        usage=usage,
        cost_nano=cost_nano(bundle.spec.price, usage),
        latency_ms=recorded.latency_ms,
        error="the content filter withheld the recorded answer" if filtered else None,
        model=bundle.endpoint.model,
        context=recorded.context,
        chunks=None if recorded.chunks is None else [_chunk(each) for each in recorded.chunks],
        trajectory=recorded.trajectory,
        logprobs=recorded.logprobs,
        ttft_ms=recorded.ttft_ms,
    )


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Function(msgspec.Struct):
    name: str
    arguments: Any = ""


class _Call(msgspec.Struct):
    """OpenAI's form, or the same without the nesting."""

    id: str | None = None
    name: str | None = None
    arguments: Any = ""
    function: _Function | None = None


def _chunk(given: RecordedChunk) -> Chunk:
    return Chunk(id=given.id, text=given.text, title=given.title, score=given.score)


def _usage(data: dict[str, Any]) -> Usage:
    given = msgspec.convert(data, _Usage)
    nested = given.prompt_tokens_details.cached_tokens if given.prompt_tokens_details else None
    return Usage(given.prompt_tokens or 0, given.completion_tokens or 0, given.cached_tokens or nested or 0)


def _call(number: int, data: dict[str, Any]) -> ToolCall:
    given = msgspec.convert(data, _Call)
    function = given.function or _Function(given.name or "", given.arguments)
    if not function.name:
        raise msgspec.ValidationError(f"tool call {number} has no `name`")
    arguments = function.arguments
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    return ToolCall(given.id or f"call_{number}", function.name, text)
