"""The client against the service itself."""

from pathlib import Path
from typing import Any

import pytest
from promptward import AsyncClient, Client, PromptwardError

NAME = "docs/answer"


def prompt(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "variables": {"question": {"type": "string"}}}


async def test_the_life_of_a_prompt(api: AsyncClient) -> None:
    first = await api.prompts.create_version(NAME, prompt("{{ question }}"), message="first", labels=["beta"])
    assert (first["version"], first["labels"], first["message"]) == (1, ["beta"], "first")
    again = await api.prompts.create_version(NAME, prompt("{{ question }}"))
    assert again["version"] == 1
    second = await api.prompts.create_version(NAME, prompt("Please: {{ question }}"))
    assert (await api.prompts.get(NAME))["version"] == 2
    assert (await api.prompts.get(NAME, 1))["digest"] == first["digest"]
    assert (await api.prompts.get(NAME, label="beta"))["version"] == 1
    assert (await api.prompts.get(NAME, second["digest"]))["version"] == 2
    diff = await api.prompts.diff(NAME, 1, 2)
    assert [c["path"] for c in diff["changes"]] == ["/messages/0/content"]
    assert [v["version"] async for v in api.prompts.each_version(NAME)] == [2, 1]
    assert [v["version"] for v in (await api.prompts.versions(NAME, limit=1))["items"]] == [2]
    assert (await api.prompts.label(NAME, "beta", 2, reason="better"))["version"] == 2
    await api.prompts.unlabel(NAME, "beta", reason="over")
    moves = [dict(m) async for m in api.prompts.each_label_move(NAME, "beta")]
    assert [(m["from"], m["to"], m["reason"]) for m in moves] == [
        (2, None, "over"),
        (1, 2, "better"),
        (None, 1, "first"),
    ]
    rendered = await api.prompts.render(NAME, 2, {"question": "Why?"})
    assert rendered["messages"] == [{"role": "user", "content": "Please: Why?"}]
    assert rendered["tokens"] > 0


async def test_lists_are_read_page_by_page(api: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptward.artifacts.PAGE", 2)
    names = [f"p{n}" for n in range(5)]
    for name in names:
        await api.prompts.create_version(name, prompt("{{ question }}"))
    assert [p["name"] async for p in api.prompts.each()] == names
    assert [p["name"] async for p in api.prompts.each("p3")] == ["p3"]


async def test_an_error_names_its_slug_and_the_bad_fields(api: AsyncClient) -> None:
    with pytest.raises(PromptwardError) as caught:
        await api.prompts.create_version("p", {"messages": [{"role": "nobody", "content": "x"}]})
    assert (caught.value.slug, caught.value.status) == ("invalid-content", 422)
    assert [e.pointer for e in caught.value.errors] == ["/content/messages/0/role"]
    with pytest.raises(PromptwardError) as caught:
        await api.prompts.get("nothing/here")
    assert (caught.value.slug, caught.value.status) == ("not-found", 404)


async def test_a_wrong_key_is_unauthorized(api: AsyncClient) -> None:
    transport = api._core._http._transport
    async with AsyncClient("http://test", "pw_no_key", transport=transport) as stranger:
        with pytest.raises(PromptwardError) as caught:
            await stranger.prompts.list()
    assert caught.value.slug == "unauthorized"


def test_a_key_that_no_header_can_carry_is_refused_at_once() -> None:
    with pytest.raises(PromptwardError, match="API key"):
        AsyncClient("http://test", "pw_ä")


async def test_datasets_are_uploaded_as_files_and_read_item_by_item(api: AsyncClient) -> None:
    data = b'{"id": "a", "inputs": {"question": "1"}}\n{"id": "b", "inputs": {"question": "2"}}\n'
    version = await api.datasets.upload("d", data, "application/x-ndjson")
    assert version["content"]["items"]["count"] == 2
    assert [i["id"] async for i in api.datasets.items("d", 1)] == ["a", "b"]


async def test_kinds_that_do_not_exist_are_named(api: AsyncClient) -> None:
    with pytest.raises(PromptwardError, match="rag-configs"):
        api.artifacts("rags")
    assert (await api.artifacts("rag-configs").list())["items"] == []


async def test_sync_plans_applies_and_drafts(api: AsyncClient) -> None:
    files = [
        {"path": "promptward.yaml", "text": "project: x\n"},
        {"path": "prompts/p.prompt.yaml", "text": "messages: [{role: user, content: hello}]\n"},
    ]
    assert [(i["kind"], i["name"], i["action"]) for i in (await api.sync(files))["items"]] == [
        ("prompts", "p", "create")
    ]
    draft = (await api.sync(files, "draft"))["items"][0]
    assert draft["version"] is None
    assert (await api.prompts.list())["items"] == []
    applied = (await api.sync(files, "apply"))["items"][0]
    assert (applied["version"], applied["digest"]) == (1, draft["digest"])


async def test_keys_are_made_listed_and_revoked(api: AsyncClient) -> None:
    created = await api.keys.create("reader", "bot", expires_at="2100-01-01T00:00:00Z")
    assert created["key"].startswith(f"pw_{created['id']}_")
    assert [k["id"] async for k in api.keys.each()] == [created["id"]]
    await api.keys.revoke(created["id"])
    assert [k["revoked_at"] is None for k in (await api.keys.list())["items"]] == [False]


async def test_scorers_come_with_the_schemas_of_their_arguments(api: AsyncClient) -> None:
    known = {s["name"]: s for s in (await api.scorers.list())["items"]}
    assert "properties" in known["contains"]["schema"]
    assert (await api.scorers.get("contains")) == known["contains"]


def test_the_blocking_client_does_the_same(tmp_path: Path, served_url: tuple[str, str]) -> None:
    url, token = served_url
    with Client(url, token) as client:
        client.prompts.create_version("blocking", prompt("{{ question }}"))
        assert client.prompts.get("blocking")["version"] == 1
        assert [v["version"] for v in client.prompts.each_version("blocking")] == [1]
        with pytest.raises(PromptwardError) as caught:
            client.artifacts("suites").get("nothing")
        assert caught.value.slug == "not-found"
        versions = client.prompts.each_version("blocking")
        next(versions)
        versions.close()
        assert client.sync([{"path": "promptward.yaml", "text": "project: x\n"}])["items"] == []


async def test_the_blocking_client_may_be_used_inside_a_running_loop(served_url: tuple[str, str]) -> None:
    with Client(*served_url) as client:
        assert client.ready()
