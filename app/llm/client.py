"""One endpoint behind the official client. It is in charge of authentication, addresses and errors; msgspec reads answers.

Imported when the first call is made: openai is heavy.
"""

from collections.abc import AsyncGenerator
from time import perf_counter
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

import aiohttp
import httpx2
import msgspec
import openai

from app.llm import wire
from app.llm.addresses import AddressError, AddressRule
from app.llm.errors import EndpointError, EndpointErrorKind, ModelFaultError
from app.llm.http import HTTP
from app.llm.retries import retry_after
from app.llm.schemas import Delta, Embedded, EndpointSpec, Reply
from app.llm.transport import MAX_BODY, AnswerTooLargeError, Transport

PATH = "/chat/completions"
EMBEDDINGS_PATH = "/embeddings"
NO_KEY = "none"
_JSON = {"Content-Type": "application/json"}
_EVENTS = {**_JSON, "Accept": "text/event-stream"}
_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_TOO_LONG = ("maximum context length", "context_length_exceeded", "context length", "context window", "context size")


class Client:
    """`key` is none for an endpoint that needs none."""

    def __init__(self, spec: EndpointSpec, base_url: str, key: str | None, rule: AddressRule) -> None:
        address = urlsplit(base_url)
        port = f":{address.port}" if address.port else ""
        self._spec, self._key = spec, key
        self._place = f"endpoint {spec.name!r} at {address.scheme}://{address.hostname}{port}{address.path}"
        transport = Transport(
            address.hostname or "",
            rule,
            timeout_s=spec.timeout_s,
            most=spec.limits.max_concurrency,
            tls=address.scheme == "https",
        )
        authorization = {"Authorization": f"Bearer {key or NO_KEY}"}
        # Whole addresses: the official client would put a part to its base_url anew for every call.
        base = base_url.rstrip("/")
        self._completions, self._embeddings = base + PATH, base + EMBEDDINGS_PATH
        self._client = openai.AsyncOpenAI(
            api_key=key or NO_KEY,
            admin_api_key="",
            base_url=base_url,
            default_headers=authorization,
            max_retries=0,
            http_client=HTTP(transport),
        )

    async def complete(self, body: bytes) -> Reply:
        """One attempt. Raises `EndpointError` and `ModelFaultError`."""
        started = perf_counter()
        try:
            response = await self._client.post(
                self._completions, cast_to=httpx2.Response, content=body, options={"headers": _JSON}
            )
        except openai.APIError as error:
            self._fail(error)
        latency_ms = (perf_counter() - started) * 1000.0
        completion = self._decoded(response.content, response.headers.get("content-type", ""))
        reply = wire.reply(completion, latency_ms)
        if reply is None:
            raise self._bad_response(self._no_choice(completion), retryable=True)
        return self._checked(reply)

    async def stream(self, body: bytes) -> AsyncGenerator[Delta, None]:
        """One attempt, piece by piece; the last piece carries the whole reply."""
        started = perf_counter()
        ttft_ms: float | None = None
        gathered = wire.Gathered()
        done = False
        try:
            stream = await self._client.post(
                self._completions,
                cast_to=httpx2.Response,
                content=body,
                options={"headers": _EVENTS},
                stream=True,
                stream_cls=openai.AsyncStream[Any],
            )
            response = cast("httpx2.Response", stream)  # what `cast_to` asks for
            try:
                content_type = response.headers.get("content-type", "")
                if not content_type.startswith("text/event-stream"):
                    self._decoded(await response.aread(), content_type)
                    raise self._bad_response("answered a stream's request with one whole answer", retryable=False)
                async for line in response.aiter_lines():
                    data = line[5:].strip() if line.startswith("data:") else ""
                    if data == "[DONE]":
                        done = True
                        break
                    if not data:
                        continue
                    chunk = self._decoded(data.encode(), "")
                    if chunk.error is not None:
                        raise self._bad_response(f"broke the stream off: {self._said(chunk.error)}", retryable=True)
                    text = gathered.add(chunk)
                    if ttft_ms is None and gathered.begun:
                        ttft_ms = (perf_counter() - started) * 1000.0
                    if text:
                        yield Delta(text)
            finally:
                await response.aclose()
        except openai.APIError as error:
            self._fail(error)
        except httpx2.TransportError as error:
            raise self._unreached(error) from error
        reply = gathered.reply((perf_counter() - started) * 1000.0, ttft_ms)
        if reply is None or not (done or gathered.finish_reason):
            raise self._bad_response("cut the stream short", retryable=True)
        yield Delta("", self._checked(reply))

    async def embed(self, body: bytes) -> Embedded:
        """One attempt. Raises `EndpointError`."""
        try:
            response = await self._client.post(
                self._embeddings, cast_to=httpx2.Response, content=body, options={"headers": _JSON}
            )
        except openai.APIError as error:
            self._fail(error)
        try:
            found = wire.embedded(response.content)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._bad_response(f"answered with no embeddings ({error})", retryable=True) from error
        if isinstance(found, str):
            raise self._bad_response(self._scrubbed(found)[:300], retryable=False)
        return found

    async def exchange(self, method: str, path: str, body: bytes = b"") -> bytes:
        """One attempt at anything beside answers: what the endpoint sends back. Raises `EndpointError`."""
        try:
            if method == "GET":
                response = await self._client.get(path, cast_to=httpx2.Response)
            else:
                response = await self._client.post(
                    path, cast_to=httpx2.Response, content=body, options={"headers": _JSON}
                )
        except openai.APIError as error:
            self._fail(error)
        return response.content

    async def upload(self, name: str, data: bytes) -> bytes:
        """One attempt at sending a file for a batch."""
        try:
            response = await self._client.post(
                "/files",
                cast_to=httpx2.Response,
                body={"purpose": "batch"},
                files=[("file", (name, data, "application/jsonl"))],
                options={"headers": {"Content-Type": "multipart/form-data"}},
            )
        except openai.APIError as error:
            self._fail(error)
        return response.content

    def read(self, status: int, body: bytes) -> Reply:
        """An answer that came by another way than a call, as that of a call: the same errors, and no latency."""
        if status != 200:
            raise self._refused(self._status_error(status, body))
        completion = self._decoded(body, "")
        reply = wire.reply(completion, 0.0)
        if reply is None:
            raise self._bad_response(self._no_choice(completion), retryable=True)
        return self._checked(reply)

    async def close(self) -> None:
        await self._client.close()

    def _status_error(self, status: int, body: bytes) -> openai.APIStatusError:
        try:
            said = msgspec.json.decode(body)
        except msgspec.MsgspecError:
            said = body.decode("utf-8", "replace")
        said = said.get("error", said) if isinstance(said, dict) else said
        response = httpx2.Response(status, request=httpx2.Request("POST", self._client.base_url))
        return openai.APIStatusError(str(said), response=response, body=said)

    def _decoded(self, data: bytes, content_type: str) -> wire.Completion:
        try:
            return wire.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if "html" in content_type or data.lstrip()[:1] == b"<":
                fix = "base_url must be the API's, which often ends in /v1"
                raise self._bad_response(f"answered with HTML where JSON is due; {fix}", retryable=False) from error
            what = "nothing" if not data.strip() else "JSON that is cut short or broken"
            raise self._bad_response(f"answered with {what} ({error})", retryable=True) from error

    def _checked(self, reply: Reply) -> Reply:
        if reply.finish_reason == "content_filter":
            raise ModelFaultError("content_filter", f"{self._place}: the model's content filter withheld the answer")
        return reply

    def _no_choice(self, completion: wire.Completion) -> str:
        if completion.error is not None:
            return f"answered 200 with an error: {self._said(completion.error)}"
        return "answered without a choice (`choices` is empty)"

    def _bad_response(self, what: str, *, retryable: bool) -> EndpointError:
        return EndpointError("bad_response", f"{self._place} {what}", retryable=retryable, status=200)

    def _fail(self, error: openai.APIError) -> NoReturn:
        if isinstance(error, openai.APIStatusError):
            raise self._refused(error) from error
        raise self._unreached(error) from error

    def _refused(self, error: openai.APIStatusError) -> EndpointError | ModelFaultError:
        """The error of an HTTP status that is not 2xx."""
        status, headers = error.status_code, error.response.headers
        body = error.body if isinstance(error.body, dict) else {}
        code, said = str(body.get("code") or body.get("type") or ""), self._said(error.body)
        if status < 400:
            target = urlsplit(headers.get("location", "")).hostname or "another path"
            detail = f"redirects ({status}) to {target}; redirects are not followed: set base_url to the final address"
            return self._error("bad_response", detail, status)
        if status in (401, 403):
            return self._error("auth", f"refused the key ({status}): {said}{self._key_fix()}", status)
        if status == 404:
            fix = f"is the model {self._spec.model!r} right, and is base_url the API's (it often ends in /v1)?"
            return self._error("not_found", f"answered 404: {said}; {fix}", status)
        if status == 429:
            retryable = code not in _QUOTA
            error_ = self._error("rate_limit", f"refuses calls for now (429): {said}", status, retryable=retryable)
            error_.retry_after_s = retry_after(headers)
            return error_
        if status in (408, 409, 425) or status >= 500:
            error_ = self._error("server", f"answered {status}: {said}", status, retryable=True)
            error_.retry_after_s = retry_after(headers)
            return error_
        if code == "content_filter":
            return ModelFaultError("content_filter", f"{self._place}: the content filter refused the prompt: {said}")
        if any(sign in f"{code} {said}".lower() for sign in _TOO_LONG):
            return ModelFaultError(
                "context_length", f"{self._place}: the prompt does not fit the model's window: {said}"
            )
        return self._error("bad_request", f"refused the request ({status}): {said}; see params and tools", status)

    def _unreached(self, error: Exception) -> EndpointError:
        """The error of a call that got no whole answer."""
        causes = _causes(error)
        for cause in causes:
            if isinstance(cause, AddressError):
                return self._error("not_configured", f"is not called: {cause.detail}")
            if isinstance(cause, AnswerTooLargeError):
                return self._error("bad_response", f"sent more than {MAX_BODY // 1024 // 1024} MiB")
            if isinstance(cause, TimeoutError):
                detail = f"gave no answer within {self._spec.timeout_s:g} s; raise timeout_s if it is only slow"
                return self._error("timeout", detail, retryable=True)
            if isinstance(cause, aiohttp.ClientConnectorDNSError):
                return self._error("connection", "cannot be found: its host name does not resolve", retryable=True)
            if isinstance(cause, aiohttp.InvalidURL):
                return self._error("not_configured", f"has an address that is none: {cause}; see base_url")
            if isinstance(cause, aiohttp.ClientConnectorCertificateError):
                return self._error("connection", f"has no certificate that can be trusted: {cause.certificate_error}")
            if isinstance(cause, aiohttp.ClientConnectorSSLError):
                return self._error("connection", "does not speak TLS; does base_url begin with http:// instead?")
            if isinstance(cause, ConnectionRefusedError):
                return self._error("connection", "refuses connections; is the server running?", retryable=True)
            if isinstance(cause, aiohttp.ClientPayloadError):
                return self._error("bad_response", "cut its answer short", retryable=True)
            if isinstance(cause, aiohttp.ServerDisconnectedError):
                return self._error("connection", "closed the connection without an answer", retryable=True)
        return self._error("connection", f"cannot be reached: {self._scrubbed(str(causes[-1]))}", retryable=True)

    def _error(
        self, kind: EndpointErrorKind, what: str, status: int | None = None, *, retryable: bool = False
    ) -> EndpointError:
        return EndpointError(kind, f"{self._place} {what}", retryable=retryable, status=status)

    def _key_fix(self) -> str:
        if self._spec.api_key_env:
            return f"; check the environment variable {self._spec.api_key_env}"
        if self._key:
            return "; check the environment variable OPENAI_API_KEY"
        return "; it wants a key: name the environment variable that holds it in the endpoint's api_key"

    def _said(self, body: Any) -> str:
        """What the endpoint itself says, short and without the key."""
        said = body.get("message", body) if isinstance(body, dict) else body
        text = " ".join(str(said).split()) if said else "no reason given"
        if text.startswith("<"):
            text = "an HTML page"
        return self._scrubbed(text)[:300]  # in this order: a cut key would not be found

    def _scrubbed(self, text: str) -> str:
        return text.replace(self._key, "********") if self._key else text


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it came from, down to the system's."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        inner = getattr(current, "os_error", None)
        current = inner if isinstance(inner, BaseException) else current.__cause__
    return found
