"""Short forms of the calls that these tests make again and again."""

from typing import Any
from urllib.parse import quote

import httpx2

ENDPOINT = {"provider": "openai", "model": "gpt-test"}


def prompt(text: str = "Hello", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def path(plural: str, name: str, *rest: str) -> str:
    return "/".join(["/api/v1", plural, quote(name, safe=""), *rest])


async def post(
    client: httpx2.AsyncClient, plural: str, name: str, content: dict[str, Any], **more: Any
) -> httpx2.Response:
    return await client.post(path(plural, name, "versions"), json={"content": content, **more})


async def made(
    client: httpx2.AsyncClient, plural: str, name: str, content: dict[str, Any], **more: Any
) -> dict[str, Any]:
    answer = await post(client, plural, name, content, **more)
    assert answer.status_code in (200, 201), answer.text
    body: dict[str, Any] = answer.json()
    return body


async def got(client: httpx2.AsyncClient, url: str, **params: Any) -> Any:
    answer = await client.get(url, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def items_of(client: httpx2.AsyncClient, url: str, **params: Any) -> list[Any]:
    """All items of a list, page after page."""
    found: list[Any] = []
    while True:
        page = await got(client, url, **params)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        params = {**params, "cursor": page["next_cursor"]}


def problem(answer: httpx2.Response) -> tuple[int, str, list[str]]:
    """Status, slug and the pointers of the bad fields."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    return (
        answer.status_code,
        body["type"].removeprefix("urn:promptward:"),
        [e["pointer"] for e in body.get("errors", [])],
    )
