"""What is known of an answer beside its text: kept, shown on demand, masked, exported, and handed to scorers that read it."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.datasets.schemas import Item
from app.generation.schemas import Answer
from app.llm.schemas import ToolCall
from app.runs.scoring import Given, sample_of
from evaluators.contract import FIELD_OF_NEED
from tests.app.generation.making import bundle
from tests.app.llm.canned import canned, completion, http
from tests.app.registry.api import items_of, made, prompt
from tests.conftest import client_of, settings_for, started

CORPUS = [{"id": "t", "inputs": {"title": "Timeout", "text": "The timeout is 60 seconds."}}, {"id": "p", "inputs": {"text": "Prices are in dollars."}}]  # fmt: skip
TOOLS = {"tools": [{"function": {"name": "clock"}}], "results": {"kind": "recorded", "recorded": {"clock": "noon"}}}


def replies() -> list[bytes]:
    call = {"tool_calls": [{"id": "c0", "function": {"name": "clock", "arguments": "{}"}}]}
    said = completion("60 seconds")
    said["choices"][0]["logprobs"] = {"content": [{"token": "60", "logprob": -0.25}]}
    return [http(200, completion(None, message=call, finish_reason="tool_calls")), http(200, said)]


async def prepared(client: httpx2.AsyncClient, base_url: str, level: str = "internal") -> dict[str, Any]:
    """A finished run of one case, which retrieved, called a tool, and answered."""
    await made(client, "datasets", "corpus", {"items": CORPUS})
    item = {"id": "q0", "inputs": {"question": "What is the timeout?"}, "reference": "60 seconds"}
    await made(client, "datasets", "d", {"items": [item], "sensitivity": level})
    at = {"provider": "compatible", "model": "m", "base_url": base_url, "params": {"logprobs": True}}
    await made(client, "endpoints", "m", at)
    await made(client, "rag-configs", "r", {"corpus": "corpus"})
    await made(client, "tool-configs", "t", TOOLS)
    variables = {"question": {"type": "string"}, "context": {"type": "string"}}
    asks = prompt("{{ context }}\n\n{{ question }}", variables=variables)
    await made(client, "prompts", "p", {**asks, "rag": "r", "tools": "t"})
    await made(client, "suites", "s", {"dataset": "d", "endpoints": ["m"], "scorers": [{"use": "contains"}]})
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
    assert answer["trajectory"] == [*server.requests[1]["messages"][1:], {"role": "assistant", "content": "60 seconds"}]
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
