"""One request and its answer: addresses, keys, retries, errors. What the groups of methods stand on."""

import asyncio
import os
import random
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec

from promptward.errors import ConnectionFailedError, PromptwardError, error_of

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_TIMEOUT_S = 60.0
LONG_S = 600.0
"""How much longer than usual what computes over a whole run or project may take."""
RETRIES = 2
RETRY_AFTER_S = 0.2

Params = Mapping[str, str | int | float | bool | list[str] | None]

_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class Core:
    """Talks to one service with one key."""

    def __init__(
        self,
        url: str | None,
        api_key: str | None,
        transport: httpx2.AsyncBaseTransport | None,
        timeout: float,
    ) -> None:
        self.url = _checked(url or os.environ.get("PROMPTWARD_URL") or DEFAULT_URL)
        key = (api_key or os.environ.get("PROMPTWARD_API_KEY") or "").strip()
        if not (key.isascii() and key.isprintable()):
            raise PromptwardError("the API key holds characters that no key has", slug="unauthorized", status=401)
        headers = {"user-agent": "promptward-client"} | ({"authorization": f"Bearer {key}"} if key else {})
        self._http = httpx2.AsyncClient(
            base_url=self.url, headers=headers, transport=transport, timeout=timeout, follow_redirects=False
        )
        self._timeout = timeout

    async def aclose(self) -> None:
        await self._http.aclose()

    async def json(
        self, method: str, path: str, *, body: Any = None, params: Params | None = None, extra_s: float = 0.0
    ) -> Any:
        """The decoded answer; None when it has no body. `extra_s` is how much longer than usual it may take."""
        content = None if body is None else msgspec.json.encode(body)
        response = await self.send(
            method, path, content=content, media_type="application/json", params=params, extra_s=extra_s
        )
        return self.decoded(response)

    def decoded(self, response: httpx2.Response) -> Any:
        """The JSON of a successful answer; None when it has no body."""
        if not response.content:
            return None
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError:
            raise error_of(response) from None

    async def pages(self, path: str, params: Params, limit: int) -> AsyncIterator[Any]:
        """All items of a list, fetched `limit` at a time."""
        cursor = None
        while True:
            page = await self.json("GET", path, params={**params, "limit": limit, "cursor": cursor})
            for item in page["items"]:
                yield item
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    async def send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        media_type: str = "application/json",
        params: Params | None = None,
        extra_s: float = 0.0,
    ) -> httpx2.Response:
        """A successful response, read to its end. Raises PromptwardError for any other.

        A request that broke off is made again: each is idempotent, a POST through its `Idempotency-Key`. One that
        timed out is not: whoever waits longer says so with the client's `timeout`.
        """
        request = self._request(method, path, content, media_type, params, self._timeout + extra_s)
        for attempt in range(RETRIES + 1):
            try:
                response = await self._http.send(request)
            except httpx2.TransportError as error:
                failed = self._failed(error)
                if attempt == RETRIES or (isinstance(error, httpx2.TimeoutException) and not _unsent(error)):
                    raise failed from error
                await _pause(attempt)
            else:
                if not response.is_success:
                    raise error_of(response)
                return response
        raise AssertionError("unreachable: the last attempt returns or raises")

    @asynccontextmanager
    async def events(self, method: str, path: str, *, body: Any = None) -> AsyncIterator[httpx2.EventSource]:
        """Server-sent events as they come; a stream may be silent for as long as it likes."""
        content = None if body is None else msgspec.json.encode(body)
        request = self._request(method, path, content, "application/json", None, self._timeout)
        request.headers["accept"] = "text/event-stream"
        request.extensions["timeout"] = {**request.extensions["timeout"], "read": None}
        async with self._streaming(request) as response:
            yield httpx2.EventSource(response, max_event_size=None)

    @asynccontextmanager
    async def streamed(self, path: str, params: Params) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of a successful answer, piece by piece."""
        request = self._request("GET", path, None, "", params, self._timeout + LONG_S)
        async with self._streaming(request) as response:
            yield response.aiter_bytes()

    @asynccontextmanager
    async def _streaming(self, request: httpx2.Request) -> AsyncIterator[httpx2.Response]:
        """A successful response, not yet read. Made again only when the connection could not be opened."""
        response = await self._opened(request)
        try:
            if not response.is_success:
                await response.aread()
                raise error_of(response)
            yield response
        except httpx2.TransportError as error:
            raise self._failed(error) from error
        finally:
            await response.aclose()

    async def _opened(self, request: httpx2.Request) -> httpx2.Response:
        for attempt in range(RETRIES + 1):
            try:
                return await self._http.send(request, stream=True)
            except httpx2.TransportError as error:
                if attempt == RETRIES or not _unsent(error):
                    raise self._failed(error) from error
                await _pause(attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _request(
        self, method: str, path: str, content: bytes | None, media_type: str, params: Params | None, timeout: float
    ) -> httpx2.Request:
        given = {
            name: value if isinstance(value, list) else _text(value)
            for name, value in (params or {}).items()
            if value is not None
        }
        headers = {"content-type": media_type} if content is not None else {}
        if method == "POST":
            headers["idempotency-key"] = str(uuid.uuid4())
        return self._http.build_request(
            method, path, content=content, params=given or None, headers=headers, timeout=timeout
        )

    def _failed(self, error: httpx2.TransportError) -> ConnectionFailedError:
        if isinstance(error, httpx2.TimeoutException) and not _unsent(error):
            return ConnectionFailedError(f"{self.url} did not answer in time ({type(error).__name__})")
        if _unsent(error):
            return ConnectionFailedError(
                f"{self.url} cannot be reached ({error or type(error).__name__}); is it running?"
            )
        return ConnectionFailedError(f"the connection to {self.url} broke ({error or type(error).__name__})")


def _checked(url: str) -> str:
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, UnicodeError):
        parsed = httpx2.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        detail = f"{url!r} is not an address; one looks like https://promptward.example.org"
        raise PromptwardError(detail, slug="bad-request", status=400)
    return url.rstrip("/")


async def _pause(attempt: int) -> None:
    await asyncio.sleep(RETRY_AFTER_S * 2**attempt * random.uniform(0.5, 1.5))


def _unsent(error: httpx2.TransportError) -> bool:
    return isinstance(error, _NEVER_SENT)


def _text(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
