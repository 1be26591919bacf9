"""Rendering a prompt, and a single answer for trying one."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import anyio.to_thread
import msgspec
from litestar import Controller, Response, Router, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage
from msgspec import UNSET, UnsetType

from app.access.schemas import Caller
from app.datasets.sensitivity import above, highest
from app.generation.bundles import resolve_bundle
from app.generation.schemas import Answer, AnswerDelta, Bundle, CandidateSpec, CaseInput, Draft
from app.generation.service import Generation
from app.kit.asgi import decoded_name
from app.kit.errors import DomainError, FieldError, ForbiddenError, InvalidContentError
from app.kit.problems import Problem
from app.llm.schemas import Message, ToolCall, Usage
from app.llm.tokens import DEFAULT_ENCODING, Tokens, UnknownEncodingError
from app.registry.composition import expanded
from app.registry.names import LATEST
from app.registry.service import Registry


class RenderRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`encoding` is one of tiktoken's and decides how tokens are counted; `history` fills the prompt's placeholder."""

    variables: dict[str, Any] = {}
    encoding: str = DEFAULT_ENCODING
    history: list[Message] = []


class Rendered(msgspec.Struct, frozen=True):
    """`tokens` counts the messages' contents; without the encoding's vocabulary it is an estimate (`tokens_exact` false)."""

    messages: list[Message]
    tokens: int
    tokens_exact: bool


class GenerateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A candidate with its endpoint, and the variables of one case. With `stream` the answer is server-sent events."""

    prompt: str | Draft
    endpoint: str | Draft
    rag_config: str | Draft | UnsetType | None = UNSET
    tool_config: str | Draft | UnsetType | None = UNSET
    params: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    history: list[Message] = []
    stream: bool = False


class AnswerRead(msgspec.Struct, frozen=True):
    """An answer on the wire. `failed` is the model's own fault and says why in `error`."""

    status: str
    text: str | None
    parsed: Any
    tool_calls: list[ToolCall] | None
    finish_reason: str | None
    usage: Usage | None
    cost_usd: float | None
    latency_ms: float | None
    context: str | None
    error: str | None
    model: str | None

    @classmethod
    def of(cls, answer: Answer) -> "AnswerRead":
        fields = {name: getattr(answer, name) for name in cls.__struct_fields__ if name != "cost_usd"}
        return cls(**fields, cost_usd=None if answer.cost_nano is None else answer.cost_nano / 1e9)


class GenerationController(Controller):
    tags = ["Generation"]

    @post(
        "/prompts/{name:str}/versions/{ref:str}/render",
        operation_id="prompts_render",
        opt={"permission": "registry:read"},
        status_code=200,
    )
    async def render(
        self,
        state: State,
        caller: NamedDependency[Caller],
        name: FromPath[str],
        ref: FromPath[str],
        data: JSONBody[RenderRequest],
    ) -> Rendered:
        """The messages that a prompt makes of these variables. Calls no model and retrieves nothing."""
        named = decoded_name(name) if ref == LATEST else f"{decoded_name(name)}@{ref}"
        async with state.sessions() as session:
            registry = Registry(session, caller.project_id)
            prompt = await expanded(await registry.resolve("prompt", named), registry.by_digest)
        generation: Generation = state.generation
        messages = await generation.render(prompt, data.variables, data.history)
        try:
            counts = await anyio.to_thread.run_sync(_counted, generation.llm.tokens, messages, data.encoding)
        except UnknownEncodingError as error:
            raise InvalidContentError(f"/encoding: {error}", [FieldError("/encoding", str(error))]) from error
        return Rendered(messages, *counts)

    @post("/generate", operation_id="generate", opt={"permission": "runs:write"}, status_code=200)
    async def generate(
        self, state: State, caller: NamedDependency[Caller], data: JSONBody[GenerateRequest]
    ) -> Response[AnswerRead]:
        """One answer of any combination of prompt, RAG config, tool config and endpoint; nothing is stored, but for 24
        hours under an Idempotency-Key that was sent.

        A corpus whose values are above the key's clearance is refused (403): the answer could tell them.
        With `stream`: events `delta` `{text}`, then `answer` (the whole), or `error` (a problem).
        """
        candidate = CandidateSpec(data.prompt, data.rag_config, data.tool_config, data.endpoint, data.params)
        async with state.sessions() as session:  # not the request's: a call must not hold a transaction open
            registry = Registry(session, caller.project_id)
            bundle = await resolve_bundle(registry, candidate, keep=False)
            await _require_corpus(registry, bundle, caller)
        generation: Generation = state.generation
        case = CaseInput(history=data.history)
        if not data.stream:
            answer = await generation.generate(bundle, case, variables=data.variables)
            return Response(AnswerRead.of(answer), headers=_NO_STORE)
        pieces = generation.stream(bundle, case, variables=data.variables)
        first = await anext(pieces)  # what fails before anything was said is an ordinary problem
        return ServerSentEvent(_events(first, pieces), headers=_NO_STORE)  # type: ignore[return-value]


async def _require_corpus(registry: Registry, bundle: Bundle, caller: Caller) -> None:
    """Raises `ForbiddenError` for a corpus with values that the caller may not see."""
    if bundle.corpus_digest is None:
        return
    level = highest((await registry.by_digest("dataset", bundle.corpus_digest)).content)
    if above(level, caller.clearance):
        raise ForbiddenError(
            f"the corpus of this RAG config holds {level} values, and this key's clearance is {caller.clearance}: an answer "
            "made from it cannot be shown"
        )


_NO_STORE = {"Cache-Control": "no-store"}


async def _events(
    first: AnswerDelta, pieces: AsyncGenerator[AnswerDelta, None]
) -> AsyncGenerator[ServerSentEventMessage, None]:
    async with aclosing(pieces):
        try:
            yield _event(first)
            async for piece in pieces:
                yield _event(piece)
        except DomainError as error:
            problem = Problem(f"urn:promptward:{error.slug}", error.title, error.status, error.detail, error.errors)
            yield ServerSentEventMessage(event="error", data=msgspec.json.encode(problem).decode())


def _event(piece: AnswerDelta) -> ServerSentEventMessage:
    if piece.answer is None:
        return ServerSentEventMessage(event="delta", data=msgspec.json.encode({"text": piece.text}).decode())
    return ServerSentEventMessage(event="answer", data=msgspec.json.encode(AnswerRead.of(piece.answer)).decode())


def _counted(tokens: Tokens, messages: list[Message], encoding: str) -> tuple[int, bool]:
    counts = [tokens.count_in(text, encoding) for message in messages for text in _texts(message.get("content"))]
    if not counts:
        return 0, tokens.count_in("", encoding).exact
    return sum(count.tokens for count in counts), all(count.exact for count in counts)


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]


router = Router("/api/v1", route_handlers=[GenerationController])
