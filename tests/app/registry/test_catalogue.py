import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.app.registry.api import got, items_of, made, path, problem, prompt
from tests.conftest import client_of, settings_for, started

PROMPTS: dict[str, dict[str, Any]] = {
    "docs/answer": prompt("Answer from the CONTEXT only.", description="Answers questions", tags=["docs", "live"]),
    "docs/summary": prompt("Summarise 100% of it.", tags=["docs"]),
    "Mail": prompt("Write a friendly letter_head.", description="Größe"),
    "zeta": prompt("Judge.", metadata={"owner": "team-seven"}),
}


@pytest.fixture
async def four(client: httpx2.AsyncClient) -> None:
    for name, content in PROMPTS.items():
        await made(client, "prompts", name, content)


async def names(client: httpx2.AsyncClient, **params: Any) -> list[str]:
    return [a["name"] for a in await items_of(client, "/api/v1/prompts", **params)]


async def test_a_list_is_by_name_and_the_same_on_every_database(client: httpx2.AsyncClient, four: None) -> None:
    assert await names(client) == ["Mail", "docs/answer", "docs/summary", "zeta"]
    assert await names(client, limit=1) == ["Mail", "docs/answer", "docs/summary", "zeta"]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"q": "answer"}, ["docs/answer"]),
        ({"q": "ANSWER context"}, ["docs/answer"]),
        ({"q": "questions docs"}, ["docs/answer"]),
        ({"q": "größe"}, ["Mail"]),
        ({"q": "GRÖSSE"}, ["Mail"]),
        ({"q": "team-seven"}, ["zeta"]),
        ({"q": "100%"}, ["docs/summary"]),
        ({"q": "1%0"}, []),
        ({"q": "letter_head"}, ["Mail"]),
        ({"q": "letter.head"}, []),
        ({"q": "'; drop table artifact; --"}, []),
        ({"q": " "}, ["Mail", "docs/answer", "docs/summary", "zeta"]),
        ({"tag": "docs"}, ["docs/answer", "docs/summary"]),
        ({"tag": "doc"}, []),
        ({"tag": "docs", "q": "summarise"}, ["docs/summary"]),
        ({"label": "staging"}, []),
    ],
)
async def test_search_finds_words_in_names_descriptions_tags_and_contents(
    client: httpx2.AsyncClient, four: None, params: dict[str, str], found: list[str]
) -> None:
    assert await names(client, **params) == found


async def test_search_knows_the_latest_version_alone(client: httpx2.AsyncClient, four: None) -> None:
    await made(client, "prompts", "zeta", prompt("Rank.", tags=["new"]))
    assert await names(client, q="judge") == []
    assert await names(client, q="rank") == ["zeta"]
    assert await names(client, tag="new") == ["zeta"]
    await made(client, "prompts", "zeta", prompt("Rank.", tags=["newer"]))
    assert await names(client, tag="new") == []


async def test_a_cursor_is_stable_while_names_are_made_and_changed(client: httpx2.AsyncClient, four: None) -> None:
    first = await got(client, "/api/v1/prompts", limit=2)
    await made(client, "prompts", "AAA", prompt())
    await made(client, "prompts", "docs/answer", prompt("changed"))
    await made(client, "prompts", "docs/between", prompt())
    rest = await items_of(client, "/api/v1/prompts", limit=2, cursor=first["next_cursor"])
    assert [a["name"] for a in first["items"]] == ["Mail", "docs/answer"]
    assert [a["name"] for a in rest] == ["docs/between", "docs/summary", "zeta"]


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 501}, {"limit": "x"}, {"cursor": "x"}, {"q": "a\x00b"}])
async def test_a_bad_parameter_is_named(sqlite_client: httpx2.AsyncClient, params: dict[str, Any]) -> None:
    answer = await sqlite_client.get("/api/v1/prompts", params=params)
    assert problem(answer) == (400, "bad-request", [f"/{next(iter(params))}"])


async def test_an_artifact_shows_its_latest_content_and_its_labels(client: httpx2.AsyncClient) -> None:
    await made(client, "prompts", "p", prompt("one", description="first"), labels=["staging"])
    second = await made(client, "prompts", "p", prompt("two", tags=["t"]), message="better")
    found = await got(client, path("prompts", "p"))
    shown = {k: found[k] for k in ("kind", "name", "version", "digest", "description", "tags", "labels", "message")}
    assert shown == {
        "kind": "prompts",
        "name": "p",
        "version": 2,
        "digest": second["digest"],
        "description": "",
        "tags": ["t"],
        "labels": {"staging": 1},
        "message": "better",
    }
    assert found["content"] == second["content"]
    assert found["created_at"] < found["updated_at"]


async def test_a_prompt_with_everything_comes_back_as_it_was_sent(client: httpx2.AsyncClient) -> None:
    content = {
        "messages": [
            {"role": "system", "content": "{% if tone %}{{ tone }}{% endif %}\n\nGrüße 😀"},
            {"placeholder": "history"},
            {"role": "user", "content": "{{ question }}"},
        ],
        "description": "All of it",
        "variables": {"question": {"type": "string"}, "tone": {"enum": ["dry", ""], "default": ""}},
        "params": {"temperature": 0.2, "max_tokens": 10, "stop": ["\n"]},
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
        "tags": ["a", "b"],
        "owner": "team",
        "metadata": {"nested": [{"x": None}, 1, True]},
    }
    assert (await made(client, "prompts", "p", content))["content"] == content


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b"", [""]),
        (b"{", []),
        (b'{"content": {"messages": [}}', []),
        (b"\xff\xfe", []),
        (b'{"content": 3}', ["/content"]),
        (b"{}", ["/content"]),
        (b'{"content": {}, "colour": 1}', ["/colour"]),
        (b'{"content": {}, "labels": "x"}', ["/labels"]),
    ],
)
async def test_a_body_that_is_no_request_is_a_400(
    sqlite_client: httpx2.AsyncClient, body: bytes, pointers: list[str]
) -> None:
    answer = await sqlite_client.post(
        path("prompts", "p", "versions"), content=body, headers={"Content-Type": "application/json"}
    )
    assert problem(answer) == (400, "bad-request", pointers)


async def test_an_unknown_kind_is_a_404(sqlite_client: httpx2.AsyncClient) -> None:
    assert problem(await sqlite_client.get("/api/v1/prompt"))[:2] == (404, "not-found")
    answer = await sqlite_client.get("/api/v1/schemas/prompter")
    assert problem(answer)[:2] == (404, "not-found")
    assert "rag-configs" in answer.json()["detail"]


async def test_lists_are_filtered_by_owner_and_folder_and_sorted(client: httpx2.AsyncClient) -> None:
    for name, owner in (("docs/a", "ann"), ("docs/b", "bob"), ("docsy", "ann"), ("z", None)):
        await made(client, "prompts", name, prompt(name, **({"owner": owner} if owner else {})))
    await made(client, "prompts", "docs/a", prompt("changed", owner="ann"))

    async def names(**params: Any) -> list[str]:
        return [a["name"] for a in await items_of(client, "/api/v1/prompts", limit=1, **params)]

    assert await names(owner="ann") == ["docs/a", "docsy"]
    assert await names(folder="docs") == ["docs/a", "docs/b"]
    assert await names(sort="-name") == ["z", "docsy", "docs/b", "docs/a"]
    assert await names(sort="-updated_at") == ["docs/a", "z", "docsy", "docs/b"]
    assert await names(sort="created_at") == ["docs/a", "docs/b", "docsy", "z"]
    assert problem(await client.get("/api/v1/prompts", params={"sort": "size"})) == (400, "bad-request", ["/sort"])
    page = await got(client, "/api/v1/prompts", limit=1)
    moved = {"cursor": page["next_cursor"], "sort": "updated_at"}
    assert problem(await client.get("/api/v1/prompts", params=moved)) == (400, "bad-request", ["/cursor"])


async def test_a_page_stays_where_it_was_while_names_come_and_go(client: httpx2.AsyncClient) -> None:
    for name in ("b", "d", "f"):
        await made(client, "prompts", name, prompt(name))
    first = await got(client, "/api/v1/prompts", limit=2)
    await made(client, "prompts", "a", prompt("a"))
    await made(client, "prompts", "e", prompt("e"))
    await client.delete("/api/v1/prompts/d")
    rest = await got(client, "/api/v1/prompts", limit=5, cursor=first["next_cursor"])
    assert [a["name"] for page in (first, rest) for a in page["items"]] == ["b", "d", "e", "f"]


def cursor_of(*key: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "key",
    [
        ("2026-01-01T00:00:00", "a"),
        ("0001-01-01T00:00:00+14:00", "a"),
        ("9999-12-31T23:59:59-12:00", "a"),
        ("2026-01-01T00:00:00Z", "a\0"),
        ("2026-01-01T00:00:00Z", 1),
        ("2026-01-01T00:00:00Z",),
        ("yesterday", "a"),
        ({}, []),
    ],
)
@pytest.mark.parametrize("sort", ["created_at", "-updated_at"])
async def test_a_cursor_that_was_tampered_with_is_a_bad_request(
    client: httpx2.AsyncClient, key: tuple[Any, ...], sort: str
) -> None:
    answer = await client.get("/api/v1/prompts", params={"sort": sort, "cursor": cursor_of(*key)})
    assert problem(answer) == (400, "bad-request", ["/cursor"])


async def test_pages_are_whole_when_everything_was_made_in_the_same_moment(tmp_path: Path, database_url: str) -> None:
    moment = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    names = ["D", "a", "a-1", "a/b", "a_1", "b", "c"]
    async with (
        started(settings_for(tmp_path / "home", database_url), clock=lambda: moment) as app,
        client_of(app) as client,
    ):
        for name in reversed(names):
            await made(client, "prompts", name + "x", prompt(name))
        want = sorted(name + "x" for name in names)
        for sort in ("name", "created_at", "updated_at"):
            for limit in (1, 2, 3):
                up = await items_of(client, "/api/v1/prompts", sort=sort, limit=limit)
                down = await items_of(client, "/api/v1/prompts", sort=f"-{sort}", limit=limit)
                assert [a["name"] for a in up] == want
                assert [a["name"] for a in down] == want[::-1]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("_", ["under"]),
        ("%", ["percent"]),
        ("50% OFF", ["percent"]),
        ("\\", ["back"]),
        ("STRASSE", ["street"]),
        ("straße", ["street"]),
        ("ÉCOLE", ["ecole"]),
        ("[a", ["back"]),
        ("'", ["quote"]),
    ],
)
async def test_every_character_of_a_search_stands_for_itself_in_any_case(
    client: httpx2.AsyncClient, q: str, found: list[str]
) -> None:
    texts = {
        "under": "a_b",
        "percent": "50% off",
        "back": "c\\d [ab]",
        "street": "Straße",
        "ecole": "école",
        "quote": "it's",
    }
    for name, text in texts.items():
        await made(client, "prompts", name, {"messages": [{"role": "user", "content": text}]})
    assert [a["name"] for a in await items_of(client, "/api/v1/prompts", q=q)] == found
    assert (await client.get("/api/v1/prompts", params={"q": "a\0"})).status_code == 400
