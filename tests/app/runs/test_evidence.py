"""What is known of an answer beside its text: kept, shown on demand, masked, exported, and handed to scorers that read it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.datasets.schemas import Item
from app.generation.schemas import Answer
from app.llm.schemas import ToolCall
from app.runs.scoring import Given, sample_of
from evaluators.contract import FIELD_OF_NEED
from evaluators.registry import names
from tests.app.generation.making import bundle
from tests.app.llm.canned import canned, completion, events, http
from tests.app.registry.api import items_of, made, prompt
from tests.conftest import client_of, settings_for, started

CORPUS = [{"id": "t", "inputs": {"title": "Timeout", "text": "The timeout is 60 seconds."}}, {"id": "p", "inputs": {"text": "Prices are in dollars."}}]  # fmt: skip
TOOLS = {"tools": [{"function": {"name": "clock"}}], "results": {"kind": "recorded", "recorded": {"clock": "noon"}}}


def replies() -> list[bytes]:
    call = {"tool_calls": [{"id": "c0", "function": {"name": "clock", "arguments": "{}"}}]}
    said = completion("60 seconds")
    said["choices"][0]["logprobs"] = {"content": [{"token": "60", "logprob": -0.25}]}
    return [http(200, completion(None, message=call, finish_reason="tool_calls")), http(200, said)]


async def prepared(
    client: httpx2.AsyncClient,
    base_url: str,
    level: str = "internal",
    scorers: Sequence[dict[str, Any]] = ({"use": "contains"},),
) -> dict[str, Any]:
    """A finished run of one case, which retrieved, called a tool, and answered."""
    await made(client, "datasets", "corpus", {"items": CORPUS})
    item = {
        "id": "q0",
        "inputs": {"question": "What is the timeout?"},
        "reference": "60 seconds",
        "metadata": {"relevant": ["t"]},
    }
    await made(client, "datasets", "d", {"items": [item], "sensitivity": level})
    at = {"provider": "compatible", "model": "m", "base_url": base_url, "params": {"logprobs": True}}
    await made(client, "endpoints", "m", at)
    await made(client, "rag-configs", "r", {"corpus": "corpus"})
    await made(client, "tool-configs", "t", TOOLS)
    asks = {
        "messages": [
            {"role": "system", "content": "You answer questions about this product in one short sentence."},
            {"role": "user", "content": "{{ context }}\n\n{{ question }}"},
        ],
        "variables": {"question": {"type": "string"}, "context": {"type": "string"}},
    }
    await made(client, "prompts", "p", {**asks, "rag": "r", "tools": "t"})
    await made(client, "suites", "s", {"dataset": "d", "endpoints": ["m"], "scorers": [*scorers]})
    body = {"suite": "s", "candidates": [{"prompt": "p"}]}
    return dict((await client.post("/api/v1/runs", params={"wait": 20}, json=body)).json())


async def test_a_result_tells_what_was_retrieved_sent_and_said_in_between_when_asked(
    client: httpx2.AsyncClient,
) -> None:
    async with canned(*replies()) as server:
        run = await prepared(client, server.base_url)
    results = f"/api/v1/runs/{run['id']}/results"
    (plain,) = await items_of(client, results)
    assert not {"chunks", "prompt", "trajectory", "logprobs"} & plain["answer"].keys()
    (whole,) = (await client.get(results, params={"evidence": True})).json()["items"]
    answer = whole["answer"]
    assert [(chunk["id"], chunk["title"]) for chunk in answer["chunks"]] == [("t", "Timeout")]
    assert answer["prompt"] == server.requests[0]["messages"]
    assert answer["trajectory"] == [*server.requests[1]["messages"][2:], {"role": "assistant", "content": "60 seconds"}]
    assert answer["logprobs"] == [-0.25]
    assert {k: v for k, v in answer.items() if k in plain["answer"]} == plain["answer"]
    exported = json.loads((await client.get(f"/api/v1/runs/{run['id']}/export")).text)["answer"]
    assert {name: exported[name] for name in ("chunks", "trajectory", "logprobs")} == {
        name: answer[name] for name in ("chunks", "trajectory", "logprobs")
    }


async def test_a_score_says_what_it_took_and_by_which_scorer(client: httpx2.AsyncClient) -> None:
    async with canned(*replies()) as server:
        run = await prepared(client, server.base_url)
    (result,) = await items_of(client, f"/api/v1/runs/{run['id']}/results")
    score = result["scores"]["contains"]
    assert (score["version"], score["direction"], score["cached"]) == (1, "maximize", False)
    assert (score["cost_usd"], score["tokens"]) == (0, 0)
    again = {"suite": "s", "candidates": [{"prompt": "p"}]}
    second = (await client.post("/api/v1/runs", params={"wait": 20}, json=again)).json()
    (result,) = await items_of(client, f"/api/v1/runs/{second['id']}/results")
    assert result["scores"]["contains"]["cached"] is True


async def test_evidence_is_masked_as_the_answer_is(tmp_path: Path, sqlite_url: str) -> None:
    async with started(settings_for(tmp_path / "home", sqlite_url)) as app, client_of(app) as client:
        async with canned(*replies()) as server:
            run = await prepared(client, server.base_url, "personal")
        given = {"role": "reader", "name": "low", "clearance": "internal"}
        low = (await client.post("/api/v1/keys", json=given)).json()["key"]
        headers = {"Authorization": f"Bearer {low}"}
        path = f"/api/v1/runs/{run['id']}/results"
        shown = (await client.get(path, params={"evidence": True}, headers=headers)).json()["items"][0]["answer"]
        assert {shown[name] for name in ("chunks", "prompt", "trajectory", "logprobs")} == {None}
        exported = (await client.get(f"/api/v1/runs/{run['id']}/export", headers=headers)).text
        assert "timeout" not in exported.lower()


async def test_a_replayed_answer_brings_what_was_recorded_with_it(sqlite_client: httpx2.AsyncClient) -> None:
    client = sqlite_client
    recorded = {
        "text": "60 s",
        "context": "[1] The timeout is 60 s.",
        "chunks": [{"id": "t", "text": "The timeout is 60 s.", "score": 2.5}],
        "trajectory": [{"role": "assistant", "content": "60 s"}],
        "logprobs": [-0.1, -0.2],
        "ttft_ms": 40.5,
    }
    await made(
        client, "datasets", "d", {"items": [{"id": "q", "inputs": {"question": "?"}, "recorded": {"m": recorded}}]}
    )
    await made(client, "endpoints", "m", {"provider": "replay", "model": "m"})
    await made(client, "prompts", "p", prompt("{{ question }}", variables={"question": {"type": "string"}}))
    await made(client, "suites", "s", {"dataset": "d", "endpoints": ["m"], "scorers": [{"use": "length"}]})
    body = {"suite": "s", "candidates": [{"prompt": "p"}]}
    run = (await client.post("/api/v1/runs", params={"wait": 20}, json=body)).json()
    (result,) = (await client.get(f"/api/v1/runs/{run['id']}/results", params={"evidence": True})).json()["items"]
    shown = {name: result["answer"][name] for name in recorded}
    assert shown == {**recorded, "chunks": [{**recorded["chunks"][0], "title": None}]}  # type: ignore[dict-item]
    wrong = {"id": "q", "inputs": {}, "recorded": {"m": {"text": "x", "chunks": [{"id": "t"}]}}}
    answer = await client.post("/api/v1/datasets/e/versions", json={"content": {"items": [wrong]}})
    assert answer.status_code == 422
    assert "text" in answer.json()["detail"]


ITEM = Item("q", "", {"question": "When?"}, "noon")


def test_a_scorer_gets_the_prompt_and_the_tools_without_their_being_stored() -> None:
    made_of = bundle("http://127.0.0.1:9/v1", tools=TOOLS)
    sample = sample_of(Given("k", ITEM, Answer("answered", "noon"), made_of), set(FIELD_OF_NEED))
    assert sample.prompt == [{"role": "user", "content": "When?"}]
    assert sample.tools == [{"type": "function", "function": {"name": "clock"}}]
    assert sample.trajectory == [{"role": "assistant", "content": "noon"}]
    lean = sample_of(Given("k", ITEM, Answer("answered", "noon"), made_of), set())
    assert (lean.prompt, lean.tools, lean.trajectory) == (None, None, None)


@pytest.mark.parametrize(("tools", "known"), [({**TOOLS, "results": {"kind": "none"}}, True), (TOOLS, False)])
def test_a_tool_loop_whose_messages_were_not_kept_is_not_made_up(tools: dict[str, Any], known: bool) -> None:
    answer = Answer("answered", None, tool_calls=[ToolCall("c0", "clock", "{}")])
    sample = sample_of(Given("k", ITEM, answer, bundle("http://127.0.0.1:9/v1", tools=tools)), {"trajectory"})
    assert (sample.trajectory is not None) == known


READERS = [
    {"use": "mrr"},
    {"use": "prompt_leakage"},
    {"use": "step_count", "args": {"max": 8, "source": "trajectory"}},
    {"use": "perplexity"},
    {"use": "valid_tool_calls"},
    {"use": "time_to_first_token"},
]
READERS_INSTALLED = {scorer["use"] for scorer in READERS} <= set(names())


def streamed(*deltas: dict[str, Any], finish: str = "stop") -> bytes:
    told = {"content": [{"token": "x", "logprob": -0.25}]}
    chunks = [{"choices": [{"delta": delta, "logprobs": told}]} for delta in deltas]
    return events(*chunks, {"choices": [{"delta": {}, "finish_reason": finish}]}, "[DONE]")


@pytest.mark.skipif(not READERS_INSTALLED, reason="not all scorers that read evidence are installed")
async def test_every_scorer_finds_what_it_reads_in_the_answer_and_again_in_the_stored_one(
    client: httpx2.AsyncClient,
) -> None:
    call = {"tool_calls": [{"index": 0, "id": "c0", "function": {"name": "clock", "arguments": "{}"}}]}
    async with canned(
        streamed(call, finish="tool_calls"), streamed({"content": "60 "}, {"content": "seconds"})
    ) as server:
        await prepared(client, server.base_url, scorers=READERS)
        assert server.requests[0]["stream"] is True
        body = {"suite": "s", "candidates": [{"prompt": "p"}]}
        run = (await client.post("/api/v1/runs", params={"wait": 20}, json=body)).json()
        assert len(server.requests) == 2, "what was streamed is known"
    first = await scores_of(client, run["id"])
    assert {name: score["status"] for name, score in first.items()} == dict.fromkeys(first, "ok")
    assert first["mrr"]["value"] == 1.0
    assert first["time_to_first_token"]["value"] > 0
    # Other arguments, so that nothing is known: now the stored answer is read.
    changed = [{**scorer, "args": {**scorer.get("args", {}), "negate": True}} for scorer in READERS]  # type: ignore[dict-item]
    await made(client, "suites", "s", {"dataset": "d", "endpoints": ["m"], "scorers": changed})
    run = (await client.post("/api/v1/runs", params={"wait": 20}, json=body)).json()
    again = await scores_of(client, run["id"])
    assert {name: (score["status"], score["cached"]) for name, score in again.items()} == dict.fromkeys(
        first, ("ok", False)
    )


async def scores_of(client: httpx2.AsyncClient, run_id: str) -> dict[str, dict[str, Any]]:
    (result,) = await items_of(client, f"/api/v1/runs/{run_id}/results")
    return dict(result["scores"])
