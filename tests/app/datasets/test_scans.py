"""Personal data and secrets are told when something is made, and reported when asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.app.registry.api import got, items_of, made, path, post, problem, prompt
from tests.conftest import client_of, settings_for, started

KEY = "sk-proj-" + "Ab3dE6gH9jK2mN5pQ8sT1vW4yZ7" * 2
MAIL = "ann.miller@mailbox.org"


@asynccontextmanager
async def service(tmp_path: Path, url: str, mode: str) -> AsyncIterator[httpx2.AsyncClient]:
    settings = settings_for(tmp_path / "scanning", url, PROMPTWARD_SCAN=mode)
    async with started(settings) as app, client_of(app) as client:
        yield client


def people(**more: Any) -> dict[str, Any]:
    return {"items": [{"id": "a", "inputs": {"q": "fine"}}, {"id": "b", "inputs": {"q": f"write to {MAIL}"}}], **more}


async def test_what_looks_secret_or_personal_is_told_and_stored_by_default(sqlite_client: httpx2.AsyncClient) -> None:
    version = await made(sqlite_client, "prompts", "p", prompt(f"Use {KEY} and {MAIL}"))
    (first, second) = version["warnings"]
    assert first["pointer"] == second["pointer"] == "/content/messages/0/content"
    assert KEY not in str(version["warnings"])
    assert MAIL not in str(version["warnings"])
    assert "warnings" not in await got(sqlite_client, path("prompts", "p", "versions", "1"))
    data = await made(sqlite_client, "datasets", "d", people())
    assert [w["pointer"] for w in data["warnings"]] == ["/content/items/1/inputs/q"]
    file = {"path": "prompts/q.prompt.yaml", "text": f"messages:\n- role: user\n  content: 'mail {MAIL}'\n"}
    synced = await sqlite_client.post("/api/v1/sync", json={"mode": "apply", "files": [file]})
    (item,) = synced.json()["items"]
    assert item["warnings"][0]["pointer"].startswith("prompts/q.prompt.yaml#/content")


async def test_a_service_that_refuses_keeps_secrets_out_and_personal_data_that_is_not_declared(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with service(tmp_path, sqlite_url, "refuse") as client:
        refused = await post(client, "prompts", "p", prompt(f"Use {KEY}"))
        assert problem(refused) == (422, "invalid-content", ["/content/messages/0/content"])
        assert problem(await post(client, "datasets", "d", people()))[2] == ["/content/items/1/inputs/q"]
        await made(client, "datasets", "d", people(sensitivity="personal"))
        secret = people(sensitivity="personal")
        secret["items"][0]["inputs"]["q"] = KEY
        assert problem(await post(client, "datasets", "d", secret))[0] == 422
        change = await client.post(path("datasets", "d", "items"), json={"put": [{"inputs": {"q": KEY}}]})
        assert problem(change) == (422, "invalid-content", ["/put/0/inputs/q"])
        assert await items_of(client, "/api/v1/prompts") == []
        assert (await got(client, path("datasets", "d")))["version"] == 1


async def test_a_service_that_reports_says_it_when_it_is_asked(tmp_path: Path, sqlite_url: str) -> None:
    async with service(tmp_path, sqlite_url, "report") as client:
        assert "warnings" not in await made(client, "prompts", "p", prompt(f"Use {KEY}"))
        report = await got(client, path("prompts", "p", "versions", "1", "scan"))
        assert [(f["path"], f["group"]) for f in report["findings"]] == [("/messages/0/content", "secret")]
        assert KEY not in str(report)
        assert "warnings" not in await made(client, "datasets", "d", people())
        sensitive = (await got(client, path("datasets", "d", "versions", "1", "report")))["sensitive"]
        assert sensitive == {"items": 1, "kinds": {"email": 1}, "ids": ["b"]}


async def test_a_report_finds_duplicates_and_leakage(client: httpx2.AsyncClient) -> None:
    texts = [
        ("train", "What is the capital of France, and why is it so?"),
        ("train", "What is the capital of France and why is it so?"),
        ("test", "what is the capital of france, and why is it so ?"),
        ("test", "How many legs has a spider that lost one of them?"),
        ("", "Something else entirely, of which there is no second."),
    ]
    rows = [{"id": f"q{n}", "inputs": {"q": text}, "split": split} for n, (split, text) in enumerate(texts)]
    await made(client, "datasets", "d", {"items": rows})
    example = "For example, asked: How many legs has a spider that lost one of them? you answer: seven."
    await made(client, "prompts", "shots", prompt(example))
    report = await got(client, path("datasets", "d", "versions", "1", "report"))
    assert (report["items"], report["splits"]) == (5, {"test": 2, "train": 2})
    pairs = {(p["a"], p["b"]) for p in report["duplicates"]["pairs"]}
    assert pairs >= {("q0", "q1"), ("q0", "q2")}
    leaks = {(p["a"], p["b"], p["b_group"]) for p in report["leakage"]["pairs"]}
    assert ("q3", "shots@1/messages/0", "prompt shots@1 /messages/0") in leaks
    assert {("q0", "q2"), ("q1", "q2")} & {(a, b) for a, b, _ in leaks}
    assert ("q0", "q1") not in {(a, b) for a, b, _ in leaks}, "the same split"
    alone = await got(client, path("datasets", "d", "versions", "1", "report"), threshold=1.0)
    assert alone["duplicates"]["total"] == 0
    bad = await client.get(path("datasets", "d", "versions", "1", "report"), params={"threshold": 0.2})
    assert problem(bad) == (422, "invalid-content", ["/threshold"])
