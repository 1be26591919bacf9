"""The registry as files, and the same files as the registry."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.app.registry.api import ENDPOINT, got, made, path, problem, prompt
from tests.conftest import ROOT, client_of


async def sync(client: httpx2.AsyncClient, files: dict[str, str], mode: str = "apply", **more: Any) -> dict[str, Any]:
    sent = [{"path": name, "text": text} for name, text in files.items()]
    answer = await client.post("/api/v1/sync", json={"mode": mode, "files": sent, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def exported(client: httpx2.AsyncClient) -> dict[str, str]:
    result = await got(client, "/api/v1/export")
    return {
        file["path"]: file["text"] if file["items"] is None else (await client.get(file["items"])).text
        for file in result["files"]
    }


def example() -> dict[str, str]:
    """The example project's own files."""
    folders = [
        ROOT / "promptward.yaml",
        *sorted((ROOT / "prompts").rglob("*")),
        *sorted((ROOT / "datasets").rglob("*")),
    ]
    return {file.relative_to(ROOT).as_posix(): file.read_text() for file in folders if file.is_file()}


async def test_an_export_is_found_unchanged_by_a_sync_and_is_the_same_each_time(client: httpx2.AsyncClient) -> None:
    await sync(client, example())
    first, second = await exported(client), await exported(client)
    assert first == second
    plan = await sync(client, first, "plan")
    assert {item["action"] for item in plan["items"]} == {"unchanged"}
    assert {change["action"] for change in plan["environment_changes"]} == {"unchanged"}
    assert {item["name"] for item in plan["items"]} == {
        item["name"] for item in (await sync(client, example()))["items"]
    }


async def test_what_was_made_elsewhere_comes_out_as_files_and_goes_into_an_empty_registry_alike(
    client: httpx2.AsyncClient, sqlite_url: str, tmp_path: Path
) -> None:
    from tests.conftest import settings_for, started

    await made(client, "endpoints", "m", ENDPOINT)
    await made(client, "prompts", "shared/tone", prompt("Be kind.\n\n  indented\n", owner="ann"))
    texts = "yes: no\n'\"# {{ tone }}\u2028 end\n\n"
    await made(client, "prompts", "docs/ask", prompt(texts, fragments={"tone": "shared/tone"}, description="no"))
    items = [{"inputs": {"q": "on"}, "split": "test"}, {"id": "7", "inputs": {"q": "1e3"}, "reference": 1.5}]
    about = {"description": "# Card\n\nText", "tags": ["007"], "sensitivity": "confidential", "retention_days": 9}
    await made(client, "datasets", "d", {"items": items, **about})
    await made(client, "suites", "s", {"dataset": "d", "endpoints": ["m"], "scorers": [{"use": "length"}]})
    await made(client, "gate-policies", "gate", {"rules": [{"metric": "length", "floor": 0.5}]})
    await client.put("/api/v1/environments/staging", json={"prompts": {"docs/ask": {"suites": ["s"]}}, "approvals": 1})
    files = await exported(client)
    assert sorted(files) == [
        "datasets/d.jsonl",
        "datasets/d.md",
        "datasets/s.suite.yaml",
        "prompts/docs/ask.prompt.yaml",
        "prompts/shared/tone.prompt.yaml",
        "promptward.yaml",
    ]
    async with started(settings_for(tmp_path / "other", sqlite_url)) as app, client_of(app) as other:
        await sync(other, files)
        for kind, name in (("prompts", "docs/ask"), ("datasets", "d"), ("suites", "s"), ("gate-policies", "gate")):
            ours, theirs = [await got(one, path(kind, name)) for one in (client, other)]
            assert ours["digest"] == theirs["digest"], name
        assert (await got(other, "/api/v1/environments/staging"))["approvals"] == 1
        assert await exported(other) == files


async def test_a_reference_that_moved_since_is_said(sqlite_client: httpx2.AsyncClient) -> None:
    await made(sqlite_client, "prompts", "tone", prompt("kind"))
    await made(sqlite_client, "prompts", "ask", prompt("{{ tone }}", fragments={"tone": "tone"}))
    assert (await got(sqlite_client, "/api/v1/export"))["notes"] == []
    await made(sqlite_client, "prompts", "tone", prompt("brief"))
    (note,) = (await got(sqlite_client, "/api/v1/export"))["notes"]
    assert note.startswith("prompt ask@1: tone at /fragments/tone is tone@2 by now")


async def test_archived_names_stay_behind(sqlite_client: httpx2.AsyncClient) -> None:
    await made(sqlite_client, "prompts", "a", prompt("x"))
    await made(sqlite_client, "prompts", "b", prompt("x"))
    await sqlite_client.delete(path("prompts", "a"))
    assert list(await exported(sqlite_client)) == ["prompts/b.prompt.yaml"]


async def test_prompts_and_suites_come_out_as_another_tool_s_files(sqlite_client: httpx2.AsyncClient) -> None:
    await sync(sqlite_client, example())
    asked = {"format": "promptfoo", "prompt": "docs/answer", "suite": "docs"}
    result = await got(sqlite_client, "/api/v1/export", **asked)
    assert "docs/promptfooconfig.yaml" in [file["path"] for file in result["files"]]
    assert any("rag" in loss["what"] for loss in result["losses"]), "what the other tool has no place for is said"
    files = [{"path": file["path"], "text": file["text"]} for file in result["files"]]
    back = await sqlite_client.post("/api/v1/import", json={"format": "promptfoo", "files": files})
    assert back.status_code == 200, back.text
    assert {item["kind"] for item in back.json()["items"]} >= {"prompts", "datasets", "suites"}
    unknown = await sqlite_client.get("/api/v1/export", params={"format": "word"})
    assert problem(unknown) == (400, "bad-request", ["/format"])


@pytest.mark.parametrize("form", ["promptfoo", "prompt.yml"])
async def test_a_fragment_comes_along_as_text(sqlite_client: httpx2.AsyncClient, form: str) -> None:
    await made(sqlite_client, "prompts", "tone", prompt("Be kind."))
    await made(sqlite_client, "prompts", "ask", prompt("{{ tone }} Now.", fragments={"tone": "tone"}))
    result = await got(sqlite_client, "/api/v1/export", format=form, prompt="ask")
    assert "Be kind. Now." in "".join(file["text"] for file in result["files"])
