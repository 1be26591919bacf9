"""The judge of the scorers' contract, played by the development model over a socket."""

from typing import Any

from openai import AsyncOpenAI

from app.kit import templates
from evaluators.judging import JudgeReply


class SocketJudge:
    """The judge of the scorers' contract, behind the official client."""

    def __init__(self, client: AsyncOpenAI, model: str) -> None:
        self._client, self._model = client, model

    @property
    def name(self) -> str:
        return self._model

    async def ask(
        self,
        messages: list[dict[str, Any]],
        schema: dict[str, Any] | None = None,
        *,
        sample_index: int = 0,
        top_logprobs: int = 0,
    ) -> JudgeReply:
        form: Any = {"type": "json_schema", "json_schema": {"name": "judgement", "strict": True, "schema": schema}}
        reply = await self._client.chat.completions.create(model=self._model, messages=messages, response_format=form)
        return JudgeReply(text=reply.choices[0].message.content, finish_reason=reply.choices[0].finish_reason)

    def render(self, template: str, variables: dict[str, Any]) -> str:
        return templates.render(template, variables)
