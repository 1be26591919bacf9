"""The API's reference: complete, and true."""

import json
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from app.examples import EXAMPLES, JSON
from tests.conftest import client_of

BEFORE_OTHERS = {
    "resume_run",
    "rescore_run",
    "evaluate_gate",
    "backtest_gate",
    "create_label_queue",
    "generate",
    "chat_completions",
}
"""Examples about ids that only a run or a release gives, or about an endpoint that answers."""


async def document(client: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/docs/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json())


def operations(document: dict[str, Any]) -> dict[str, Any]:
    return {
        what["operationId"]: what
        for path, methods in document["paths"].items()
        for what in methods.values()
        if not path.startswith("/docs")
    }


async def test_every_operation_is_described_and_every_body_has_an_example_that_fits_its_schema(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    found = await document(sqlite_client)
    for name, operation in operations(found).items():
        assert operation.get("description"), f"{name} has no description"
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert "example" in content, f"{name} has no example: add one to app/examples.py"
            if "schema" in content:
                schema = {**content["schema"], "components": found["components"]}
                jsonschema_rs.validator_for(schema).validate(content["example"])


async def test_every_example_is_of_an_operation_that_there_is(sqlite_client: httpx2.AsyncClient) -> None:
    found = operations(await document(sqlite_client))
    shown = {name for name, what in found.items() if what.get("requestBody")}
    assert set(EXAMPLES) <= shown
    assert {example.media_type for example in EXAMPLES.values()} == {JSON}


async def test_the_examples_are_one_project_that_can_be_sent_as_it_stands(client: httpx2.AsyncClient) -> None:
    methods = {
        what["operationId"]: method
        for path in (await document(client))["paths"].values()
        for method, what in path.items()
    }
    for name, example in EXAMPLES.items():
        if "<id>" in example.path or name in BEFORE_OTHERS:
            continue
        url = example.path if example.path.startswith("/v1") else f"/api/v1{example.path}"
        wait = {"params": {"wait": 20}} if name in ("create_run", "create_release") else {}
        answer = await client.request(methods[name], url, json=example.body, **wait)
        assert answer.status_code in (200, 201), (name, answer.text)


async def test_the_reference_is_there_without_a_key(app: Any) -> None:
    async with client_of(app, None) as anybody:
        assert (await anybody.get("/docs")).status_code == 200
        assert json.loads((await anybody.get("/docs/openapi.json")).text)["openapi"].startswith("3.1")


@pytest.mark.parametrize("name", ["prompts_create_version", "datasets_change_items", "create_release"])
async def test_the_document_shows_the_example_where_it_belongs(sqlite_client: httpx2.AsyncClient, name: str) -> None:
    body = operations(await document(sqlite_client))[name]["requestBody"]["content"][JSON]
    assert body["example"] == EXAMPLES[name].body
