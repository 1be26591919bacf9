"""What is live over HTTP: fetched as content, or called like OpenAI's API."""

from typing import Any

from litestar import Controller, Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from app.access.schemas import Caller
from app.gateway import wire
from app.gateway.live import LivePrompt, LivePrompts
from app.gateway.service import Gateway
from app.kit.asgi import decoded_name
from app.kit.compression import UNCOMPRESSED
from app.kit.errors import DomainError, NotFoundError
from app.kit.etags import matches
from app.releases.assignment import arm_of


class LiveController(Controller):
    path = "/api/v1/environments"
    tags = ("Serving",)

    @get(
        "/{environment:str}/prompts/{name:str}",
        operation_id="get_live_prompt",
        opt={"permission": "serving:read", UNCOMPRESSED: True},
    )
    async def live(
        self,
        state: State,
        caller: NamedDependency[Caller],
        environment: FromPath[str],
        name: FromPath[str],
        request: Request[Any, Any, Any],
        unit: FromQuery[str | None] = None,
    ) -> Response[LivePrompt]:
        """What is live for this unit. The strong ETag is over the content alone: send it as `If-None-Match` and an unchanged
        content costs nothing. During a rollout `unit` says for whom."""
        gateway: Gateway = state.gateway
        deployment = await gateway.live(caller.project_id, environment, decoded_name(name))
        arm = arm_of(deployment, unit)
        live: LivePrompts = state.live_prompts
        encoded = live.of(deployment, arm)
        headers = {
            "ETag": encoded.etag,
            "Cache-Control": "private, no-cache",
            "x-promptward-release": arm.release,
        }
        if deployment.candidate is not None:
            headers["x-promptward-arm"] = "candidate" if arm is deployment.candidate else "baseline"
        known = request.headers.get("if-none-match")
        if known is not None and matches(known, encoded.etag):
            return Response(b"", status_code=304, headers=headers)  # type: ignore[arg-type]
        return Response(encoded.body, media_type="application/json", headers=headers)  # type: ignore[arg-type]


class OpenAIController(Controller):
    path = "/v1"
    tags = ("OpenAI-compatible",)
    exception_handlers = {DomainError: wire.on_error, HTTPException: wire.on_http, Exception: wire.on_fault}

    @post("/chat/completions", operation_id="chat_completions", status_code=200, opt={"permission": "serving:call"})
    async def chat(
        self, state: State, caller: NamedDependency[Caller], request: Request[Any, Any, Any]
    ) -> Response[Any]:
        """OpenAI's chat completions on what is live: `model` is `<prompt>@<environment>`; `variables` and `unit` go into the
        client's `extra_body`. The answer carries `promptward: {inference_id, receipt, release, version}`."""
        gateway: Gateway = state.gateway
        serving = await gateway.resolve(caller, await request.body())
        if serving.request.stream:
            events = await gateway.stream(serving)
            return Stream(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        answer, ours = await gateway.answer(serving)
        created = int(state.clock().timestamp())
        body = wire.completion(serving.inference, created, serving.request.model, answer, ours)
        return Response(body, status_code=200, headers={"x-promptward-receipt": ours["receipt"]})

    @get("/models", operation_id="list_models", opt={"permission": "serving:read"})
    async def models(self, state: State, caller: NamedDependency[Caller]) -> dict[str, Any]:
        """What is live, as models."""
        return {"object": "list", "data": await _models(state, caller)}

    @get("/models/{name:path}", operation_id="get_model", opt={"permission": "serving:read"})
    async def model(self, state: State, caller: NamedDependency[Caller], name: FromPath[str]) -> dict[str, Any]:
        """One of them."""
        wanted = decoded_name(str(name).lstrip("/"))
        found = await _models(state, caller)
        for model in found:
            if model["id"] == wanted:
                return model
        listed = ", ".join(model["id"] for model in found) or "nothing yet"
        raise NotFoundError.at("/model", f"{wanted!r} is not live; live: {listed}")


async def _models(state: State, caller: Caller) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{deployment.prompt}@{deployment.environment}",
            "object": "model",
            "created": 0,
            "owned_by": caller.project_id,
            "promptward": {"release": deployment.live.release, "version": deployment.live.version},
        }
        for deployment in await state.releases.deployments(caller.project_id)
    ]


router = Router("/", route_handlers=[LiveController, OpenAIController])
