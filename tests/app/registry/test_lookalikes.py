"""Names and labels that read like others, or hide something, cannot be made by any way in."""

from urllib.parse import quote

import httpx2
import pytest

from tests.app.registry.api import items_of, made, path, post, prompt

DECEIVING = {
    "a bidi override": "gree\u202eting",
    "a bidi isolate": "gree\u2066ting",
    "a right-to-left mark": "greeting\u200f",
    "a zero-width space": "gree\u200bting",
    "a soft hyphen": "gree\u00adting",
    "a byte order mark": "\ufeffgreeting",
    "a cyrillic letter": "gr\u0435\u0435ting",
    "a greek letter": "greet\u03b9ng",
    "a full-width letter": "\uff47reeting",
    "a combining accent": "gree\u0301ting",
    "a mathematical letter": "\U0001d420reeting",
    "a division slash": "docs\u2215greeting",
    "a full-width dot": "greeting\uff0ev2",
    "a non-breaking space": "greeting\u00a0v2",
    "a line break": "greeting\n",
}


@pytest.fixture
async def client(sqlite_client: httpx2.AsyncClient) -> httpx2.AsyncClient:
    await made(sqlite_client, "prompts", "greeting", prompt())
    return sqlite_client


@pytest.mark.parametrize("name", DECEIVING.values(), ids=list(DECEIVING))
async def test_no_artifact_has_a_name_that_reads_like_another(client: httpx2.AsyncClient, name: str) -> None:
    answer = await post(client, "prompts", name, prompt())
    assert answer.status_code in (404, 422), answer.text
    synced = await client.post(
        "/api/v1/sync",
        json={"mode": "apply", "files": [{"path": f"prompts/{name}.prompt.yaml", "text": "messages: []"}]},
    )
    assert synced.status_code in (200, 400, 422)
    assert [item["name"] for item in await items_of(client, "/api/v1/prompts")] == ["greeting"]


@pytest.mark.parametrize("label", DECEIVING.values(), ids=list(DECEIVING))
async def test_no_label_reads_like_another(client: httpx2.AsyncClient, label: str) -> None:
    put = await client.put(path("prompts", "greeting", "labels", quote(label, safe="")), json={"version": 1})
    assert put.status_code in (404, 422), put.text
    given = await post(client, "prompts", "greeting", prompt("Ho"), labels=[label])
    assert (given.status_code, given.json()["errors"][0]["pointer"]) == (422, "/labels/0")
    assert (await client.get(path("prompts", "greeting", "labels"))).json() == []
    assert len(await items_of(client, path("prompts", "greeting", "versions"))) == 1
