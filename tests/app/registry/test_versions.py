import asyncio
import json
from pathlib import Path

import httpx2
import pytest

from app.kit.digests import digest
from tests.app.registry.api import ENDPOINT, got, items_of, made, path, post, problem, prompt


async def test_the_first_content_makes_the_artifact_and_its_version_1(client: httpx2.AsyncClient) -> None:
    answer = await post(client, "prompts", "docs/answer", prompt("Hi"), message="first", labels=["staging"])
    version = answer.json()
    assert answer.status_code == 201
    assert {k: version[k] for k in ("kind", "name", "version", "labels", "pins", "message")} == {
        "kind": "prompts",
        "name": "docs/answer",
        "version": 1,
        "labels": ["staging"],
        "pins": {},
        "message": "first",
    }
    assert version["content"] == prompt("Hi")
    assert version["author"]
    assert version["created_at"].endswith("Z")


async def test_the_latest_content_again_is_the_same_version_and_an_older_one_a_new_number_with_its_digest(
    client: httpx2.AsyncClient,
) -> None:
    one, two = prompt("one"), prompt("two")
    statuses, versions = [], []
    for content in (one, one, two, two, one):
        answer = await post(client, "prompts", "p", content)
        statuses.append(answer.status_code)
        versions.append((answer.json()["version"], answer.json()["digest"]))
    assert statuses == [201, 200, 201, 200, 201]
    assert [number for number, _ in versions] == [1, 1, 2, 2, 3]
    assert versions[4][1] == versions[0][1] != versions[2][1]


async def test_anyone_can_recompute_the_digest_from_the_answer(client: httpx2.AsyncClient) -> None:
    await made(client, "datasets", "d", {"items": [{"inputs": {"text": "x"}}]})
    version = await made(client, "rag-configs", "r", {"corpus": "d"})
    assert version["pins"]
    assert version["digest"] == digest({key: version[key] for key in ("kind", "content", "pins")})


async def test_every_kind_has_the_same_routes(client: httpx2.AsyncClient) -> None:
    await made(client, "endpoints", "e", ENDPOINT)
    await made(client, "datasets", "d", {"items": [{"id": "a", "inputs": {"q": "?"}}]})
    contents = {
        "prompts": prompt(),
        "rag-configs": {"corpus": "d"},
        "tool-configs": {"tools": [{"function": {"name": "f"}}]},
        "endpoints": ENDPOINT,
        "suites": {"dataset": "d", "scorers": [{"use": "exact_match"}]},
        "rubrics": {"instructions": "Judge.", "endpoint": "e", "labels": {"good": 1, "bad": 0}},
        "gate-policies": {"rules": [{"metric": "exact_match", "floor": 0.5}]},
        "datasets": {"items": [{"id": "a", "inputs": {"q": "!"}}]},
    }
    for plural, content in contents.items():
        version = await made(client, plural, "folder/x", content)
        assert (await got(client, path(plural, "folder/x")))["digest"] == version["digest"]
        assert (await got(client, path(plural, "folder/x", "versions", "1")))["kind"] == plural
        assert [v["version"] for v in await items_of(client, path(plural, "folder/x", "versions"))] == [1]
        assert "folder/x" in [a["name"] for a in await items_of(client, f"/api/v1/{plural}")]
        assert (await got(client, path(plural, "folder/x", "diff"), **{"from": 1, "to": 1}))["unified"] == ""
        assert (await got(client, f"/api/v1/schemas/{plural}"))["$defs"]


async def test_twenty_creates_at_once_get_the_numbers_1_to_20(client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(post(client, "prompts", "busy", prompt(f"text {i}")) for i in range(20)))
    assert [a.status_code for a in answers] == [201] * 20
    assert sorted(a.json()["version"] for a in answers) == list(range(1, 21))
    listed = await items_of(client, path("prompts", "busy", "versions"), limit=7)
    assert [v["version"] for v in listed] == list(range(20, 0, -1))
    assert {(v["version"], v["digest"]) for v in listed} == {(a.json()["version"], a.json()["digest"]) for a in answers}


async def test_the_same_content_twenty_times_at_once_is_one_version(client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(post(client, "prompts", "calm", prompt("same")) for _ in range(20)))
    assert sorted(a.status_code for a in answers) == [200] * 19 + [201]
    assert {a.json()["version"] for a in answers} == {1}


@pytest.mark.parametrize("ref", ["2", "staging", "latest"])
async def test_a_version_is_found_by_number_label_and_digest(client: httpx2.AsyncClient, ref: str) -> None:
    await made(client, "prompts", "p", prompt("one"))
    second = await made(client, "prompts", "p", prompt("two"), labels=["staging"])
    assert await got(client, path("prompts", "p", "versions", ref)) == second
    assert await got(client, path("prompts", "p", "versions", second["digest"])) == second
    assert await got(client, path("prompts", "p", "versions", second["digest"][:19])) == second


@pytest.mark.parametrize(
    ("name", "ref", "words"),
    [
        ("p", "9", "has no version 9; it has version 1, labels: staging"),
        ("p", "beta", "has no label 'beta'"),
        ("p", "sha256:" + "0" * 12, "has no digest"),
        ("p", "sha256:12", "names no version"),
        ("p", "0", "names no version"),
        ("P", "1", "did you mean 'p'?"),
        ("q", "1", "there are: p"),
        ("x\x00y", "1", "no name holds the character NUL"),
    ],
)
async def test_what_does_not_exist_is_a_404_that_says_what_does(
    client: httpx2.AsyncClient, name: str, ref: str, words: str
) -> None:
    await made(client, "prompts", "p", prompt(), labels=["staging"])
    answer = await client.get(path("prompts", name, "versions", ref))
    assert problem(answer)[:2] == (404, "not-found")
    assert words in answer.json()["detail"]


async def test_the_etag_is_the_content_digest_and_saves_sending_it_again(client: httpx2.AsyncClient) -> None:
    version = await made(client, "prompts", "p", prompt())
    url = path("prompts", "p", "versions", "1")
    first = await client.get(url)
    assert first.headers["etag"] == f'"{version["digest"]}"'
    for tag in (first.headers["etag"], f"W/{first.headers['etag']}", f'"other", {first.headers["etag"]}', "*"):
        again = await client.get(url, headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (await client.get(url, headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a//b",
        "/a",
        "a/",
        ".a",
        "a..b",
        "a.",
        "-a",
        "_a",
        "a b",
        "ä",
        "а",
        "a\u202eb",
        "x" * 121,
        "a/../b",
        "a%b",
        "a@1",
    ],
)
async def test_a_name_outside_the_grammar_is_refused_and_nothing_is_stored(
    client: httpx2.AsyncClient, name: str
) -> None:
    answer = await post(client, "prompts", name, prompt())
    assert answer.status_code in (404, 405, 422), answer.text
    if answer.status_code == 422:
        assert problem(answer)[2] == ["/name"]
    assert await items_of(client, "/api/v1/prompts") == []


@pytest.mark.parametrize("name", ["a", "A-b_c.d", "docs/answer", "0", "x" * 120, "a/b/c/d"])
async def test_a_name_within_the_grammar_is_taken(sqlite_client: httpx2.AsyncClient, name: str) -> None:
    assert (await made(sqlite_client, "prompts", name, prompt()))["name"] == name


async def test_two_names_that_differ_only_by_case_are_refused(client: httpx2.AsyncClient) -> None:
    await made(client, "prompts", "Docs/Answer", prompt())
    answer = await post(client, "prompts", "docs/answer", prompt())
    assert problem(answer)[:2] == (409, "conflict")
    assert "'Docs/Answer'" in answer.json()["detail"]
    assert (await made(client, "endpoints", "docs/answer", ENDPOINT))["version"] == 1, "another kind is another matter"


async def test_projects_do_not_see_each_other(client: httpx2.AsyncClient, app: object) -> None:
    from app.registry.service import Registry

    await made(client, "prompts", "p", prompt())
    sessions = app.litestar.state.sessions  # type: ignore[attr-defined]
    async with sessions.begin() as session:
        other = Registry(session, "other")
        version, created = await other.create_version("prompt", "p", prompt("theirs"))
        assert (version.version, created) == (1, True)
    assert (await got(client, path("prompts", "p")))["content"] == prompt()


async def test_the_history_of_fabric_posts_as_64_versions_with_63_digests(
    sqlite_client: httpx2.AsyncClient, shared_data: Path
) -> None:
    rows = [json.loads(line) for line in (shared_data / "fabric_prompt_versions.jsonl").read_text().splitlines()]
    versions = []
    for row in rows:
        content = {"messages": [{"role": "system", "content": row["text"]}], "variables": {"author_name": {}}}
        version = await made(sqlite_client, "prompts", row["pattern"], content, message=row["commit"])
        versions.append((row["pattern"], version["version"], version["digest"]))
        assert version["version"] == row["version"]
    assert len({(name, number) for name, number, _ in versions}) == 64
    assert len({(name, digest) for name, _, digest in versions}) == 63, "one revert; digests do not depend on the name"
