"""Recorded answers of real models and an endpoint with faults, in one run: no cell lost, no call but the retried ones."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2

from app.devmodel import running_devmodel
from tests.app.runs.conftest import Project, variant

NQ = ("text-davinci-003-zeroshot", "text-davinci-003-fewshot64", "fid", "dpr")
GSM8K = ("6b_finetuning", "175b_finetuning")
MTRAG = ("gpt-4o", "llama-3.1-405b-instruct")
FAULTS = "dev-echo?fail=429:0.05&retry_after=0.2&fail=500:0.02&fail=timeout:0.005&latency_ms=15"
"""One in two hundred requests is never answered; calls are given up after four seconds."""


ASKED = ("faulty", "dev")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def question_and_answers(
    project: Project, name: str, items: list[dict[str, Any]], endpoints: tuple[str, ...], scorers: list[dict[str, Any]]
) -> None:
    await project.replay(*(model for model in endpoints if model not in ASKED))
    await project.make("datasets", name, {"items": items})
    await project.make("suites", name, {"dataset": name, "endpoints": list(endpoints), "scorers": scorers})


def recorded(row: dict[str, Any]) -> dict[str, Any]:
    return {model: {"text": answer["text"]} for model, answer in row["outputs"].items()}


async def test_real_answers_and_a_broken_endpoint_side_by_side_lose_no_cell(
    client: httpx2.AsyncClient, shared_data: Path
) -> None:
    project = Project(client)
    await project.question()
    nq = [
        {"id": r["id"], "inputs": {"question": r["question"]}, "reference": r["gold_answers"], "recorded": recorded(r)}
        for r in rows(shared_data / "nq_open_qa.jsonl")
    ]
    gsm8k = [
        {"id": r["id"], "inputs": {"question": r["question"]}, "reference": r["reference_answer"], "recorded": recorded(r)}
        for r in rows(shared_data / "gsm8k_solutions.jsonl")
    ]  # fmt: skip
    async with running_devmodel(seed=6) as url, httpx2.AsyncClient() as at_model:
        faulty = {"provider": "compatible", "base_url": url, "model": FAULTS, "timeout_s": 4}
        await project.make("endpoints", "faulty", {**faulty, "limits": {"max_concurrency": 32}})
        await question_and_answers(
            project, "nq", nq, (*NQ, "faulty"), [{"use": "exact_match", "name": "em", "args": {"normalize": "squad"}}]
        )
        await question_and_answers(
            project, "gsm8k", gsm8k, GSM8K, [{"use": "numeric", "name": "correct", "args": {"after": "A:"}}]
        )
        both = await asyncio.gather(
            project.run(suite="nq"), project.run(suite="gsm8k"), project.run(suite="nq", fresh=True, repeats=2)
        )
        stats = (await at_model.get(url.removesuffix("/v1") + "/stats")).json()
        again = await project.run(suite="nq")
        assert (await at_model.get(url.removesuffix("/v1") + "/stats")).json()["calls"] == stats["calls"]
    whole = {"cached": 0, "failed": 0, "errored": 0, "cancelled": 0}
    assert [run["cells"] for run in both] == [
        {"planned": 750, "answered": 750, **whole},
        {"planned": 880, "answered": 880, **whole},
        {"planned": 1500, "answered": 1500, **whole},
    ]
    assert again["cells"]["cached"] == 750
    faults = stats["faults"]
    assert {"429", "500", "timeout"} <= faults.keys(), "otherwise nothing was tried"
    assert stats["calls"] == 3 * 150 + sum(faults.values())
    exact = {name: round(variant(both[0], f"c1:{name}")["metrics"]["em"]["mean"] * 150) for name in NQ}
    assert exact == dict(zip(NQ, (17, 44, 73, 71), strict=True))
    correct = {name: round(variant(both[1], f"c1:{name}")["metrics"]["correct"]["mean"] * 440) for name in GSM8K}
    assert correct == dict(zip(GSM8K, (97, 156), strict=True))
    repeated = variant(both[2], "c1:fid")["metrics"]["em"]
    assert (repeated["n"], round(repeated["mean"] * 150)) == (150, 73)


async def test_retrieved_passages_reach_a_model_and_the_recorded_answers_of_two(
    client: httpx2.AsyncClient, shared_data: Path
) -> None:
    project = Project(client)
    tasks = rows(shared_data / "mtrag_rag_responses.jsonl")
    passages = {c["document_id"]: {"title": c["title"], "text": c["text"]} for t in tasks for c in t["contexts"]}
    corpus = [{"id": name, "inputs": inputs} for name, inputs in passages.items()]
    await project.make("datasets", "passages", {"items": corpus})
    await project.make("rag-configs", "top3", {"corpus": "passages", "retriever": {"top_k": 3}})
    messages = [
        {"role": "system", "content": "Answer from the context, and say so when it is not there.\nContext:\n{{ context }}"},
        {"role": "user", "content": "Question: {{ question }}"},
    ]  # fmt: skip
    variables = {"question": {"type": "string"}, "context": {"type": "string", "default": ""}}
    await project.make("prompts", "ask", {"messages": messages, "variables": variables, "rag": "top3"})
    items = [
        {
            "id": task["id"],
            "inputs": {"question": task["messages"][-1]["content"]},
            "reference": task["target"],
            "history": task["messages"][:-1],
            "tags": [task["answerability"][0].lower(), task["collection"]],
            "metadata": {"collection": task["collection"], "turn": task["turn"]},
            "recorded": {model: {"text": task["outputs"][model]["text"]} for model in MTRAG},
        }
        for task in tasks
    ]
    async with running_devmodel() as url:
        await project.make("endpoints", "dev", {"provider": "compatible", "base_url": url, "model": "dev-large"})
        await question_and_answers(project, "mtrag", items, (*MTRAG, "dev"), [{"use": "rouge_l", "name": "rouge"}])
        run = await project.run(suite="mtrag")
    assert run["cells"]["answered"] == run["cells"]["planned"] == 3 * 78
    assert run["errors"] == {}
    for model in MTRAG:
        published = [task["outputs"][model]["recorded_metrics"]["RougeL"] for task in tasks]
        assert abs(variant(run, f"c1:{model}")["metrics"]["rouge"]["mean"] - sum(published) / 78) < 1e-6
    seen = await project.results(run["id"], variant="c1:dev", evidence=True)
    assert all(1 <= len(cell["answer"]["chunks"]) <= 3 for cell in seen)
    assert any(
        chunk["text"] in cell["answer"]["prompt"][0]["content"] for cell in seen for chunk in cell["answer"]["chunks"]
    )
    by = await project.get(f"/api/v1/runs/{run['id']}/summary", by="metadata.collection")
    assert set(by["cases"]) == {"clapnq", "govt"}
    assert sum(by["cases"].values()) == 78
