"""Calls to model endpoints: one client per endpoint, one retry loop, one limiter."""

import asyncio
import importlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from app.llm.addresses import AddressRule
from app.llm.errors import EndpointError, ModelFaultError
from app.llm.limits import Limiter, LocalLimits, Turns
from app.llm.refusals import Refusals
from app.llm.retries import RetryPolicy
from app.llm.schemas import ChatRequest, Delta, Embedded, EndpointSpec, Reply, Usage
from app.llm.tokens import Tokens

if TYPE_CHECKING:
    from app.llm.client import Client

T = TypeVar("T")

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
MAX_POOLS = 64
DRAIN_LOOK_S = 0.02
MOST_REST_S = 1.0
_BYTES_PER_TOKEN = 4
_DEFAULT_ANSWER_TOKENS = 256


class _Pool:
    """An endpoint's client and its limits."""

    def __init__(self, client: "Client", turns: Turns, counts_tokens: bool) -> None:
        self.client = client
        self.turns = turns
        self.counts_tokens = counts_tokens
        self.refusals = Refusals()
        self.users = 0

    async def close(self) -> None:
        await self.turns.close()
        await self.client.close()


class LLM:
    """Calls of one process. `calls` counts attempts that were sent, `in_flight` those that wait for an answer now.

    `environ` is where the variables that endpoints name are looked up; nothing else of it is read. `limits` are those of this
    process unless given. Lives on one event loop.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        allow_hosts: Iterable[str] = (),
        *,
        allow_loopback: bool = False,
        retries: RetryPolicy | None = None,
        limits: Limiter | None = None,
    ) -> None:
        self._environ = environ
        self._limits = limits or LocalLimits()
        self._rule = AddressRule(allow_hosts, allow_loopback=allow_loopback)
        self._retries = retries or RetryPolicy()
        self._pools: dict[str, _Pool] = {}
        self.tokens = Tokens(environ)
        self.calls = 0
        self.in_flight = 0
        self._draining = False

    async def call(self, spec: EndpointSpec, request: ChatRequest) -> Reply:
        """One answer. Raises `EndpointError` when the endpoint gives none, `ModelFaultError` when the model will not."""
        body = msgspec.json.encode(body_of(spec, request))
        pool = await self._pool(spec)
        try:
            reserved = _estimated_tokens(body, request) if pool.counts_tokens else 0
            reply = await self._held(pool, reserved, lambda: pool.client.complete(body))
            self._release(pool)
            _settle(pool, reserved, reply.usage)
            return reply
        finally:
            pool.users -= 1

    async def embed(self, spec: EndpointSpec, texts: Sequence[str]) -> Embedded:
        """One vector per text, with the endpoint's params (`dimensions`). Raises `EndpointError`, also when there are too
        few."""
        body = msgspec.json.encode({"model": spec.model, "input": texts, "encoding_format": "float", **spec.params})
        pool = await self._pool(spec)
        try:
            reserved = len(body) // _BYTES_PER_TOKEN if pool.counts_tokens else 0
            try:
                found = await self._held(pool, reserved, lambda: pool.client.embed(body))
            except ModelFaultError as error:  # a vector is no answer that could be held against a model
                raise EndpointError("bad_request", error.detail) from error
            self._release(pool)
            _settle(pool, reserved, found.usage)
        finally:
            pool.users -= 1
        if len(found.vectors) != len(texts):
            detail = f"endpoint {spec.name!r} gave {len(found.vectors)} vectors for {len(texts)} texts"
            raise EndpointError("bad_response", detail)
        return found

    async def stream(self, spec: EndpointSpec, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The same answer piece by piece; the last piece carries the whole reply. Retried until the first piece came."""
        body = msgspec.json.encode(
            {**body_of(spec, request), "stream": True, "stream_options": {"include_usage": True}}
        )
        pool = await self._pool(spec)
        try:
            reserved = _estimated_tokens(body, request) if pool.counts_tokens else 0
            deltas: AsyncGenerator[Delta, None]

            async def begin() -> Delta:
                nonlocal deltas
                deltas = pool.client.stream(body)
                return await anext(deltas)

            delta = await self._held(pool, reserved, begin)
            try:
                while delta.reply is None:
                    yield delta
                    delta = await anext(deltas)
            finally:
                self._release(pool)
                await deltas.aclose()
            _settle(pool, reserved, delta.reply.usage)
            yield delta
        finally:
            pool.users -= 1

    async def exchange(
        self, spec: EndpointSpec, send: Callable[["Client"], Awaitable[bytes]], *, once: bool = False
    ) -> bytes:
        """What the endpoint answers to something else than a question. Retried as calls are, unless it must be sent `once`.

        Raises `EndpointError`.
        """
        pool = await self._pool(spec)

        async def sent() -> bytes:
            try:
                return await send(pool.client)
            except ModelFaultError as error:  # no model has been asked yet
                raise EndpointError("bad_request", error.detail) from error

        try:
            if once:
                return await sent()
            found = await self._held(pool, 0, sent)
            self._release(pool)
            return found
        finally:
            pool.users -= 1

    async def read(self, spec: EndpointSpec, status: int, body: bytes) -> Reply:
        """An answer that came in a file, as `call` would give or raise it; its latency means nothing."""
        pool = await self._pool(spec)
        try:
            return pool.client.read(status, body)
        finally:
            pool.users -= 1

    async def drain(self, seconds: float) -> None:
        """No further call begins; returns when those in flight have ended, or after so many seconds."""
        self._draining = True
        for pool in self._pools.values():
            pool.turns.hold()
        deadline = monotonic() + seconds
        while self.in_flight and monotonic() < deadline:  # noqa: ASYNC110 - only at the end of a process
            await asyncio.sleep(DRAIN_LOOK_S)

    async def close(self) -> None:
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.close()

    async def _held(self, pool: _Pool, reserved: int, send: Callable[[], Awaitable[T]]) -> T:
        """The result of `send`, with its slot still held. A call that waits for its next attempt holds no slot."""
        began, attempt = monotonic(), 0
        while True:
            attempt += 1
            await pool.turns.acquire(float(reserved))
            pool.refusals.begun()
            self.calls += 1
            self.in_flight += 1
            started = monotonic()
            try:
                result = await send()
            except EndpointError as error:
                pause = self._retries.pause_s(error, attempt, monotonic() - began)
                if error.kind == "rate_limit" and error.retryable and pool.refusals.refused():
                    pool.turns.refused(started, _rest_s(error, pause))
                self._release(pool)
                if pause is None:
                    raise _after(error, attempt, monotonic() - began) from error
            except BaseException:
                self._release(pool)
                raise
            else:
                pool.turns.succeeded(started)
                return result
            await asyncio.sleep(pause)

    def _release(self, pool: _Pool) -> None:
        self.in_flight -= 1
        pool.turns.release()

    async def _pool(self, spec: EndpointSpec) -> _Pool:
        pool = self._pools.get(spec.digest)
        if pool is None:
            if spec.provider == "replay":
                raise EndpointError(
                    "not_configured", f"endpoint {spec.name!r} replays recorded answers and calls nothing"
                )
            base_url, key = self._base_url(spec), self._key(spec)
            # Importing openai takes a good part of a second: the loop goes on meanwhile.
            client = await asyncio.to_thread(importlib.import_module, "app.llm.client")
            if len(self._pools) >= MAX_POOLS:
                await self._make_room()
            pool = self._pools.get(spec.digest)  # another call may have been faster
            if pool is None:
                made = client.Client(spec, base_url, key, self._rule)
                turns = self._limits.turns(spec)
                if self._draining:
                    turns.hold()
                pool = self._pools[spec.digest] = _Pool(made, turns, spec.limits.tpm is not None)
        pool.users += 1
        return pool

    async def _make_room(self) -> None:
        idle = next((digest for digest, pool in self._pools.items() if pool.users == 0), None)
        if idle is not None:
            await self._pools.pop(idle).close()

    def _base_url(self, spec: EndpointSpec) -> str:
        url = spec.base_url
        if spec.base_url_env is not None:
            url = self._variable(spec, spec.base_url_env, "its base_url")
        elif url is None and spec.provider == "openai":
            url = OPENAI_URL
        try:
            address = urlsplit(url or "")
            usable = address.scheme in ("http", "https") and bool(address.hostname) and (address.port or 1) > 0
        except ValueError:  # a port that is no number, an open bracket
            address, usable = urlsplit(""), False
        if not usable:
            place = f"the environment variable {spec.base_url_env}" if spec.base_url_env else "base_url"
            detail = f"endpoint {spec.name!r}: {place} must be an address such as https://host/v1"
            raise EndpointError("not_configured", detail)
        if address.username is not None or address.password is not None:
            detail = (
                f"endpoint {spec.name!r}: base_url holds a user or password; name the key's variable in api_key instead"
            )
            raise EndpointError("not_configured", detail)
        return url or ""

    def _key(self, spec: EndpointSpec) -> str | None:
        if spec.api_key_env is not None:
            return self._variable(spec, spec.api_key_env, "its key")
        return self._variable(spec, OPENAI_KEY, "its key") if spec.provider == "openai" else None

    def _variable(self, spec: EndpointSpec, name: str, what: str) -> str:
        value = self._environ.get(name, "").strip()
        if not value:
            detail = (
                f"endpoint {spec.name!r} takes {what} from the environment variable {name}, which is not set; set it"
            )
            raise EndpointError("not_configured", detail)
        return value


def body_of(spec: EndpointSpec, request: ChatRequest) -> dict[str, Any]:
    """What a call sends, as JSON."""
    body: dict[str, Any] = {"model": spec.model, "messages": request.messages, **request.params}
    if request.tools is not None:
        body["tools"] = request.tools
        if request.tool_choice is not None:
            body["tool_choice"] = request.tool_choice
        if request.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.response_format is not None:
        body["response_format"] = request.response_format
    return body


def _estimated_tokens(body: bytes, request: ChatRequest) -> int:
    """What a call may use, before it is known; corrected by what it did use."""
    most = request.params.get("max_completion_tokens") or request.params.get("max_tokens")
    return len(body) // _BYTES_PER_TOKEN + (most if isinstance(most, int) else _DEFAULT_ANSWER_TOKENS)


def _settle(pool: _Pool, reserved: int, usage: Usage | None) -> None:
    if pool.counts_tokens and usage is not None:
        pool.turns.settle(float(usage.prompt_tokens + usage.completion_tokens - reserved))


def _rest_s(error: EndpointError, pause: float | None) -> float:
    """How long the whole endpoint is left alone after a refusal: as long as it asks, else briefly."""
    if pause is None:
        return 0.0
    return pause if error.retry_after_s is not None else min(pause, MOST_REST_S)


def _after(error: EndpointError, attempts: int, seconds: float) -> EndpointError:
    """The error that callers see, saying how often it was tried."""
    if attempts == 1:
        return error
    detail = f"{error.detail} (tried {attempts} times in {seconds:.1f} s)"
    return EndpointError(
        error.kind, detail, retryable=error.retryable, status=error.upstream_status, retry_after_s=error.retry_after_s
    )


__all__ = ["LLM", "EndpointError", "ModelFaultError", "RetryPolicy"]
