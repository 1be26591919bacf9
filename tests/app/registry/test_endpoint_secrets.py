"""An endpoint names where its key is; a key itself is refused, wherever it was put, and is not repeated."""

from typing import Any

import httpx2
import pytest

KEY = "sk-proj-0123456789abcdefghijklmn"
HERE = {"provider": "compatible", "model": "m", "base_url": "http://127.0.0.1:1/v1"}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"api_key": KEY}, "/api_key"),
        ({"api_key": {"env": KEY}}, "/api_key/env"),
        ({"api_key": {"env": KEY.replace("-", "_")}}, "/api_key/env"),
        ({"base_url": "http://me:hidden-word@127.0.0.1:1/v1"}, "/base_url"),
        ({"base_url": "http://hidden-word@127.0.0.1:1/v1"}, "/base_url"),
        ({"base_url": f"http://127.0.0.1:1/v1?q={KEY}"}, "/base_url"),
        ({"base_url": "http://127.0.0.1:1/v1?api-key=hidden-word"}, "/base_url"),
        ({"params": {"api_key": "hidden-word"}}, "/params/api_key"),
        ({"params": {"Authorization": "Bearer hidden-word"}}, "/params/Authorization"),
        ({"params": {"extra_headers": {"X-Api-Key": "hidden-word"}}}, "/params/extra_headers/X-Api-Key"),
        ({"params": {"extra_headers": {"X-Custom": f"Bearer {KEY}"}}}, "/params/extra_headers/X-Custom"),
        ({"params": {"stop": ["a", KEY]}}, "/params/stop/1"),
        ({"headers": {"Authorization": "hidden-word"}}, "/headers"),
    ],
)
async def test_a_key_in_an_endpoint_is_refused_with_the_fix(
    sqlite_client: httpx2.AsyncClient, change: dict[str, Any], pointer: str
) -> None:
    path = "/api/v1/endpoints/model/versions"
    answer = await sqlite_client.post(path, json={"content": {**HERE, **change}})
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["pointer"] == f"/content{pointer}"
    assert KEY not in answer.text
    assert "hidden-word" not in answer.text
    if pointer not in ("/headers", "/api_key/env"):
        assert "{env: NAME}" in error["detail"]
    assert (await sqlite_client.get("/api/v1/endpoints")).json()["items"] == []


async def test_ordinary_params_are_no_secrets(sqlite_client: httpx2.AsyncClient) -> None:
    params = {"max_tokens": 5, "stop": ["sk-", "token"], "eos_token": "</s>", "logit_bias": {"5": 1}, "user": "key-5"}
    content = {**HERE, "base_url": "http://127.0.0.1:1/v1?api-version=2", "params": params}
    answer = await sqlite_client.post("/api/v1/endpoints/model/versions", json={"content": content})
    assert answer.status_code == 201, answer.text
