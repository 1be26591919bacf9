"""Serving what is live: the generation path of the evaluations, and an inference for every answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, NamedTuple

import msgspec

from app.access.schemas import Caller
from app.feedback.schemas import Served, Split
from app.feedback.service import Feedback
from app.gateway import wire
from app.generation import rendering
from app.generation.schemas import Answer, AnswerDelta, CaseInput
from app.generation.service import Generation
from app.kit.clock import Clock
from app.kit.errors import BadRequestError, DomainError, NotFoundError
from app.kit.ids import new_id
from app.registry.names import checked_name, label_problem
from app.releases.assignment import arm_of
from app.releases.schemas import Deployment, LiveArm
from app.releases.service import Releases


class Serving(NamedTuple):
    """One request, resolved: what is live, which of its releases answers, and for whom."""

    caller: Caller
    request: wire.ChatRequest
    deployment: Deployment
    arm: LiveArm
    inference: str

    @property
    def case(self) -> CaseInput:
        return CaseInput(history=self.request.messages)


class Gateway:
    def __init__(self, releases: Releases, generation: Generation, feedback: Feedback, clock: Clock) -> None:
        self._releases, self._generation, self._feedback, self._clock = releases, generation, feedback, clock

    async def live(self, project_id: str, environment: str, prompt: str) -> Deployment:
        """Raises `NotFoundError` that names what is live."""
        deployment = await self._releases.deployment(project_id, environment, prompt)
        if deployment is None:
            names = [f"{d.prompt}@{d.environment}" for d in await self._releases.deployments(project_id)]
            listed = ", ".join(names) or "nothing yet"
            raise NotFoundError(
                f"{prompt!r} is not live in {environment!r}; live: {listed}. A release puts it there: `promptward ship`"
            )
        return deployment

    async def resolve(self, caller: Caller, body: bytes) -> Serving:
        """Raises `BadRequestError`, `NotFoundError`, or `InvalidContentError` at `/unit`."""
        request, others = wire.decode(body)
        name, _, environment = request.model.partition("@")
        checked_name(name, "/model")
        if not environment or label_problem(environment):
            raise NotFoundError.at(
                "/model", f"name the environment too, such as {name}@production: only what was released is served"
            )
        deployment = await self.live(caller.project_id, environment, name)
        arm = arm_of(deployment, request.whom)
        wire.refuse_decided(others, arm.bundle)
        if request.messages and not rendering.placeholders(arm.bundle.prompt):
            raise BadRequestError.at(
                "/messages",
                f"{request.model} has no placeholder for messages: send [] and put the values into extra_body.variables",
            )
        return Serving(caller, request, deployment, arm, new_id("inf"))

    async def answer(self, serving: Serving) -> tuple[Answer, dict[str, Any]]:
        """The answer, and what is ours about it; both durable. Raises what generation raises."""
        try:
            answer = await self._generation.generate(
                serving.arm.bundle, serving.case, variables=serving.request.variables
            )
        except DomainError as error:
            if error.status >= 500:  # a bad request is nobody's answer; a broken endpoint is the release's
                await self._log(serving, None, "", error.detail)
            raise
        await self._log(serving, answer, answer.text or "")
        return answer, self._ours(serving)

    async def stream(self, serving: Serving) -> AsyncGenerator[bytes, None]:
        """OpenAI's events. Raises what generation raises before the first word; afterwards an error is an event."""
        pieces = self._generation.stream(serving.arm.bundle, serving.case, variables=serving.request.variables)
        try:
            first = await anext(pieces)
        except DomainError as error:
            if error.status >= 500:
                await self._log(serving, None, "", error.detail)
            raise
        return self._events(serving, first, pieces)

    async def _events(
        self, serving: Serving, first: AnswerDelta, pieces: AsyncGenerator[AnswerDelta, None]
    ) -> AsyncGenerator[bytes, None]:
        options = serving.request.stream_options
        chunks = wire.Chunks(serving.inference, int(self._clock().timestamp()), serving.request.model)
        said: list[str] = []
        logged = False
        try:
            yield chunks.begin()
            async with aclosing(pieces):
                piece: AnswerDelta | None = first
                while piece is not None:
                    if piece.text:
                        said.append(piece.text)
                        yield chunks.text(piece.text)
                    if piece.answer is not None:
                        logged = True
                        await self._log(serving, piece.answer, piece.answer.text or "")
                        include = options is not None and options.include_usage
                        yield chunks.end(piece.answer, self._ours(serving), include_usage=include)
                        return
                    piece = await anext(pieces, None)
        except DomainError as error:
            logged = True
            await self._log(serving, None, "".join(said), error.detail)
            yield chunks.broken(error)
        finally:
            if not logged:  # whoever asked went away; what was said is kept all the same
                task = asyncio.ensure_future(self._log(serving, None, "".join(said), "the client went away"))
                await asyncio.shield(task)

    def _ours(self, serving: Serving) -> dict[str, Any]:
        return {
            "inference_id": serving.inference,
            "receipt": self._feedback.receipt(serving.caller.project_id, serving.inference),
            "release": serving.arm.release,
            "version": serving.arm.version,
        }

    async def _log(self, serving: Serving, answer: Answer | None, text: str, error: str | None = None) -> None:
        """Keeps the inference; durable when it returns."""
        project_id, deployment, arm = serving.caller.project_id, serving.deployment, serving.arm
        unit = serving.request.whom
        hashed = None if unit is None else self._feedback.unit_hash(project_id, unit)
        split = None
        if deployment.candidate is not None and hashed is not None:
            name = "candidate" if arm is deployment.candidate else "baseline"
            split = Split(deployment.candidate.release, deployment.phase, name, hashed)  # type: ignore[arg-type]
        await self._feedback.log(
            Served(
                id=serving.inference,
                project_id=project_id,
                environment=deployment.environment,
                prompt=deployment.prompt,
                version=arm.version,
                prompt_digest=arm.bundle.prompt_digest,
                bundle=arm.bundle.digest,
                release=arm.release,
                split=split,
                unit=hashed,
                key_id=serving.caller.key_id,
                status="errored" if answer is None else answer.status,
                at=self._clock(),
                latency_ms=None if answer is None else answer.latency_ms,
                cost_nano=None if answer is None else answer.cost_nano,
                usage=None if answer is None or answer.usage is None else msgspec.to_builtins(answer.usage),
                endpoint=arm.bundle.refs.endpoint,
                variables=serving.request.variables,
                messages=serving.request.messages,
                output=text,
                error=error if answer is None else answer.error,
            )
        )
