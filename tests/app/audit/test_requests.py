"""What is asked wrongly is answered with 400 or 422 that names the field, on both databases, and never with 500."""

import base64
import json
from typing import Any

import httpx2
import pytest

from app.audit.chain import START
from tests.conftest import on_both

ASK = {"content": {"messages": [{"role": "user", "content": "hello"}]}}


def cursor(*key: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


@on_both
@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("audit", "cursor", cursor(10**30)),
        ("audit", "cursor", cursor(-(10**19))),
        ("audit", "cursor", cursor("1")),
        ("audit", "cursor", cursor(True)),
        ("keys", "cursor", cursor("a\0")),
        ("audit", "since", "0001-01-01T00:00:00+14:00"),
        ("audit", "until", "9999-12-31T23:59:59-14:00"),
        ("audit", "since", "2027-01-31T00:00:00"),
        ("audit", "subject", "\0"),
        ("audit", "actor", "a\0"),
        ("audit", "action", "label\0"),
        ("audit", "limit", "0"),
        ("audit/export", "since_no", "0"),
        ("audit/export", "since_no", str(10**30)),
        ("audit/verify", "head", "nonsense"),
        ("audit/verify", "head", f"-1:{START}"),
        ("audit/verify", "head", f"²:{START}"),
        ("audit/verify", "head", f"{10**30}:{START}"),
        ("audit/verify", "head", START),
    ],
)
async def test_a_bad_parameter_is_400_and_named(client: httpx2.AsyncClient, path: str, name: str, value: str) -> None:
    answer = await client.get(f"/api/v1/{path}", params={name: value})
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["pointer"].endswith(name)


@on_both
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2027-01-31T00:00:00+14:00"])
async def test_any_time_that_there_is_may_be_asked_for(client: httpx2.AsyncClient, moment: str) -> None:
    for name in ("since", "until"):
        assert (await client.get("/api/v1/audit", params={name: moment})).status_code == 200


@on_both
async def test_a_nul_character_is_422_wherever_people_write(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/api/v1/prompts/ask/versions", json=ASK)).status_code == 201
    prompt, label = "/api/v1/prompts/ask", "/api/v1/prompts/ask/labels/tried"
    assert (await client.put(label, json={"version": 1})).status_code == 200
    sync = {"mode": "plan", "files": []}
    requests = [
        ("POST", f"{prompt}/versions", {**ASK, "message": "a\0"}, "/message"),
        ("PUT", label, {"version": 1, "reason": "\0"}, "/reason"),
        ("DELETE", label, {"reason": "a\0b"}, "/reason"),
        ("POST", "/api/v1/sync", {**sync, "message": "\0"}, "/message"),
        ("POST", "/api/v1/sync", {**sync, "commit": "\0"}, "/commit"),
        ("POST", "/api/v1/keys", {"role": "ci", "name": "a\0"}, "/name"),
    ]
    for method, path, body, pointer in requests:
        answer = await client.request(method, path, json=body)
        assert answer.status_code == 422, (path, answer.text)
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert len((await client.get("/api/v1/audit")).json()["items"]) == 2


@on_both
async def test_filters_tell_upper_from_lower_case_and_take_every_character_as_itself(
    client: httpx2.AsyncClient,
) -> None:
    for name in ("ask", "a_k"):
        assert (await client.post(f"/api/v1/prompts/{name}/versions", json=ASK)).status_code == 201

    async def numbers(**params: str) -> list[int]:
        return [e["no"] for e in (await client.get("/api/v1/audit", params=params)).json()["items"]]

    assert await numbers(subject="ask") == [1]
    assert await numbers(subject="ASK") == []
    assert await numbers(subject="a_k") == [2]
    assert await numbers(subject="%") == []
    assert await numbers(subject="") == [2, 1]
    assert await numbers(actor="local (") == [2, 1]
    assert await numbers(actor="Local") == []
    assert await numbers(action="prompt") == [2, 1]
    assert await numbers(action="Prompt") == []
    assert await numbers(action="prompt.versioned") == [2, 1]
    assert await numbers(action="versioned") == []
