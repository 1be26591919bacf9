"""Recorded answers of real models, replayed through the public API, against the figures that were published for them."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.app.runs.conftest import Project, variant

ONE_LOOK = {"extend": {"max_repeats": 1}, "data": {"repeats": 1}}


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def gsm8k(project: Project, data: Path) -> dict[str, Any]:
    await project.question()
    await project.replay("6b_finetuning", "175b_finetuning")
    items = [
        {
            "id": row["id"],
            "inputs": {"question": row["question"]},
            "reference": row["reference_answer"],
            "recorded": {model: {"text": answer["text"]} for model, answer in row["outputs"].items()},
        }
        for row in rows(data / "gsm8k_solutions.jsonl")
    ]
    await project.make("datasets", "gsm8k", {"items": items})
    await project.make(
        "suites",
        "gsm8k",
        {
            "dataset": "gsm8k",
            "endpoints": ["6b_finetuning", "175b_finetuning"],
            "scorers": [{"use": "numeric", "name": "correct", "args": {"after": "A:"}}],
        },
    )
    return await project.run(suite="gsm8k", candidates=[{"prompt": "ask"}])


async def test_gsm8k_gives_the_published_counts_and_the_gate_says_which_model_is_worse(
    client: httpx2.AsyncClient, shared_data: Path
) -> None:
    project = Project(client)
    run = await gsm8k(project, shared_data)
    assert run["cells"] == {"planned": 880, "cached": 0, "answered": 880, "failed": 0, "errored": 0, "cancelled": 0}
    correct = {name: variant(run, f"c1:{name}")["metrics"]["correct"] for name in ("6b_finetuning", "175b_finetuning")}
    assert {name: (m["n"], m["missing"], round(m["mean"] * 440)) for name, m in correct.items()} == {
        "6b_finetuning": (440, 0, 97),
        "175b_finetuning": (440, 0, 156),
    }
    path = f"/api/v1/runs/{run['id']}"
    compared = await project.get(f"{path}/comparison", candidate="c1:6b_finetuning", baseline="c1:175b_finetuning")
    row = next(m for m in compared["metrics"] if m["slice"] is None)
    assert row["p_mcnemar"] == pytest.approx(9.74e-08, rel=5e-3)
    assert row["difference"] == pytest.approx((97 - 156) / 440)
    assert len(compared["flips"]) == 32 + 91
    unparsable = [
        item
        for name in correct
        for item in (await project.get(f"{path}/results", variant=f"c1:{name}", limit=500))["items"]
        if item["scores"]["correct"]["label"] == "unparsable"
    ]
    # An eighth has a number among other text after its last 'A:': wrong, but readable.
    assert len(unparsable) == 7
    assert {item["scores"]["correct"]["value"] for item in unparsable} == {0.0}
    policy = {"rules": [{"metric": "correct", "no_regression": {"margin": 0.05}}], **ONE_LOOK}
    small, large = f"{run['id']}/c1:6b_finetuning", f"{run['id']}/c1:175b_finetuning"
    worse, better = await project.verdict(policy, small, large), await project.verdict(policy, large, small)
    assert (worse["verdict"], worse["exit_code"]) == ("fail", 1)
    assert (better["verdict"], better["exit_code"]) == ("pass", 0)


async def test_nq_open_gives_the_published_em_and_f1_of_four_systems(
    sqlite_client: httpx2.AsyncClient, shared_data: Path
) -> None:
    project = Project(sqlite_client)
    systems = {
        "text-davinci-003-zeroshot": (17, 26.05),
        "text-davinci-003-fewshot64": (44, 45.82),
        "fid": (73, 56.91),
        "dpr": (71, 52.82),
    }
    await project.question()
    await project.replay(*systems)
    items = [
        {
            "id": row["id"],
            "inputs": {"question": row["question"]},
            "reference": row["gold_answers"],
            "recorded": {model: {"text": answer["text"]} for model, answer in row["outputs"].items()},
        }
        for row in rows(shared_data / "nq_open_qa.jsonl")
    ]
    await project.make("datasets", "nq", {"items": items})
    scorers = [{"use": "exact_match", "name": "em", "args": {"normalize": "squad"}}, {"use": "token_f1", "name": "f1"}]
    await project.make("suites", "nq", {"dataset": "nq", "endpoints": list(systems), "scorers": scorers})
    run = await project.run(suite="nq", candidates=[{"prompt": "ask"}])
    for name, (exact, f1) in systems.items():
        metrics = variant(run, f"c1:{name}")["metrics"]
        assert round(metrics["em"]["mean"] * 150) == exact, name
        assert round(metrics["f1"]["mean"] * 100, 2) == f1, name
    compared = await project.get(
        f"/api/v1/runs/{run['id']}/comparison",
        candidate="c1:text-davinci-003-zeroshot",
        baseline="c1:text-davinci-003-fewshot64",
    )
    exact_row = next(m for m in compared["metrics"] if m["metric"] == "em" and m["slice"] is None)
    assert exact_row["p_mcnemar"] == pytest.approx(4.63e-07, rel=5e-3)
