"""Environments: labels that move by a release alone, and the rules of how."""

from typing import Any

import httpx2
import pytest

from app.kit.asgi import KeepEncodedSlash
from tests.conftest import client_of

PROMPT = "messages: [{role: user, content: hello}]\n"
SUITE = "dataset: qa\nscorers: [{use: exact_match}]\n"
YAML = """
gate_policies:
  strict: {rules: [{metric: exact_match, floor: 0.5}]}
environments:
  staging:
    prompts: {ask: {suites: [qa], policy: strict}}
  production:
    after: staging
    approvals: {role: approver, count: 2}
    rollout: {steps: [0.05, {share: 0.5}]}
    prompts: {ask: {suites: [qa], policy: strict}}
"""
FILES = {
    "promptward.yaml": YAML,
    "prompts/ask.prompt.yaml": PROMPT,
    "datasets/qa.jsonl": '{"id": "1", "inputs": {}, "reference": "x"}\n',
    "datasets/qa.suite.yaml": SUITE,
}


async def sync(client: httpx2.AsyncClient, mode: str = "apply", code: int = 200, **changed: str) -> dict[str, Any]:
    files = [{"path": path, "text": text} for path, text in {**FILES, **changed}.items()]
    answer = await client.post("/api/v1/sync", json={"mode": mode, "files": files})
    assert answer.status_code == code, answer.text
    return dict(answer.json())


async def read(client: httpx2.AsyncClient, name: str = "production", code: int = 200) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/environments/{name}")
    assert answer.status_code == code, answer.text
    return dict(answer.json())


async def put(client: httpx2.AsyncClient, rules: Any, code: int = 200, name: str = "production", **headers: str) -> Any:
    answer = await client.put(f"/api/v1/environments/{name}", json=rules, headers=headers)
    assert answer.status_code == code, answer.text
    return answer.json()


async def test_production_exists_from_the_start_and_asks_for_nothing_that_could_pass(
    client: httpx2.AsyncClient,
) -> None:
    assert (await read(client))["prompts"] == {}
    assert [e["name"] for e in (await client.get("/api/v1/environments")).json()["items"]] == ["production"]
    assert "production" in (await read(client, "staging", 404))["detail"]


async def test_sync_declares_environments_and_protects_their_labels(client: httpx2.AsyncClient) -> None:
    planned = await sync(client, "plan")
    assert planned["environment_changes"] == [
        {"name": "staging", "action": "create"},
        {"name": "production", "action": "create"},
    ]
    assert (await read(client))["updated_at"] is None
    await sync(client)
    production = await read(client)
    assert (production["after"], production["approvals"]) == ("staging", 2)
    assert production["rollout"] == {"steps": [0.05, 0.5]}
    again = await sync(client)
    assert {change["action"] for change in again["environment_changes"]} == {"unchanged"}
    for label in ("staging", "production"):
        answer = await client.put(f"/api/v1/prompts/ask/labels/{label}", json={"version": 1})
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:promptward:label-protected")


async def test_every_refusal_names_the_missing_evidence_and_how_to_get_it(client: httpx2.AsyncClient) -> None:
    await sync(client)
    body = {"content": {"messages": [{"role": "user", "content": "other"}]}, "labels": ["production"]}
    refused = [
        await client.put("/api/v1/prompts/ask/labels/production", json={"version": 1}),
        await client.delete("/api/v1/prompts/ask/labels/production"),
        await client.post("/api/v1/prompts/ask/versions", json=body),
        await client.post(
            "/api/v1/sync",
            json={
                "mode": "apply",
                "files": [
                    {"path": path, "text": text}
                    for path, text in {**FILES, "prompts/ask.prompt.yaml": PROMPT + "labels: [production]\n"}.items()
                ],
            },
        ),
    ]
    for answer in refused:
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (403, "urn:promptward:label-protected"), problem
        assert "policy 'strict' on 'qa'" in problem["detail"]
        assert "promptward ship" in problem["detail"]
        assert "/api/v1/releases" in problem["detail"]
        assert problem["errors"]


async def test_a_prompt_that_no_suite_judges_is_told_so(client: httpx2.AsyncClient) -> None:
    await client.post(
        "/api/v1/prompts/other/versions", json={"content": {"messages": [{"role": "user", "content": "x"}]}}
    )
    answer = await client.put("/api/v1/prompts/other/labels/production", json={"version": 1})
    assert "environments.production.prompts.other.suites" in answer.json()["detail"]


async def test_only_administrators_change_what_an_environment_asks_for(
    app: KeepEncodedSlash, client: httpx2.AsyncClient
) -> None:
    await sync(client)
    key = (await client.post("/api/v1/keys", json={"role": "engineer", "name": "eve"})).json()["key"]
    async with client_of(app, key) as engineer:
        await put(engineer, {}, 403)
        await sync(engineer)  # nothing about the environments changes
        weaker = YAML.replace("count: 2", "count: 1")
        problem = await sync(
            engineer, "apply", 403, **{"promptward.yaml": weaker, "prompts/ask.prompt.yaml": PROMPT + "tags: [new]\n"}
        )
        assert problem["errors"][0]["pointer"] == "promptward.yaml#/environments/production"
    assert (await read(client))["approvals"] == 2
    assert (await client.get("/api/v1/prompts/ask")).json()["version"] == 1


@pytest.mark.parametrize(
    ("rules", "pointers"),
    [
        ({"prompts": {"ask": {"suites": ["unknown"]}}}, ["/prompts/ask", "/prompts/ask/suites/0"]),
        ({"prompts": {"a/b": {"suites": [], "policy": "unknown"}}}, ["/prompts/a~1b", "/prompts/a~1b/policy"]),
        ({"after": "production"}, ["/after"]),
        ({"after": "nowhere"}, ["/after"]),
        ({"rollout": {"steps": [0.5, 0.5]}}, ["/rollout/steps"]),
        ({"rollout": {"steps": [0.0]}}, ["/rollout/steps/0"]),
        ({"rollout": {"steps": [{"share": 1.5}]}}, ["/rollout/steps/0/share"]),
        ({"rollout": {"steps": []}}, ["/rollout/steps"]),
        ({"approvals": -1}, ["/approvals"]),
        ({"approvals": {"role": "boss"}}, ["/approvals/role"]),
        ({"freeze": [{"from": "2027-01-02T00:00:00Z", "until": "2027-01-01T00:00:00Z"}]}, ["/freeze/0/until"]),
        ({"freeze": [{"from": "2027-01-02T00:00:00", "until": "2027-01-03T00:00:00Z"}]}, ["/freeze/0"]),
        ({"promts": {}}, ["/promts"]),
        ({"prompts": {"ask": {"suite": []}}}, ["/prompts/ask/suite"]),
        ({"prompts": {"a\x00": {}}}, ["/prompts/a\x00"]),
    ],
)
async def test_rules_that_cannot_be_are_refused_with_their_place(
    sqlite_client: httpx2.AsyncClient, rules: Any, pointers: list[str]
) -> None:
    problem = await put(sqlite_client, rules, 422)
    assert [e["pointer"] for e in problem["errors"]] == pointers
    assert (await read(sqlite_client))["updated_at"] is None


async def test_an_environment_s_name_is_a_label(sqlite_client: httpx2.AsyncClient) -> None:
    assert (await put(sqlite_client, {}, 422, "Prod"))["errors"][0]["pointer"] == "/name"
    await put(sqlite_client, {}, 422, "latest")


async def test_what_somebody_else_changed_is_not_overwritten(sqlite_client: httpx2.AsyncClient) -> None:
    first = await put(sqlite_client, {"approvals": 1})
    await put(sqlite_client, {"approvals": 2}, **{"If-Match": f'"{first["digest"]}"'})
    await put(sqlite_client, {"approvals": 3}, 412, **{"If-Match": f'"{first["digest"]}"'})
    assert (await read(sqlite_client))["approvals"] == 2
