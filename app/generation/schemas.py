"""Bundles, cases and answers."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.llm.schemas import EndpointSpec, Message, ToolCall, Usage
from app.registry.kinds.endpoint import Endpoint
from app.registry.kinds.prompt import Prompt
from app.registry.kinds.rag_config import RAGConfig
from app.registry.kinds.tool_config import ToolConfig
from evaluators.contract import Chunk


class Draft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content without a version: kept by its digest."""

    content: dict[str, Any]


class CandidateSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to generate with. Each part is a reference or a `{content}`.

    `rag_config` and `tool_config` left out: the prompt's own; null: none. `params` override the prompt's.
    """

    prompt: str | Draft
    rag_config: str | Draft | UnsetType | None = UNSET
    tool_config: str | Draft | UnsetType | None = UNSET
    endpoint: str | Draft | None = None
    params: dict[str, Any] = {}


class Refs(msgspec.Struct, frozen=True):
    """How pages and tables call the parts: `name@number`, or `sha256:…` (12 digits) for content without a version."""

    prompt: str
    endpoint: str
    rag_config: str | None = None
    tool_config: str | None = None


class Bundle(msgspec.Struct, frozen=True):
    """Everything that makes an answer, resolved. `digest` is over all parts, `deciding` only over what decides an answer."""

    project_id: str
    prompt: Prompt
    prompt_digest: str
    endpoint: Endpoint
    endpoint_digest: str
    spec: EndpointSpec
    digest: str
    deciding: str
    refs: Refs
    rag: RAGConfig | None = None
    rag_digest: str | None = None
    corpus_digest: str | None = None
    tools: ToolConfig | None = None
    tools_digest: str | None = None
    params: dict[str, Any] = {}


class CaseInput(msgspec.Struct, frozen=True):
    """One case of a dataset. Inputs that the prompt does not declare are left to the scorers."""

    inputs: dict[str, Any] = {}
    history: list[Message] = []
    recorded: dict[str, Any] | None = None


class Answer(msgspec.Struct, frozen=True):
    """What came of a case. `failed` is the model's own fault (it scores 0) and says why in `error`.

    `tool_calls` are all calls that were made, over all rounds; `usage`, `cost_nano` (1e-9 US dollars) and `latency_ms` are
    sums over the rounds, null when not known. `parsed` is the text as JSON when the prompt asks for JSON and it is JSON.
    `context` is what retrieval put into the prompt, `chunks` what it found, the best first.

    `trajectory` holds the messages that followed those sent first, when tools were called and answered. `logprobs` are of
    the last reply's tokens, when the params ask for them. `ttft_ms` is known of streamed answers alone: the time until the
    last reply began, with all rounds before it.
    """

    status: Literal["answered", "failed"]
    text: str | None = None
    parsed: Any = None
    tool_calls: list[ToolCall] | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    cost_nano: int | None = None
    latency_ms: float | None = None
    context: str | None = None
    error: str | None = None
    model: str | None = None
    chunks: list[Chunk] | None = None
    trajectory: list[Message] | None = None
    logprobs: list[float] | None = None
    ttft_ms: float | None = None


class AnswerDelta(msgspec.Struct, frozen=True):
    """A piece of a streamed answer; the last one has no text and carries the whole `answer`."""

    text: str = ""
    answer: Answer | None = None
