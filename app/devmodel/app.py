"""The development model as a plain ASGI application.

No framework: the demo makes thousands of calls on two shared cores, and this server should be the least of its costs.
"""

import asyncio
import hmac
import time
from collections import Counter
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl

from app.devmodel import responses, wire
from app.devmodel.batches import Batches
from app.devmodel.chat import complete
from app.devmodel.embeddings import DIMENSIONS, base64_floats, embed
from app.devmodel.errors import RequestError
from app.devmodel.exchange import JSON, Exchange, Receive, Scope, Send
from app.devmodel.faults import Chooser, Conditions, RateLimit, conditions
from app.devmodel.options import Options

_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
_HTML = (b"content-type", b"text/html; charset=utf-8")
_PAGE = b"<!doctype html><html><head><title>Welcome</title></head><body><h1>It works</h1></body></html>"
_CHAT, _EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
_BATCHED = ("/v1/files", "/v1/batches")
_STARTED = int(time.time())


def create_devmodel(options: Options | None = None, **fields: Any) -> "DevModel":
    """The ASGI application; `fields` are those of `Options`. Raises ValueError for options that make no sense."""
    return DevModel(options or Options(**fields))


class DevModel:
    """ASGI application with its counters. `close` releases every request that is waiting, so that a server can stop."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._conditions = options.conditions()
        self._chooser = Chooser(options.seed)
        self._limit = RateLimit(options.rate_limit) if options.rate_limit else None
        self._waiting: set[asyncio.Future[None]] = set()
        self._closed = False
        self._in_flight = 0
        self._batches = Batches(options.batch_polls, options.batch_fault, self._batched)
        self.reset()

    def reset(self) -> None:
        """Set the counters back; calls in flight stay counted as such."""
        self._calls = 0
        self._most_in_flight = self._in_flight
        self._faults: Counter[str] = Counter()
        self._by_model: Counter[str] = Counter()

    def stats(self) -> dict[str, Any]:
        """Counters since the start or the last reset."""
        return {
            "calls": self._calls,
            "in_flight": self._in_flight,
            "most_in_flight": self._most_in_flight,
            "faults": dict(sorted(self._faults.items())),
            "by_model": dict(sorted(self._by_model.items())),
            "batches": self._batches.count(),
        }

    def close(self) -> None:
        """Let waiting requests go on at once and stalled ones end."""
        self._closed = True
        for one in self._waiting:
            _wake(one)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"the development model speaks HTTP only, not {scope['type']}")
        exchange = Exchange(scope, receive, send)
        method, path = scope["method"], scope["path"].rstrip("/") or "/"
        try:
            if method == "POST" and path in (_CHAT, _EMBEDDINGS):
                await self._counted(exchange, path)
            elif path.startswith(_BATCHED):
                self._authorise(exchange)
                query = dict(parse_qsl(scope["query_string"].decode()))
                kind = exchange.headers.get(b"content-type", b"").decode()
                body = await exchange.body() if method == "POST" else b""
                await exchange.respond(200, self._batches.page(method, path, query, kind, body))
            else:
                await exchange.respond(200, wire.encode(self._page(method, path)))
        except RequestError as error:
            await exchange.respond(error.status, wire.encode(error.body), [JSON, *error.headers])

    def _page(self, method: str, path: str) -> dict[str, Any]:
        """What GET, and DELETE /stats, answer."""
        if path == "/stats" and method in ("GET", "DELETE"):
            if method == "DELETE":
                self.reset()
            return self.stats()
        if method == "GET":
            if path == "/":
                return wire.about()
            if path == "/v1/models":
                return {"object": "list", "data": wire.models(_STARTED)}
            if path.startswith("/v1/models/"):
                name = path.removeprefix("/v1/models/")
                for one in wire.models(_STARTED):
                    if one["id"] == name:
                        return one
                raise _unknown_model(name)
        if path in ("/", "/stats", "/v1/models", _CHAT, _EMBEDDINGS):
            raise RequestError(f"{method} is not allowed on {path}", status=405, code="method_not_allowed")
        raise RequestError(f"there is no {path} here", status=404, code="unknown_url")

    async def _counted(self, exchange: Exchange, path: str) -> None:
        self._calls += 1
        self._in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight)
        try:
            body = await exchange.body()
            self._authorise(exchange)
            await (self._chat if path == _CHAT else self._embeddings)(exchange, body)
        finally:
            self._in_flight -= 1

    def _authorise(self, exchange: Exchange) -> None:
        key = self._options.api_key
        given = exchange.headers.get(b"authorization", b"")
        if key is not None and not hmac.compare_digest(given, f"Bearer {key}".encode()):
            raise RequestError("Incorrect API key provided.", status=401)

    async def _chat(self, exchange: Exchange, body: bytes) -> None:
        request = wire.chat_request(body)
        model, asked = conditions(request.model, exchange.headers, self._conditions)
        if model not in wire.CHAT_MODELS:
            raise _unknown_model(model)
        self._by_model[model] += 1
        kind = await self._strike(exchange, body, asked)
        identity = f"chatcmpl-dev{blake2b(body, digest_size=12).hexdigest()}"
        said = (identity, model, wire.prompt_tokens(request), complete(request, model))
        if request.stream:
            usage = request.stream_options is not None and request.stream_options.include_usage
            await self._stream(exchange, list(responses.events(*said, include_usage=usage)), kind, asked)
        else:
            await self._answer(exchange, responses.completion(*said), kind)

    def _batched(self, body: bytes) -> bytes:
        """The answer to a line of a batch. It is no call, and suffers no faults but the batch's own."""
        request = wire.chat_request(body)
        model, _ = conditions(request.model, {}, self._conditions)
        if model not in wire.CHAT_MODELS:
            raise _unknown_model(model)
        identity = f"chatcmpl-dev{blake2b(body, digest_size=12).hexdigest()}"
        return responses.completion(identity, model, wire.prompt_tokens(request), complete(request, model))

    async def _embeddings(self, exchange: Exchange, body: bytes) -> None:
        request = wire.embedding_request(body)
        model, asked = conditions(request.model, exchange.headers, self._conditions)
        if model not in wire.EMBEDDING_MODELS:
            raise _unknown_model(model)
        self._by_model[model] += 1
        kind = await self._strike(exchange, body, asked)
        texts = request.texts()
        vectors = [embed(one, request.dimensions or DIMENSIONS) for one in texts]
        coded = [base64_floats(one) for one in vectors] if request.encoding_format == "base64" else vectors
        count = sum(map(wire.tokens, texts))
        answer = {
            "object": "list",
            "model": model,
            "data": [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(coded)],
            "usage": {"prompt_tokens": count, "total_tokens": count},
            "note": wire.NOT_A_MODEL,
        }
        await self._answer(exchange, wire.encode(answer), kind)

    async def _strike(self, exchange: Exchange, body: bytes, asked: Conditions) -> str | None:
        """Apply rate limit, latency and faults: the kind of fault that the answer has to suffer, or None.

        Raises RequestError where the fault is a status or the rate limit is reached.
        """
        if self._limit is not None and (wait := self._limit.wait_s()) > 0:
            self._faults["rate_limit"] += 1
            raise RequestError(
                f"Rate limit reached for the development model. Try again in {wait:.3f}s.",
                status=429,
                retry_after_s=wait,
            )
        if asked.latency_ms:
            await self._sleep(asked.latency_ms / 1000)
        kind = self._chooser.choose(asked.faults, body) if asked.faults else None
        if kind is not None:
            self._faults[kind] += 1
            if kind.isdigit():
                raise RequestError(
                    f"The development model was told to fail with {kind}.",
                    status=int(kind),
                    retry_after_s=asked.retry_after_s if kind == "429" else None,
                )
        return kind

    async def _answer(self, exchange: Exchange, body: bytes, kind: str | None) -> None:
        """Send a JSON answer, or what a fault leaves of it."""
        if kind is None:
            await exchange.respond(200, body)
        elif kind == "stream_error":
            raise RequestError("The development model was told to fail.", status=500)
        elif kind == "truncated":
            await exchange.respond(200, body[: len(body) // 2])
        elif kind == "html":
            await exchange.respond(200, _PAGE, [_HTML])
        elif kind == "empty":
            await exchange.respond(200, b"")
        elif kind == "disconnect":
            await exchange.cut_off()
        else:
            if kind == "stall":
                await exchange.start(200, [JSON, (b"content-length", b"%d" % len(body))])
                await exchange.part(body[: len(body) // 2])
            await self._hang(exchange)

    async def _stream(self, exchange: Exchange, chunks: list[bytes], kind: str | None, asked: Conditions) -> None:
        """Send a stream; a fault lets half of it through."""
        if kind in ("html", "timeout"):
            await self._answer(exchange, b"", kind)
            return
        await exchange.start(200, [_EVENTS, (b"cache-control", b"no-store")])
        sent = len(chunks) if kind is None else 0 if kind == "empty" else len(chunks) // 2
        for place, chunk in enumerate(chunks[:sent]):
            if place and asked.chunk_ms:
                await self._sleep(asked.chunk_ms / 1000)
            await exchange.part(chunk)
        if kind == "stall":
            await self._hang(exchange)
        elif kind == "disconnect":
            await exchange.cut_off()
        elif kind == "truncated":
            await exchange.part(chunks[sent][: len(chunks[sent]) // 2], last=True)
        elif kind == "stream_error":
            error = RequestError("The development model was told to fail.", status=500)
            await exchange.part(b"data: " + wire.encode(error.body) + b"\n\n", last=True)
        else:
            await exchange.part(b"", last=True)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless the server closes."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        awake: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _wake, awake)
        self._waiting.add(awake)
        try:
            await awake
        finally:
            timer.cancel()
            self._waiting.discard(awake)

    async def _hang(self, exchange: Exchange) -> None:
        """Send nothing more until the caller gives up or the server closes; then the connection is cut."""
        gone = asyncio.ensure_future(exchange.gone())
        released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(released)
        try:
            if not self._closed:
                await asyncio.wait((gone, released), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(released)
            caller_left = gone.done()
            gone.cancel()
        if not caller_left:
            await exchange.cut_off()


def _wake(awake: "asyncio.Future[None]") -> None:
    if not awake.done():
        awake.set_result(None)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _unknown_model(name: str) -> RequestError:
    known = ", ".join(wire.CHAT_MODELS | wire.EMBEDDING_MODELS)
    return RequestError(
        f"The model `{name}` does not exist here; there are {known}.", status=404, code="model_not_found", param="model"
    )
