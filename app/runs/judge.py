"""What scorers ask through: endpoints behind the same limits and retries as every other call, paid from the run's budget."""

import array
import base64
import hashlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from app.generation.bundles import endpoint_spec
from app.kit import templates
from app.kit.digests import digest, key_of
from app.llm.errors import EndpointError, ModelFaultError
from app.llm.prices import cost_nano
from app.llm.schemas import ChatRequest, Reply, Usage
from app.llm.service import LLM
from app.registry.service import deciding
from app.runs.asking import Asked, Judging
from app.runs.budget import Budget, BudgetSpentError, most_nano
from app.runs.replies import Replies, UnpaidError
from app.runs.schemas import NANO
from evaluators.contract import Scorer
from evaluators.judging import Embeddings, JudgeReply, JudgeTemplateError, JudgeUnavailableError, Models

_encode = msgspec.json.Encoder(order="deterministic").encode
MOST_TEXTS = 256
"""Texts of one call for vectors; endpoints refuse much longer lists."""


class Purse(NamedTuple):
    """Who asks, and what pays: one run's."""

    llm: LLM
    replies: Replies
    budget: Budget
    project_id: str
    run_id: str


class Panel:
    """Everybody whom one scorer of a run asks. `unpaid`: a call did not fit the run's budget."""

    def __init__(self, purse: Purse, judging: Judging, scorer: Scorer) -> None:
        rubric = judging.rubric
        given = getattr(scorer, "params", {})
        params = {**({} if rubric is None else rubric.content.params), **(given if isinstance(given, dict) else {})}
        about = digest(deciding(rubric)) if rubric is not None else f"{scorer.name}@{scorer.version}"
        self._judges = [EndpointJudge(purse, judge, params, about) for judge in judging.judges]
        self._embedder = None if judging.embedder is None else EndpointEmbedder(purse, judging.embedder)
        self.models = Models(self._judges, self._embedder)

    @property
    def unpaid(self) -> bool:
        everybody = (*self._judges, self._embedder) if self._embedder is not None else self._judges
        return any(one.unpaid for one in everybody)


class _Endpoint:
    def __init__(self, purse: Purse, asked: Asked) -> None:
        named = msgspec.structs.replace(asked.endpoint, name=asked.name)
        self._purse, self._spec = purse, endpoint_spec(named)
        self._deciding = digest(deciding(asked.endpoint))
        self.unpaid = False

    @property
    def name(self) -> str:
        return self._spec.name

    async def _reserved(self, size: int, params: Mapping[str, Any]) -> int:
        """Sets aside what a call may cost. Raises `UnpaidError` when that does not fit the budget."""
        price, budget = self._spec.price, self._purse.budget
        reserved = 0 if budget.limit is None or price is None else most_nano(size, params, price.input, price.output)
        try:
            await budget.reserve(reserved)
        except BudgetSpentError as error:
            self.unpaid = True
            raise UnpaidError("the run's budget does not allow another call") from error
        return reserved

    def _cost(self, usage: Usage | None) -> int:
        return cost_nano(self._spec.price, usage) or 0


class EndpointJudge(_Endpoint):
    """A `Judge` of the evaluators' contract. `about` is what tells its replies apart beside what they were asked: the
    rubric's digest, or the scorer that writes the questions."""

    def __init__(self, purse: Purse, asked: Asked, params: Mapping[str, Any], about: str) -> None:
        super().__init__(purse, asked)
        self._about = about
        self._params = {"temperature": 0, **asked.endpoint.content.params, **params}
        self._no_logprobs = False

    async def ask(
        self,
        messages: list[dict[str, Any]],
        schema: dict[str, Any] | None = None,
        *,
        sample_index: int = 0,
        top_logprobs: int = 0,
    ) -> JudgeReply:
        """One judgement. What the model will not answer has no text; what the endpoint cannot raises."""
        form = None
        if schema is not None:
            form = {"type": "json_schema", "json_schema": {"name": "judgement", "strict": True, "schema": schema}}
        params = dict(self._params)
        if top_logprobs > 0:
            params |= {"logprobs": True, "top_logprobs": top_logprobs}
        request = ChatRequest(messages, params, response_format=form)
        asked = hashlib.sha256(_encode((messages, form, params))).hexdigest()
        key = key_of("judge", self._deciding, self._about, asked, str(sample_index))
        purse = self._purse
        return await purse.replies.ask(purse.project_id, purse.run_id, key, lambda: self._call(request))

    async def _call(self, request: ChatRequest) -> JudgeReply:
        size = len(msgspec.json.encode((request.messages, request.response_format)))
        reserved = await self._reserved(size, request.params)
        cost = 0
        try:
            reply = await self._answered(request)
            cost = self._cost(reply.usage)
        except ModelFaultError as error:
            return JudgeReply(text=None, finish_reason=error.kind)
        except EndpointError as error:
            raise JudgeUnavailableError(error.detail) from error
        finally:
            self._purse.budget.settle(reserved, cost)
        usage = reply.usage or Usage()
        return JudgeReply(
            text=reply.text,
            finish_reason=reply.finish_reason,
            cost_usd=cost / NANO,
            tokens=usage.prompt_tokens + usage.completion_tokens,
            logprobs=reply.logprobs,
        )

    async def _answered(self, request: ChatRequest) -> Reply:
        """The reply; of a model that refuses to give logprobs, the one without them. Raises as `LLM.call` does."""
        if self._no_logprobs:
            request = _without_logprobs(request)
        try:
            return await self._purse.llm.call(self._spec, request)
        except EndpointError as error:
            refused = error.kind in ("bad_request", "auth") and "logprobs" in error.detail.lower()
            if not refused or "logprobs" not in request.params:
                raise
        self._no_logprobs = True
        return await self._purse.llm.call(self._spec, _without_logprobs(request))

    def render(self, template: str, variables: dict[str, Any]) -> str:
        try:
            return templates.render(template, variables)
        except templates.TemplateError as error:
            raise JudgeTemplateError(error.detail) from error


class EndpointEmbedder(_Endpoint):
    """An `Embedder` of the evaluators' contract. Vectors have the 32 bits that endpoints compute with: known ones and fresh
    ones are equal."""

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Raises JudgeUnavailableError."""
        purse, vectors = self._purse, []
        cost, tokens, cached = 0.0, 0, bool(texts)
        for start in range(0, len(texts), MOST_TEXTS):
            some = texts[start : start + MOST_TEXTS]
            key = key_of("vectors", self._deciding, hashlib.sha256(_encode(some)).hexdigest())
            reply = await purse.replies.ask(purse.project_id, purse.run_id, key, lambda some=some: self._call(some))  # type: ignore[misc]
            vectors += [_unpacked(packed) for packed in msgspec.json.decode(reply.text or "[]", type=list[str])]
            cost, tokens, cached = cost + reply.cost_usd, tokens + reply.tokens, cached and reply.cached
        return Embeddings(vectors, cost, tokens, cached)

    async def _call(self, texts: Sequence[str]) -> JudgeReply:
        reserved = await self._reserved(len(msgspec.json.encode(texts)), {"max_tokens": 1})
        cost = 0
        try:
            found = await self._purse.llm.embed(self._spec, texts)
            cost = self._cost(found.usage)
        except EndpointError as error:
            raise JudgeUnavailableError(error.detail) from error
        finally:
            self._purse.budget.settle(reserved, cost)
        text = msgspec.json.encode([_packed(vector) for vector in found.vectors]).decode()
        tokens = 0 if found.usage is None else found.usage.prompt_tokens
        return JudgeReply(text=text, cost_usd=cost / NANO, tokens=tokens)


def _without_logprobs(request: ChatRequest) -> ChatRequest:
    params = {name: value for name, value in request.params.items() if name not in ("logprobs", "top_logprobs")}
    return msgspec.structs.replace(request, params=params)


def _packed(vector: Sequence[float]) -> str:
    """Little-endian 32-bit floats in base64."""
    floats = array.array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode()


def _unpacked(packed: str) -> list[float]:
    floats = array.array("f", base64.b64decode(packed))
    if sys.byteorder == "big":
        floats.byteswap()
    return list(floats)
