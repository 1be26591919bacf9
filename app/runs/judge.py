"""What a rubric asks through: the judge's endpoint, behind the same limits and retries as every other call."""

from typing import Any

import msgspec

from app.generation.bundles import endpoint_spec
from app.kit import templates
from app.llm.errors import EndpointError, ModelFaultError
from app.llm.prices import cost_nano
from app.llm.schemas import ChatRequest
from app.llm.service import LLM
from app.registry.kinds.rubric import Rubric
from app.registry.service import Artifact
from app.runs.budget import Budget, BudgetSpentError, most_nano
from app.runs.schemas import NANO
from evaluators.judging import JudgeReply, JudgeTemplateError, JudgeUnavailableError


class EndpointJudge:
    """A `Judge` of the evaluators' contract. Its calls are paid from the run's budget; `unpaid`: one did not fit it."""

    def __init__(self, llm: LLM, endpoint: Artifact, rubric: Rubric, budget: Budget) -> None:
        named = msgspec.structs.replace(endpoint, name=rubric.endpoint.partition("@")[0])
        self._llm, self._spec, self._budget = llm, endpoint_spec(named), budget
        self.unpaid = False
        self._params = {"temperature": 0, **endpoint.content.params, **rubric.params}

    @property
    def name(self) -> str:
        return self._spec.name

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
        request = ChatRequest(messages, self._params, response_format=form)
        price = self._spec.price
        reserved = 0
        if self._budget.limit is not None and price is not None:
            size = len(msgspec.json.encode((messages, form)))
            reserved = most_nano(size, self._params, price.input, price.output)
        try:
            await self._budget.reserve(reserved)
        except BudgetSpentError as error:
            self.unpaid = True
            raise JudgeUnavailableError("the run's budget does not allow another call") from error
        cost = 0
        try:
            reply = await self._llm.call(self._spec, request)
            cost = cost_nano(price, reply.usage) or 0
        except ModelFaultError as error:
            return JudgeReply(text=None, finish_reason=error.kind)
        except EndpointError as error:
            raise JudgeUnavailableError(error.detail) from error
        finally:
            self._budget.settle(reserved, cost)
        tokens = 0 if reply.usage is None else reply.usage.prompt_tokens + reply.usage.completion_tokens
        return JudgeReply(text=reply.text, finish_reason=reply.finish_reason, cost_usd=cost / NANO, tokens=tokens)

    def render(self, template: str, variables: dict[str, Any]) -> str:
        try:
            return templates.render(template, variables)
        except templates.TemplateError as error:
            raise JudgeTemplateError(error.detail) from error
