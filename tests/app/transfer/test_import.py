"""What another tool left, through the one door."""

import json
from pathlib import Path
from typing import Any

import httpx2

from tests.app.registry.api import got, items_of, made, path, problem, prompt
from tests.conftest import client_of


async def bring(client: httpx2.AsyncClient, form: str, files: dict[str, str], mode: str = "apply", **more: Any) -> Any:
    sent = [{"path": name, "text": text} for name, text in files.items()]
    return await client.post("/api/v1/import", json={"format": form, "files": sent, "mode": mode, **more})


async def test_the_history_of_real_prompts_becomes_versions(client: httpx2.AsyncClient, shared_data: Path) -> None:
    text = (shared_data / "fabric_prompt_versions.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    answer = await bring(client, "git-log", {"fabric.jsonl": text})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["versions"], answer.json()["losses"]) == (64, [])
    versions = [
        version
        for artifact in await items_of(client, "/api/v1/prompts")
        for version in await items_of(client, path("prompts", artifact["name"], "versions"))
    ]
    digests = {(v["name"], v["digest"]) for v in versions}  # one is a revert; two prompts share two texts
    assert (len(versions), len({v["name"] for v in versions}), len(digests)) == (64, 8, 63)
    kept = {(v["name"], v["version"]): v["source"]["date"] for v in versions}
    assert kept == {(row["pattern"], row["version"]): row["date"] for row in rows}
    for row in rows[:10]:
        url = path("prompts", row["pattern"], "versions", str(row["version"]), "render")
        shown = (await client.post(url, json={"variables": {"input": "x"}})).json()["messages"][0]["content"]
        assert shown == row["text"].replace("\r\n", "\n")
    again = await bring(client, "git-log", {"fabric.jsonl": text}, "plan")
    assert {item["action"] for item in again.json()["items"]} == {"unchanged"}


async def test_a_prompt_object_is_found_by_the_id_that_it_had(sqlite_client: httpx2.AsyncClient) -> None:
    thing = {
        "id": "pmpt_68a1",
        "version": "3",
        "name": "Greeting",
        "instructions": "Greet {{name}}.",
        "model": "gpt-5",
    }
    done = await bring(sqlite_client, "openai", {"prompt.json": json.dumps(thing)})
    assert done.status_code == 200, done.text
    name = done.json()["aliases"]["pmpt_68a1"]
    assert (await got(sqlite_client, path("prompts", "pmpt_68a1")))["name"] == name
    rendered = await sqlite_client.post(
        path("prompts", "pmpt_68a1", "versions", "latest", "render"), json={"variables": {"name": "Ann"}}
    )
    assert "Greet Ann." in rendered.text


async def test_labels_of_environments_are_not_set_by_an_import(sqlite_client: httpx2.AsyncClient) -> None:
    export = [
        {"name": "greet", "version": 1, "type": "text", "prompt": "Hi", "labels": ["production", "beta"], "tags": []},
        {"name": "greet", "version": 2, "type": "text", "prompt": "Hello", "labels": ["latest"], "tags": []},
    ]
    done = await bring(sqlite_client, "langfuse", {"export.json": json.dumps(export)})
    assert done.status_code == 200, done.text
    assert (await got(sqlite_client, path("prompts", "greet")))["labels"] == {"beta": 1}
    assert [loss["what"] for loss in done.json()["losses"] if "production" in loss["what"]] == [
        "the label 'production' is not set: a release alone moves it"
    ]


async def test_a_plan_makes_nothing_and_files_are_a_project(sqlite_client: httpx2.AsyncClient) -> None:
    config = """
prompts: ["Say {{word}}"]
providers: [openai:gpt-5-mini]
tests:
  - vars: {word: hello}
    assert: [{type: icontains, value: hello}, {type: javascript, value: "output.length < 9"}]
"""
    files = {"promptfooconfig.yaml": config}
    planned = await bring(sqlite_client, "promptfoo", files, "plan")
    assert planned.status_code == 200, planned.text
    assert {item["action"] for item in planned.json()["items"]} == {"create"}
    (loss,) = [loss for loss in planned.json()["losses"] if "javascript" in loss["what"]]
    assert (loss["path"], loss["line"]) == ("promptfooconfig.yaml", 6)
    project = (await bring(sqlite_client, "promptfoo", files, "files")).json()["files"]
    assert await items_of(sqlite_client, "/api/v1/prompts") == []
    synced = await sqlite_client.post("/api/v1/sync", json={"mode": "apply", "files": project})
    assert synced.status_code == 200, synced.text
    unchanged = await bring(sqlite_client, "promptfoo", files, "plan")
    assert {item["action"] for item in unchanged.json()["items"]} == {"unchanged"}


async def test_what_cannot_be_read_is_refused_with_file_and_line_and_makes_nothing(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    bombs = {
        "yaml alias bomb": (
            "promptfoo",
            "a: &a [x,x]\nb: &b [*a,*a]\n" + "".join(f"c{n}: &c{n} [*b,*b]\n" for n in range(9)),
        ),
        "a key twice": ("openai", '{"id": "pmpt_1", "id": "pmpt_2", "instructions": "x"}'),
        "deep": ("langfuse", "[" * 5_000 + "]" * 5_000),
        "a path that leads out": ("promptfoo", "prompts: ['file://../../etc/passwd']\ntests: []\n"),
        "hidden characters": (
            "langfuse",
            json.dumps([{"name": "a\u202eb", "version": 1, "type": "text", "prompt": "x"}]),
        ),
    }
    for what, (form, text) in bombs.items():
        name = "promptfooconfig.yaml" if form == "promptfoo" else "export.json"
        answer = await bring(sqlite_client, form, {name: text})
        assert answer.status_code in (200, 422), (what, answer.text)
        if answer.status_code == 422:
            assert name in answer.json()["detail"], what
        else:
            assert answer.json()["losses"], what
    assert problem(await bring(sqlite_client, "word", {"a": "b"}))[0] == 422
    assert await items_of(sqlite_client, "/api/v1/prompts") == []


async def test_who_may_only_read_may_plan_an_import(client: httpx2.AsyncClient, app: Any) -> None:
    key = (await client.post("/api/v1/keys", json={"role": "reader", "name": "r"})).json()["key"]
    async with client_of(app, key) as reader:
        assert (await bring(reader, "text", {"a.md": "Hi"}, "plan")).status_code == 200
        assert problem(await bring(reader, "text", {"a.md": "Hi"}))[0] == 403


async def test_an_import_never_overwrites_what_a_sync_made_and_somebody_changed(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    file = {"path": "prompts/a.prompt.yaml", "text": "messages: [{role: user, content: one}]\n"}
    await sqlite_client.post("/api/v1/sync", json={"mode": "apply", "files": [file]})
    await made(sqlite_client, "prompts", "a", prompt("two"))
    refused = await bring(sqlite_client, "text", {"a.md": "three"})
    assert problem(refused)[0] == 409
    assert (await bring(sqlite_client, "text", {"a.md": "three"}, force=True)).status_code == 200
    assert (await got(sqlite_client, path("prompts", "a")))["version"] == 3


def _log(*texts: str) -> dict[str, str]:
    lines = [{"path": "tone.md", "version": n, "text": text} for n, text in enumerate(texts, start=1)]
    return {"history.jsonl": "".join(f"{json.dumps(line)}\n" for line in lines)}


async def test_an_import_again_makes_only_what_is_new_at_the_source(client: httpx2.AsyncClient) -> None:
    async def numbers() -> list[int]:
        return [v["version"] for v in await items_of(client, path("prompts", "tone", "versions"))]

    texts = ("Be kind.", "Be brief.", "Be brief.", "Be kind.")
    assert (await bring(client, "git-log", _log(*texts))).json()["versions"] == 3
    for mode in ("plan", "apply"):
        assert (await bring(client, "git-log", _log(*texts), mode)).json()["versions"] == 0
    assert await numbers() == [3, 2, 1]
    for mode in ("plan", "apply"):
        assert (await bring(client, "git-log", _log(*texts, "Be bold."), mode)).json()["versions"] == 1
    assert await numbers() == [4, 3, 2, 1]


async def test_an_import_again_does_not_overwrite_what_was_changed_here_since(client: httpx2.AsyncClient) -> None:
    await bring(client, "git-log", _log("Be kind.", "Be brief."))
    await made(client, "prompts", "tone", prompt("Ours"))
    for texts in (("Be kind.", "Be brief."), ("Be kind.", "Be brief.", "Be bold.")):
        refused = await bring(client, "git-log", _log(*texts))
        assert problem(refused)[:2] == (409, "conflict"), refused.text
    assert (await got(client, path("prompts", "tone")))["version"] == 3
    forced = await bring(client, "git-log", _log("Be kind.", "Be brief.", "Be bold."), force=True)
    assert forced.json()["versions"] == 1
    assert (await got(client, path("prompts", "tone")))["version"] == 4
