"""The one generation path: render, retrieve, call, run the tool loop. What was evaluated is what is served."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from app.generation import rendering
from app.generation.conversation import Conversation, as_sent
from app.generation.replay import recording, replayed
from app.generation.schemas import Answer, AnswerDelta, Bundle, CaseInput
from app.kit.digests import key_of
from app.kit.errors import InvalidContentError
from app.llm.errors import ModelFaultError
from app.llm.schemas import ChatRequest, Message, Reply
from app.llm.service import LLM
from app.registry.kinds.prompt import Prompt
from app.registry.kinds.rag_config import RAGConfig
from app.retrieval.service import Retrieval
from evaluators.contract import Chunk

GENERATION_VERSION = 1
"""Part of every answer's key: raise it when the same bundle and case may give another answer than before."""


class Generation:
    """`generate` and `stream` raise `EndpointError` when the endpoint gives no answer, and `InvalidContentError` when the
    case does not fit the prompt; what is the model's own fault is an answer with status `failed`.
    """

    def __init__(self, llm: LLM, retrieval: Retrieval) -> None:
        self.llm = llm
        self._retrieval = retrieval

    async def generate(self, bundle: Bundle, case: CaseInput, *, variables: Mapping[str, Any] | None = None) -> Answer:
        """One answer.

        A case's inputs and history that the prompt has no place for are left out (scorers may use them). `variables`, when
        given, stand in place of the inputs, and then nothing may be without a place.
        """
        if bundle.endpoint.provider == "replay":
            return replayed(bundle, case)
        conversation = await self._begin(bundle, case, variables)
        answer = None
        try:
            while answer is None:
                answer = conversation.take(await self.llm.call(bundle.spec, conversation.request()))
        except ModelFaultError as fault:
            answer = conversation.failed(fault.detail)
        return answer

    async def request(self, bundle: Bundle, case: CaseInput) -> ChatRequest:
        """What `generate` would send first, for somebody who sends it another way. Raises `InvalidContentError`."""
        return (await self._begin(bundle, case, None)).request()

    async def received(self, bundle: Bundle, case: CaseInput, read: Callable[[], Awaitable[Reply]]) -> Answer:
        """What `generate` would have made of the reply that `read` gives or raises. How long it took is not known.

        Raises `EndpointError`, and `InvalidContentError` for a bundle that would go on asking (see `batching.unfit`).
        """
        conversation = await self._begin(bundle, case, None)
        try:
            answer = conversation.take(await read())
        except ModelFaultError as fault:
            answer = conversation.failed(fault.detail)
        if answer is None:
            raise InvalidContentError.at("/tool_config/results", "the results of its tools would have to be sent next")
        return msgspec.structs.replace(answer, latency_ms=None)

    async def measured(self, bundle: Bundle, case: CaseInput) -> Answer:
        """One answer that is streamed, so that the time until it begins is known."""
        async with aclosing(self.stream(bundle, case)) as deltas:
            async for delta in deltas:
                if delta.answer is not None:
                    return delta.answer
        raise RuntimeError("a stream of answers ended without one")

    async def stream(
        self, bundle: Bundle, case: CaseInput, *, variables: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[AnswerDelta, None]:
        """The same piece by piece, over all rounds; the last piece carries the whole answer."""
        if bundle.endpoint.provider == "replay":
            answer = replayed(bundle, case)
            if answer.text:
                yield AnswerDelta(answer.text)
            yield AnswerDelta(answer=answer)
            return
        conversation = await self._begin(bundle, case, variables)
        final: Answer | None = None
        try:
            while final is None:
                async with aclosing(self.llm.stream(bundle.spec, conversation.request())) as deltas:
                    async for delta in deltas:
                        if delta.text:
                            yield AnswerDelta(delta.text)
                        if delta.reply is not None:
                            final = conversation.take(delta.reply)
        except ModelFaultError as fault:
            final = conversation.failed(fault.detail)
        yield AnswerDelta(answer=final)

    async def render(
        self,
        prompt: Prompt,
        variables: Mapping[str, Any],
        history: Sequence[Message] = (),
        context: str | None = None,
    ) -> list[Message]:
        """The messages that would be sent, with `context` in place of what retrieval would find. Calls nothing."""
        given = dict(variables) if context is None else {**variables, rendering.CONTEXT: context}
        values = rendering.variables(prompt, given)
        return rendering.messages(prompt, values, history, given)

    async def _begin(self, bundle: Bundle, case: CaseInput, strict: Mapping[str, Any] | None) -> Conversation:
        prompt = bundle.prompt
        given = dict(rendering.used(prompt, case.inputs) if strict is None else strict)
        history = case.history if strict is not None or rendering.placeholders(prompt) else []
        rag, corpus = bundle.rag, bundle.corpus_digest
        if rag is None or corpus is None:
            values = rendering.variables(prompt, given)
            return Conversation(bundle, rendering.messages(prompt, values, history, given), None)
        if strict is None:
            given.pop(rendering.CONTEXT, None)
        values = rendering.variables(prompt, given, filled=rendering.CONTEXT)
        context, chunks = await self._context(bundle.project_id, rag, corpus, values)
        values[rendering.CONTEXT] = context
        return Conversation(bundle, rendering.messages(prompt, values, history, given), context, chunks)

    async def _context(
        self, project_id: str, rag: RAGConfig, corpus: str, values: Mapping[str, Any]
    ) -> tuple[str, list[Chunk]]:
        query = rendering.template(rag.query, values, "/rag_config/query")
        found = await self._retrieval.retrieve(project_id, rag, corpus, query)
        if not found:
            return "", []
        data = {"chunks": [msgspec.structs.asdict(chunk) for chunk in found]}
        chunks = [Chunk(id=each.id, text=each.text, title=each.title or None, score=each.score) for each in found]
        return rendering.template(rag.context, data, "/rag_config/context"), chunks


def sent(bundle: Bundle, case: CaseInput, context: str | None) -> list[Message] | None:
    """The messages that an answer's first call sent, rendered again: equal parts give equal messages, so none are stored.

    None where they cannot be known: the case does not fit the prompt (as a recording's need not), or `context` is missing.
    """
    prompt = bundle.prompt
    given = dict(rendering.used(prompt, case.inputs))
    history = case.history if rendering.placeholders(prompt) else []
    if bundle.rag is not None:
        if context is None:
            return None
        given[rendering.CONTEXT] = context
    try:
        return rendering.messages(prompt, rendering.variables(prompt, given), history, given)
    except InvalidContentError:
        return None


def tools_of(bundle: Bundle) -> list[dict[str, Any]] | None:
    """The functions that the model is given, as OpenAI writes them."""
    return None if bundle.tools is None else [as_sent(tool) for tool in bundle.tools.tools]


def answer_key(
    bundle: Bundle, case: CaseInput, repeat: int, epoch: str, project_id: str, *, measured: bool = False
) -> str:
    """The key of a cell's answer: equal keys, equal questions.

    Over the project, the generation's version, what decides an answer of each part of the bundle, the inputs and history
    that the prompt has a place for (for a replay also the recording), the repeat, and the epoch (`""`, a release's id, or
    the run's own for answers that are to be fresh). `measured` answers are streamed, for the time until they begin; those
    that were not streamed lack it, and cannot stand in for them.
    """
    prompt = bundle.prompt
    question: dict[str, Any] = {"inputs": rendering.used(prompt, case.inputs)}
    if rendering.placeholders(prompt):
        question["history"] = case.history
    if bundle.endpoint.provider == "replay":
        recorded = case.recorded or {}
        question["recorded"] = recording(bundle, case) if bundle.endpoint.model in recorded else None
    encoded = msgspec.json.encode(question, order="sorted").decode()
    streamed = ["streamed"] if measured and bundle.endpoint.provider != "replay" else []
    return key_of(project_id, str(GENERATION_VERSION), bundle.deciding, encoded, str(repeat), epoch, *streamed)


def check_case(bundle: Bundle, case: CaseInput) -> None:
    """Raises `InvalidContentError` when a case lacks a variable that the prompt requires, or gives one of a wrong type."""
    given = dict(rendering.used(bundle.prompt, case.inputs))
    if bundle.rag is None:
        rendering.variables(bundle.prompt, given)
        return
    given.pop(rendering.CONTEXT, None)
    rendering.variables(bundle.prompt, given, filled=rendering.CONTEXT)
