"""Who may see what: values above a key's clearance are masked wherever they would be shown."""

from typing import Any

import httpx2
import pytest

from app.datasets.schemas import Item
from app.datasets.sensitivity import masked
from app.registry.kinds.dataset import Dataset, Items
from tests.app.datasets.test_datasets import items
from tests.app.registry.api import got, items_of, made, path, problem, prompt
from tests.conftest import client_of

ROWS = [
    {
        "id": f"q{n}",
        "inputs": {"q": f"question {n}", "email": f"person{n}@firm.example"},
        "reference": f"person{n}@firm.example",
        "tags": ["t"],
        "recorded": {"m": {"text": f"You are person{n}@firm.example"}},
    }
    for n in range(3)
]
SECRET = "firm.example"


def dataset(sensitivity: str = "internal", **fields: str) -> Dataset:
    return Dataset(Items(1, "sha256:"), sensitivity=sensitivity, fields=fields)  # type: ignore[arg-type]


def test_the_longest_declared_field_decides() -> None:
    item = Item("a", "d", {"q": "x", "who": {"name": "n", "city": "c"}}, "ref", metadata={"k": "v"})
    declared = dataset(
        "public", **{"inputs.who": "personal", "inputs.who.city": "internal", "metadata": "confidential"}
    )
    seen = masked(item, declared, "internal")
    assert seen.inputs == {"q": "x", "who": {"name": "[masked: personal]", "city": "c"}}
    assert (seen.reference, seen.metadata) == ("ref", {"k": "[masked: confidential]"})
    assert seen.masked == ["inputs.who.name", "metadata.k"]
    assert masked(item, declared, "personal") == item


@pytest.mark.parametrize("level", ["internal", "confidential", "personal"])
def test_a_whole_dataset_is_masked_for_everybody_below(level: str) -> None:
    history = [{"role": "user", "content": "secret"}]
    item = Item("a", "d", {"q": ["s"]}, {"x": "s"}, history=history, cluster="ann", recorded={"m": {"text": "s"}})
    seen = masked(item, dataset(level), "public")
    assert "s'" not in str([seen.inputs, seen.reference, seen.history, seen.cluster, seen.recorded]).replace(
        "inputs'", ""
    )
    assert all(part for part in (seen.inputs, seen.reference, seen.history, seen.recorded))


async def test_a_key_sees_up_to_its_clearance_in_items_files_diffs_and_results(
    client: httpx2.AsyncClient, app: Any
) -> None:
    about = {"fields": {"inputs.email": "personal", "reference": "personal", "recorded": "personal"}}
    await made(client, "datasets", "d", {"items": ROWS[:2], **about})
    await made(client, "datasets", "d", {"items": ROWS, **about})
    await made(client, "endpoints", "m", {"provider": "replay", "model": "m"})
    await made(client, "prompts", "p", prompt("{{ q }}", variables={"q": {}}))
    scorers = [{"use": "exact_match"}]
    await made(client, "suites", "s", {"dataset": "d", "endpoints": ["m"], "scorers": scorers})
    body = {"suite": "s", "candidates": [{"prompt": "p"}]}
    run = (await client.post("/api/v1/runs", params={"wait": 20}, json=body)).json()["id"]
    version = path("datasets", "d", "versions", "2")
    shown = [
        (f"{version}/items", {}),
        (f"{version}/export", {"format": "jsonl"}),
        (f"{version}/export", {"format": "csv"}),
        (path("datasets", "d", "diff"), {}),
        (f"/api/v1/runs/{run}/results", {}),
        (f"/api/v1/runs/{run}/export", {"format": "jsonl"}),
        (f"/api/v1/runs/{run}/export", {"format": "csv"}),
        (f"{version}/report", {}),
        ("/api/v1/export", {}),
    ]
    for role, clearance, may in (("reader", None, False), ("engineer", None, False), ("reader", "personal", True)):
        given = {"role": role, "name": role} | ({"clearance": clearance} if clearance else {})
        key = (await client.post("/api/v1/keys", json=given)).json()["key"]
        async with client_of(app, key) as other:
            for url, params in shown:
                answer = await other.get(url, params=params)
                assert answer.status_code == 200, (url, answer.text)
                hidden = url.endswith(("/report", "/api/v1/export"))
                assert (SECRET in answer.text) == (may and not hidden), (role, clearance, url)
            first = (await items_of(other, f"{version}/items"))[0]
            assert first["inputs"]["q"] == "question 0"
            assert (first["masked"] == []) == may
            search = await other.get(f"/api/v1/runs/{run}/results", params={"q": "person1"})
            assert search.status_code == (200 if may else 403), "a search would tell what is masked"
            if not may:
                files = await got(other, "/api/v1/export")
                assert not [f for f in files["files"] if f["path"].startswith("datasets/d.")]
                assert any("left out" in note for note in files["notes"])
                refused = await other.get("/api/v1/export", params={"format": "promptfoo"})
                assert problem(refused)[0] == 403


async def test_who_cannot_see_a_value_cannot_send_its_mask_back(sqlite_client: httpx2.AsyncClient) -> None:
    await made(sqlite_client, "datasets", "d", {"items": ROWS, "sensitivity": "personal"})
    assert len(await items(sqlite_client, "d")) == 3
    body = {"put": [{"id": "q0", "inputs": {"q": "[masked: personal]"}}]}
    answer = await sqlite_client.post(path("datasets", "d", "items"), json=body)
    assert problem(answer) == (422, "invalid-content", ["/put/0/inputs/q"])
