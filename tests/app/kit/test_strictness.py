"""Nothing that was sent is overlooked without a word."""

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.strictness import repeated_key


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"a": 1, "a": 2}', ("/a", "a")),
        ('{"a" : 1, "b": {"c": 1, "c"\n:2}}', ("/b/c", "c")),
        ('{"a": [{"x": 1}, {"x": 1, "x": 1}]}', ("/a/1/x", "x")),
        ('{"a": 1, "\\u0061": 2}', ("/a", "a")),
        ('{"a": 1, "a": 2, "t": "\\u0022\\u003a"}', ("/a", "a")),
        ('{"a": {"a": 1}, "a": {"b": 1}}', ("/a", "a")),
        ('{"a/b": 1, "a/b": 2}', ("/a~1b", "a/b")),
        ('{"": 1, "": 2}', ("/", "")),
        ('{"text": "{\\"a\\": 1, \\"a\\": 2}"}', None),
        ('{"text": "\\"  :"}', None),
        ('{"a": 1, "A": 2}', None),
        ('[{"a": 1}, {"a": 1}]', None),
        ("[]", None),
        ("3", None),
        ("{", None),
        ("", None),
        ('{"a": 1e400, "n": 123456789012345678901234567890}', None),
    ],
)
def test_a_repeated_key_is_found_where_it_stands(body: str, found: tuple[str, str] | None) -> None:
    assert repeated_key(body.encode()) == found


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text('ab":\\/ é\n\t', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab":\\/ é', max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, st.booleans())
def test_what_has_no_repeated_key_is_never_refused(value: Any, ascii_only: bool) -> None:
    assert repeated_key(json.dumps(value, ensure_ascii=ascii_only).encode()) is None
    assert repeated_key(json.dumps(value, indent=1).encode()) is None


@given(st.dictionaries(st.text('ab":\\/ é', max_size=3), JSON, min_size=1, max_size=3), st.data(), st.booleans())
def test_a_key_that_is_written_once_more_is_always_found(value: dict[str, Any], data: Any, ascii_only: bool) -> None:
    key = data.draw(st.sampled_from(sorted(value)))
    again = f"{json.dumps(key, ensure_ascii=ascii_only)}: {json.dumps(data.draw(JSON), ensure_ascii=ascii_only)}"
    body = json.dumps(value, ensure_ascii=ascii_only)[:-1] + f", {again}}}"
    assert repeated_key(body.encode()) is not None


async def test_a_body_with_a_repeated_key_is_refused_and_changes_nothing(sqlite_client: httpx2.AsyncClient) -> None:
    body = '{"content": {"messages": [{"role": "user", "content": "Hi", "content": "Ho"}]}}'
    for headers in ({"Content-Type": "application/json"}, {}, {"Content-Type": "application/json; charset=utf-8"}):
        answer = await sqlite_client.post("/api/v1/prompts/greeting/versions", content=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
        [error] = answer.json()["errors"]
        assert error["pointer"] == "/content/messages/0/content"
        assert "'content'" in error["detail"]
    assert (await sqlite_client.get("/api/v1/prompts")).json()["items"] == []


async def test_a_large_body_is_looked_through_too(sqlite_client: httpx2.AsyncClient) -> None:
    items = [{"id": f"q{n}", "inputs": {"question": '{"a": 1} ' * 250}} for n in range(600)]
    whole = json.dumps({"content": {"items": items}})
    assert len(whole) > 1024 * 1024
    path, headers = "/api/v1/datasets/big/versions", {"Content-Type": "application/json"}
    twice = whole.replace('"id": "q500"', '"id": "q500", "id": "q501"')
    refused = await sqlite_client.post(path, content=twice, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/content/items/500/id")
    assert (await sqlite_client.post(path, content=whole, headers=headers)).status_code == 201


async def test_files_that_are_no_json_are_left_alone(sqlite_client: httpx2.AsyncClient) -> None:
    answer = await sqlite_client.post(
        "/api/v1/datasets/questions/versions",
        content='id,question\nq1,"{""a"": 1, ""a"": 2}"\n',
        headers={"Content-Type": "text/csv"},
        params={"message": "from a file"},
    )
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("method", "path", "unknown", "known"),
    [
        ("GET", "/api/v1/prompts?limt=3", "limt", "limit"),
        ("GET", "/api/v1/prompts?limit=3&order=name&Q=x", "order", "sort"),
        ("POST", "/api/v1/runs?limit=3", "limit", "wait"),
        ("POST", "/api/v1/runs/run_1/cancel?wait=3", "wait", "it takes none"),
        ("GET", "/api/v1/prompts/a/diff?form=1", "form", "from"),
        ("DELETE", "/api/v1/keys/x?force=true", "force", "it takes none"),
    ],
)
async def test_a_query_parameter_that_is_not_there_is_named_with_those_that_are(
    sqlite_client: httpx2.AsyncClient, method: str, path: str, unknown: str, known: str
) -> None:
    answer = await sqlite_client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert f"/{unknown}" in [error["pointer"] for error in answer.json()["errors"]]
    assert known in answer.json()["detail"]


async def test_probes_and_the_reference_may_be_asked_anything(sqlite_client: httpx2.AsyncClient) -> None:
    for path in ("/health/live?from=balancer", "/docs?theme=dark", "/docs/static/swagger-ui.css?v=2"):
        assert (await sqlite_client.get(path)).status_code == 200


async def test_every_documented_query_parameter_is_known(sqlite_client: httpx2.AsyncClient) -> None:
    paths = (await sqlite_client.get("/docs/openapi.json")).json()["paths"]
    asked = 0
    for path, operations in paths.items():
        for method, operation in operations.items():
            named = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]
            if named and not path.startswith("/docs"):
                url = path.replace("{", "").replace("}", "")
                answer = await sqlite_client.request(method, url, params=dict.fromkeys(named, "1"))
                assert "unknown query parameter" not in answer.text, (path, named)
                asked += 1
    assert asked > 30
