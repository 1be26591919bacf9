"""Bodies of answers: a completion as a whole, or as the events of a stream."""

import re
import time
from collections.abc import Iterator
from typing import Any

from app.devmodel.chat import Choice
from app.devmodel.wire import FINGERPRINT, encode, usage

_PIECE = re.compile(r"\s*\S+|\s+$")


def completion(identity: str, model: str, prompt_tokens: int, choices: list[Choice]) -> bytes:
    """A `chat.completion` object."""
    return encode(
        {
            **_head(identity, "chat.completion", model),
            "choices": [
                {"index": place, "message": one.message(), "logprobs": None, "finish_reason": one.finish_reason}
                for place, one in enumerate(choices)
            ],
            "usage": usage(prompt_tokens, sum(one.tokens() for one in choices)),
        }
    )


def events(
    identity: str, model: str, prompt_tokens: int, choices: list[Choice], *, include_usage: bool
) -> Iterator[bytes]:
    """The events of a stream: role, then word by word (or call by call), why it ends, usage if wanted, `[DONE]`."""
    head = _head(identity, "chat.completion.chunk", model)
    if include_usage:
        head["usage"] = None

    def event(place: int, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": place, "delta": delta, "logprobs": None, "finish_reason": reason}
        return b"data: " + encode({**head, "choices": [choice]}) + b"\n\n"

    for place, one in enumerate(choices):
        yield event(place, {"role": "assistant", "content": None if one.tool_calls else ""})
        for number, call in enumerate(one.tool_calls):
            function = {"name": call["function"]["name"], "arguments": ""}
            yield event(place, {"tool_calls": [{"index": number, **call, "function": function}]})
            arguments = {"arguments": call["function"]["arguments"]}
            yield event(place, {"tool_calls": [{"index": number, "function": arguments}]})
        for piece in _PIECE.findall(one.text or ""):
            yield event(place, {"content": piece})
        yield event(place, {}, one.finish_reason)
    if include_usage:
        counted = usage(prompt_tokens, sum(one.tokens() for one in choices))
        yield b"data: " + encode({**head, "choices": [], "usage": counted}) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _head(identity: str, kind: str, model: str) -> dict[str, Any]:
    return {
        "id": identity,
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": FINGERPRINT,
    }
