"""The HTTP client that the official client sends through: httpx2's, without the work that no call to an endpoint needs.

httpx2 parses an address, merges headers, cookies and defaults, and asks about redirects and authentication again for every
request. The official client has set all headers by then; redirects are not followed, cookies not kept.
"""

from collections.abc import Iterable
from typing import Any

import httpx2

from app.llm.transport import SENT, Transport


class HTTP(httpx2.AsyncClient):
    """For one endpoint. Requests with a body of bytes and the headers that a transport sends go straight to it."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport=transport, follow_redirects=False, trust_env=False, timeout=None)
        self._straight = transport
        self._addresses: dict[str, httpx2.URL] = {}

    def build_request(self, method: str, url: httpx2.URL | str, **given: Any) -> httpx2.Request:
        content, headers = given.pop("content", None), given.pop("headers", None)
        given.pop("timeout", None)  # the transport has its own
        if not isinstance(content, bytes) or not isinstance(headers, list) or any(given.values()):
            return super().build_request(method, url, content=content, headers=headers, **given)
        return httpx2.Request(
            method, self._address(str(url)), headers=_sent(headers), stream=httpx2.ByteStream(content)
        )

    async def send(self, request: httpx2.Request, *, stream: bool = False, **given: Any) -> httpx2.Response:
        del given  # authentication is a header, and no redirect is followed
        response = await self._straight.handle_async_request(request)
        if not stream:
            await response.aread()
        return response

    def _address(self, url: str) -> httpx2.URL:
        """An endpoint has one or two."""
        known = self._addresses.get(url)
        if known is None:
            known = self._addresses[url] = httpx2.URL(url)
        return known


def _sent(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() in SENT]
