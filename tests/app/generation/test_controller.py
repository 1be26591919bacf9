"""The routes: rendering, and one answer."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from app.datasets.service import Datasets
from app.generation.service import Generation
from app.llm.retries import RetryPolicy
from app.llm.service import LLM
from app.retrieval.service import Retrieval
from tests.app.llm.canned import Canned, canned, completion, events, http
from tests.conftest import client_of, settings_for, started

PROMPT = {
    "messages": [
        {"role": "system", "content": "{{ context }}"},
        {"placeholder": "history"},
        {"role": "user", "content": "{{ question }}"},
    ],
    "variables": {"question": {"type": "string"}, "context": {"type": "string", "default": ""}},
}
RENDER = "/api/v1/prompts/docs%2Fanswer/versions/{}/render"


@pytest.fixture
async def client(tmp_path: Path, sqlite_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    settings = settings_for(tmp_path / "home", sqlite_url, TIKTOKEN_CACHE_DIR=str(tmp_path))
    async with started(settings) as app, client_of(app) as client:
        state = app.litestar.state

        async def load(project_id: str, digest: str) -> Any:
            async with state.sessions() as session:
                datasets = Datasets(session, project_id)
                return await datasets.items(await datasets.registry.by_digest("dataset", digest))

        llm = LLM(settings.environ, settings.allow_hosts, retries=RetryPolicy(attempts=2, base_s=0.01))
        retrieval = Retrieval(load)
        state.generation = Generation(llm, retrieval)
        await made(client, "prompts/docs%2Fanswer", PROMPT)
        yield client
        await llm.close()
        await retrieval.close()


async def made(client: httpx2.AsyncClient, path: str, content: dict[str, Any]) -> None:
    response = await client.post(f"/api/v1/{path}/versions", json={"content": content})
    assert response.status_code == 201, response.text


def endpoint(server: Canned, **fields: Any) -> dict[str, Any]:
    return {"content": {"provider": "compatible", "model": "m", "base_url": server.base_url, **fields}}


async def test_rendering_gives_messages_and_an_estimate_of_their_tokens_that_says_so(client):
    body = {"variables": {"question": "Why?"}, "history": [{"role": "user", "content": "before"}]}
    for ref in ("1", "latest"):
        response = await client.post(RENDER.format(ref), json=body)
        assert response.status_code == 200, response.text
        assert response.json() == {
            "messages": [
                {"role": "system", "content": ""},
                {"role": "user", "content": "before"},
                {"role": "user", "content": "Why?"},
            ],
            "tokens": 3,
            "tokens_exact": False,
        }


@pytest.mark.parametrize(
    ("ref", "body", "status", "pointer"),
    [
        ("1", {"variables": {}}, 422, "/variables/question"),
        ("1", {"variables": {"question": "a", "typo": 1}}, 422, "/variables/typo"),
        ("1", {"variables": {"question": "a"}, "encoding": "latin-1"}, 422, "/encoding"),
        ("1", {"variable": {}}, 400, "/variable"),
        ("9", {"variables": {"question": "a"}}, 404, None),
        ("nope", {"variables": {"question": "a"}}, 404, None),
    ],
)
async def test_a_rendering_that_cannot_be_names_the_place(client, ref, body, status, pointer):
    response = await client.post(RENDER.format(ref), json=body)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert [error["pointer"] for error in response.json().get("errors", [])] == ([pointer] if pointer else [])


async def test_one_answer_of_a_reference_and_contents(client):
    async with canned(http(200, completion("Because."))) as server:
        response = await client.post(
            "/api/v1/generate",
            json={
                "prompt": "docs/answer",
                "endpoint": endpoint(server, price={"input": 1.0, "output": 1.0}),
                "params": {"temperature": 0},
                "variables": {"question": "Why?"},
            },
        )
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer["status"], answer["text"], answer["cost_usd"]) == ("answered", "Because.", 0.000015)
    assert answer["usage"] == {"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 4}
    assert answer["latency_ms"] > 0
    assert server.requests[0]["temperature"] == 0


async def test_an_answer_with_retrieval_from_a_dataset(client):
    items = [{"id": "t", "inputs": {"title": "Timeout", "text": "It is 60 seconds."}}]
    await made(client, "datasets/docs", {"items": items})
    async with canned(http(200, completion())) as server:
        response = await client.post(
            "/api/v1/generate",
            json={
                "prompt": {"content": PROMPT},
                "rag_config": {"content": {"corpus": "docs"}},
                "endpoint": endpoint(server),
                "variables": {"question": "how many seconds"},
            },
        )
    assert response.json()["context"] == "[1] Timeout\nIt is 60 seconds.\n\n"
    assert server.requests[0]["messages"][0]["content"] == "[1] Timeout\nIt is 60 seconds.\n\n"


def sent(text: str) -> list[tuple[str, Any]]:
    blocks = [block for block in text.replace("\r\n", "\n").split("\n\n") if block]
    found = []
    for block in blocks:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((fields["event"], msgspec.json.decode(fields["data"])))
    return found


async def test_a_streamed_answer_is_deltas_and_then_the_whole(client):
    chunks = [{"choices": [{"delta": {"content": piece}}]} for piece in ("Be", "cause\n")]
    async with canned(events(*chunks, {"choices": [{"delta": {}, "finish_reason": "stop"}]}, "[DONE]")) as server:
        response = await client.post(
            "/api/v1/generate",
            json={
                "prompt": "docs/answer",
                "endpoint": endpoint(server),
                "variables": {"question": "?"},
                "stream": True,
            },
        )
    assert response.headers["content-type"].startswith("text/event-stream")
    found = sent(response.text)
    assert found[:2] == [("delta", {"text": "Be"}), ("delta", {"text": "cause\n"})]
    assert (found[2][0], found[2][1]["text"], found[2][1]["status"]) == ("answer", "Because\n", "answered")
    assert len(found) == 3


async def test_a_stream_that_breaks_ends_with_a_problem(client):
    async with canned(events({"choices": [{"delta": {"content": "Be"}}]})) as server:
        response = await client.post(
            "/api/v1/generate",
            json={
                "prompt": "docs/answer",
                "endpoint": endpoint(server),
                "variables": {"question": "?"},
                "stream": True,
            },
        )
    found = sent(response.text)
    assert [event for event, _ in found] == ["delta", "error"]
    assert (found[1][1]["type"], found[1][1]["status"]) == ("urn:promptward:upstream", 502)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_endpoint_that_fails_is_a_problem_that_names_it(client, stream):
    async with canned(http(401, {"error": {"message": "bad key"}})) as server:
        body = {"prompt": "docs/answer", "endpoint": endpoint(server), "variables": {"question": "?"}, "stream": stream}
        response = await client.post("/api/v1/generate", json=body)
    assert (response.status_code, response.json()["type"]) == (502, "urn:promptward:upstream")
    assert server.base_url in response.json()["detail"]


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"prompt": "nope"}, 422, "/prompt"),
        ({"endpoint": "nope"}, 422, "/endpoint"),
        (
            {"prompt": {"content": {"messages": [{"role": "user", "content": "{{ x }}"}]}}},
            422,
            "/prompt/content/messages/0/content",
        ),
        ({"variables": {}}, 422, "/variables/question"),
        ({"variables": {"question": 1}}, 422, "/variables/question"),
        ({"params": {"stream": True}}, 422, "/params/stream"),
        ({"promt": "x"}, 400, "/promt"),
    ],
)
async def test_a_bad_request_names_the_place(client, change, status, pointer):
    body = {
        "prompt": "docs/answer",
        "endpoint": {"content": {"provider": "compatible", "model": "m", "base_url": "http://127.0.0.1:9/v1"}},
        "variables": {"question": "?"},
        **change,
    }
    response = await client.post("/api/v1/generate", json=body)
    assert (response.status_code, [e["pointer"] for e in response.json()["errors"]]) == (status, [pointer]), (
        response.text
    )


async def test_a_reader_may_render_and_not_generate(client, tmp_path):
    key = (await client.post("/api/v1/keys", json={"role": "reader", "name": "r"})).json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    rendered = await client.post(RENDER.format("1"), json={"variables": {"question": "?"}}, headers=headers)
    assert rendered.status_code == 200
    body = {"prompt": "docs/answer", "endpoint": "e", "variables": {}}
    assert (await client.post("/api/v1/generate", json=body, headers=headers)).status_code == 403
