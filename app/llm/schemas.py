"""What goes to an endpoint and what comes back. This room knows no kinds: callers make an `EndpointSpec` of theirs."""

from typing import Any, Literal

import msgspec

from evaluators.judging import TokenLogprob

Provider = Literal["openai", "compatible", "replay"]
Message = dict[str, Any]
"""One chat message in OpenAI's form: `role`, `content`, and what a role adds."""


class Limits(msgspec.Struct, frozen=True):
    """Requests and tokens per minute (none: not limited), and calls in flight at most."""

    rpm: int | None = None
    tpm: int | None = None
    max_concurrency: int = 64


class Price(msgspec.Struct, frozen=True):
    """US dollars per million tokens. Without `cached_input`, cached tokens cost what others cost."""

    input: float = 0.0
    output: float = 0.0
    cached_input: float | None = None


class EndpointSpec(msgspec.Struct, frozen=True):
    """Where and how to call. `base_url_env` and `api_key_env` name environment variables, read when the first call is made.

    `name` is how messages call the endpoint. Specs of one `digest` share one client, one connection pool and one limiter.
    """

    name: str
    provider: Provider
    model: str
    digest: str
    base_url: str | None = None
    base_url_env: str | None = None
    api_key_env: str | None = None
    params: dict[str, Any] = {}
    limits: Limits = msgspec.field(default_factory=Limits)
    price: Price | None = None
    timeout_s: float = 60.0


class ToolCall(msgspec.Struct, frozen=True):
    """A call that the model asks for. `arguments` is the text it wrote: JSON if it did well."""

    id: str
    name: str
    arguments: str


class Usage(msgspec.Struct, frozen=True):
    """Tokens as the endpoint counts them; `cached_tokens` are part of `prompt_tokens`."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


class ChatRequest(msgspec.Struct, frozen=True):
    """One call. `params` are sent beside the messages as they are (`temperature`, `max_tokens`, …)."""

    messages: list[Message]
    params: dict[str, Any] = {}
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None


class Reply(msgspec.Struct, frozen=True):
    """The first choice of an answer. `latency_ms` is the attempt that succeeded, without waiting for a slot or a retry;
    `ttft_ms`, of a streamed one, ends where the first piece came. `logprobs` are there when the params asked for them."""

    text: str | None
    tool_calls: list[ToolCall] | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    latency_ms: float = 0.0
    model: str | None = None
    logprobs: list[TokenLogprob] | None = None
    ttft_ms: float | None = None


class Embedded(msgspec.Struct, frozen=True):
    """One vector per text, in the order of the texts."""

    vectors: list[list[float]]
    usage: Usage | None = None


class Delta(msgspec.Struct, frozen=True):
    """A piece of a streamed answer; the last one has no text and carries the whole `reply`."""

    text: str = ""
    reply: Reply | None = None
