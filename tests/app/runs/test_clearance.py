"""What a run knows of sensitive values reaches nobody below their level: not through labels, verdicts, answers or likeness."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.datasets.duplicates import Found
from app.registry.kinds.dataset import Dataset, Items
from app.runs.masking import Masking
from app.runs.schemas import Result, ScoreRead
from tests.app.llm.canned import canned, http
from tests.app.registry.api import got, items_of, made, path, problem, prompt
from tests.conftest import client_of, settings_for, started

SECRET = "ann@firm.example"
ITEMS = [
    {"id": f"q{n}", "inputs": {"question": f"mail {n}{SECRET} about the invoice"}, "reference": "x"} for n in range(3)
]
RULE = {"metric": "exact_match", "floor": 0.5}


@pytest.fixture
async def sqlite_app(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Any]:
    async with started(settings_for(tmp_path / "home", sqlite_url)) as app:
        yield app


@pytest.fixture
async def sqlite_client(sqlite_app: Any) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(sqlite_app) as client:
        yield client


async def key(client: httpx2.AsyncClient, role: str, clearance: str | None = None) -> str:
    given = {"role": role, "name": role} | ({"clearance": clearance} if clearance else {})
    return str((await client.post("/api/v1/keys", json=given)).json()["key"])


def test_a_label_is_masked_because_it_may_be_the_answer_s_own_words() -> None:
    score = ScoreRead(1.0, True, SECRET, "ok", SECRET, {"quote": SECRET})
    result = Result("v", "q0", 0, "answered", None, None, {"m": score}, {}, None, [])
    dataset = Dataset(Items(1, "sha256:"), sensitivity="personal")
    (seen,) = Masking(dataset, "personal", "internal").of_all([result])
    assert (seen.scores["m"].label, seen.scores["m"].value) == ("[masked: personal]", 1.0)
    assert SECRET not in str(seen)
    assert Masking(dataset, "personal", "personal").of_all([result]) == [result]


@pytest.mark.parametrize(("level", "told"), [("internal", True), ("personal", False)])
async def test_a_verdict_quotes_an_endpoint_s_error_only_where_every_reader_may_see_it(
    sqlite_client: httpx2.AsyncClient, level: str, told: bool
) -> None:
    client = sqlite_client
    async with canned(*[http(400, {"error": {"message": f"cannot read {SECRET}"}})] * 20) as server:
        await made(client, "datasets", "d", {"items": ITEMS, "sensitivity": level})
        at = {"provider": "compatible", "model": "m", "base_url": server.base_url}
        await made(client, "endpoints", "m", at)
        await made(client, "prompts", "p", prompt("{{ question }}", variables={"question": {}}))
        suite = {"dataset": "d", "endpoints": ["m"], "scorers": [{"use": "exact_match"}]}
        await made(client, "suites", "s", suite)
        body = {"suite": "s", "candidates": [{"prompt": "p"}]}
        run = (await client.post("/api/v1/runs", params={"wait": 20}, json=body)).json()
        assert run["cells"]["errored"] == 3
    asked = {"policy": {"content": {"rules": [RULE]}}, "stage": "ci", "candidate": f"{run['id']}/c1"}
    answer = await client.post("/api/v1/gates/evaluate", json=asked)
    assert answer.status_code == 200, answer.text
    headline = answer.json()["headline"]
    assert headline.startswith("inconclusive: first error: endpoint 'm"), headline
    assert (SECRET in answer.text) == told, headline
    assert told or "personal values" in headline
    assert (SECRET in (await client.get("/api/v1/audit")).text) == told
    results = await items_of(client, f"/api/v1/runs/{run['id']}/results")
    assert SECRET in results[0]["error"], "who may see it finds it there"


async def test_no_answer_is_made_for_a_key_from_a_corpus_above_its_clearance(
    sqlite_client: httpx2.AsyncClient, sqlite_app: Any
) -> None:
    client = sqlite_client
    corpus = {"items": [{"id": "a", "inputs": {"text": f"write to {SECRET}"}}], "fields": {"inputs.text": "personal"}}
    await made(client, "datasets", "corpus", corpus)
    await made(client, "rag-configs", "r", {"corpus": "corpus"})
    asks = prompt("{{ context }} {{ question }}", variables={"question": {}, "context": {"default": ""}})
    await made(client, "prompts", "p", {**asks, "rag": "r"})
    async with canned(*[http(400, {"error": {"message": "no"}})] * 8) as server:
        at = {"provider": "compatible", "model": "m", "base_url": server.base_url}
        draft: dict[str, Any] = {"prompt": "p", "endpoint": {"content": at}, "variables": {"question": "write"}}
        inline = {**draft, "rag_config": {"content": {"corpus": "corpus", "description": "mine"}}}
        async with client_of(sqlite_app, await key(client, "ci")) as other:
            for body in (draft, inline, {**draft, "stream": True}):
                refused = await other.post("/api/v1/generate", json=body)
                assert problem(refused)[:2] == (403, "forbidden"), refused.text
                assert SECRET not in refused.text
            assert server.requests == [], "nor is anything sent"
            without = await other.post("/api/v1/generate", json={**draft, "rag_config": None})
            assert without.status_code != 403
        async with client_of(sqlite_app, await key(client, "ci", "personal")) as other:
            assert (await other.post("/api/v1/generate", json=draft)).status_code != 403
        assert SECRET in str(server.requests[-1])


async def test_a_report_compares_nothing_that_the_key_may_not_see(
    sqlite_client: httpx2.AsyncClient, sqlite_app: Any
) -> None:
    client = sqlite_client
    await made(client, "datasets", "d", {"items": ITEMS, "fields": {"inputs.question": "personal"}})
    await made(client, "prompts", "guess", prompt(f"Perhaps: mail 1{SECRET} about the invoice"))
    url = path("datasets", "d", "versions", "1", "report")
    mine = await got(client, url)
    assert (mine["leakage"]["total"], mine["leakage"]["complete"]) == (3, True)
    async with client_of(sqlite_app, await key(client, "proposer")) as other:
        theirs = await got(other, url)
    for part in ("duplicates", "leakage"):
        assert Found(**theirs[part]) == Found([], 0, False, "Values above this key's clearance were not compared.")
    assert theirs["items"] == 3
    assert theirs["sensitive"] == mine["sensitive"], "how many items hold what, but not which values"


async def test_a_digest_does_not_tell_a_masked_value_that_has_few_possible_ones(
    sqlite_client: httpx2.AsyncClient, sqlite_app: Any
) -> None:
    rows = [{"id": "q0", "inputs": {"q": "x", "sex": "f"}}, {"id": "q1", "inputs": {"q": "y"}}]
    await made(sqlite_client, "datasets", "d", {"items": rows, "fields": {"inputs.sex": "personal"}})
    url = path("datasets", "d", "versions", "1", "items")
    async with client_of(sqlite_app, await key(sqlite_client, "reader")) as other:
        seen = await items_of(other, url)
    assert [item["digest"][:9] for item in seen] == ["[masked: ", "sha256:" + seen[1]["digest"][7:9]]
    assert [item["digest"][:7] for item in await items_of(sqlite_client, url)] == ["sha256:"] * 2


async def test_a_public_key_sees_nothing_of_what_people_asked_and_said(
    sqlite_client: httpx2.AsyncClient, sqlite_app: Any
) -> None:
    client = sqlite_client
    await made(client, "prompts", "p", prompt("{{ q }}", variables={"q": {}}))
    asked = {"prompt": "p@1", "variables": {"q": SECRET}, "messages": [{"role": "user", "content": SECRET}]}
    logged = await client.post("/api/v1/inferences", json={**asked, "output": SECRET})
    assert logged.status_code == 201, logged.text
    rated = {"inference_id": logged.json()["id"], "rater": "r", "signal": "thumbs", "value": True}
    said = await client.post("/api/v1/feedback", json={**rated, "comment": SECRET, "correction": SECRET})
    assert said.status_code == 201, said.text
    urls = [f"/api/v1/inferences/{logged.json()['id']}", "/api/v1/feedback"]
    for clearance, may in (("public", False), ("internal", True)):
        async with client_of(sqlite_app, await key(client, "reader", clearance)) as other:
            for url in urls:
                answer = await other.get(url)
                assert (answer.status_code, SECRET in answer.text) == (200, may), answer.text
