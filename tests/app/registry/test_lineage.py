"""What a version is made of, what was made of it, and what can no longer go because of that."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from app.kit.asgi import KeepEncodedSlash
from app.kit.db import writing
from app.kit.errors import ConflictError
from app.registry.lineage import Lineage
from app.registry.repository import Repository
from tests.app.registry.api import got, items_of, made, path, problem, prompt
from tests.conftest import on_both


@pytest.fixture
async def project(client: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """A prompt with a RAG config over a corpus, and a suite that was run with it."""
    items = [{"id": "1", "inputs": {"text": "Cats purr."}, "recorded": {"gpt-test": {"text": "They purr."}}}]
    await made(client, "datasets", "corpus", {"items": items})
    asked = [{"id": "1", "inputs": {"question": "Cats?"}, "recorded": {"gpt-test": {"text": "They purr."}}}]
    await made(client, "datasets", "questions", {"items": asked})
    await made(client, "rag-configs", "docs", {"corpus": "corpus"})
    variables = {"question": {"type": "string"}, "context": {"type": "string", "default": ""}}
    await made(client, "prompts", "ask", prompt("{{ context }} {{ question }}", variables=variables, rag="docs"))
    await made(client, "endpoints", "m", {"provider": "replay", "model": "gpt-test"})
    await made(client, "suites", "s", {"dataset": "questions", "endpoints": ["m"], "scorers": [{"use": "length"}]})
    return client


async def run(client: httpx2.AsyncClient) -> str:
    asked = {"suite": "s", "candidates": [{"prompt": "ask"}]}
    answer = await client.post("/api/v1/runs", params={"wait": 20}, json=asked)
    assert answer.json()["status"] == "done", answer.text
    return str(answer.json()["id"])


async def dependents(client: httpx2.AsyncClient, plural: str, name: str, ref: str = "1", **params: Any) -> Any:
    return await got(client, path(plural, name, "versions", ref, "dependents"), **params)


async def test_dependencies_are_what_was_pinned(project: httpx2.AsyncClient) -> None:
    direct = await got(project, path("prompts", "ask", "versions", "1", "dependencies"))
    assert [(d["kind"], d["path"], d["versions"], d["depth"]) for d in direct["items"]] == [
        ("rag-configs", "/rag", ["docs@1"], 1)
    ]
    await made(project, "rag-configs", "docs", {"corpus": "corpus", "min_score": 0.5})
    whole = await got(project, path("prompts", "ask", "versions", "1", "dependencies"), transitive=True)
    assert [(d["kind"], d["versions"], d["depth"]) for d in whole["items"]] == [
        ("rag-configs", ["docs@1"], 1),
        ("datasets", ["corpus@1"], 2),
    ]


async def test_dependents_are_versions_runs_labels_and_environments(project: httpx2.AsyncClient) -> None:
    await project.put(path("prompts", "ask", "labels", "beta"), json={"version": 1})
    rules = {"prompts": {"ask": {"suites": ["s"]}}}
    assert (await project.put("/api/v1/environments/staging", json=rules)).status_code == 200
    runs = [await run(project), await run(project)]
    of_rag = await dependents(project, "rag-configs", "docs")
    assert [(d["kind"], d["name"], d["version"], d["path"]) for d in of_rag["items"]] == [("prompts", "ask", 1, "/rag")]
    assert of_rag["used_by"]["runs"] == {"count": 2, "newest": runs[::-1]}, "through the prompt that refers to it"
    of_prompt = await dependents(project, "prompts", "ask", limit=1)
    assert of_prompt["items"] == []
    assert of_prompt["used_by"] == {
        "labels": ["ask@beta"],
        "environments": ["staging"],
        "runs": {"count": 2, "newest": runs[:0:-1]},
        "releases": {"count": 0, "newest": []},
    }
    for dataset in ("corpus", "questions"):
        assert (await dependents(project, "datasets", dataset))["used_by"]["runs"]["count"] == 2
    assert (await dependents(project, "suites", "s"))["used_by"]["environments"] == ["staging"]


async def test_dependents_come_page_by_page(project: httpx2.AsyncClient) -> None:
    names = [f"p{number}" for number in range(5)]
    for name in names:
        await made(project, "prompts", name, prompt("{{ question }}", variables={"question": {}}, rag="docs"))
    url = path("rag-configs", "docs", "versions", "1", "dependents")
    assert [d["name"] for d in await items_of(project, url, limit=2)] == ["ask", *names]


async def test_a_version_that_something_refers_to_is_not_deleted(project: httpx2.AsyncClient) -> None:
    identifier = await run(project)
    variables = {"question": {"type": "string"}, "context": {"type": "string", "default": ""}}
    await made(project, "prompts", "ask", prompt("{{ context }}? {{ question }}", variables=variables, rag="docs"))
    await made(project, "prompts", "ask", prompt("{{ question }}", variables=variables))
    await made(project, "rag-configs", "docs", {"corpus": "corpus", "min_score": 0.5})
    await project.put(path("prompts", "ask", "labels", "beta"), json={"version": 2})

    async def refused(plural: str, name: str, number: int) -> list[str]:
        answer = await project.delete(path(plural, name, "versions", str(number)))
        assert problem(answer)[:2] == (409, "in-use")
        return [error["detail"] for error in answer.json().get("errors", [])]

    assert await refused("prompts", "ask", 1) == [f"run {identifier}"]
    assert await refused("prompts", "ask", 2) == ["label 'beta'"]
    assert await refused("prompts", "ask", 3) == [], "the latest: its name would stand for nothing"
    assert await refused("rag-configs", "docs", 1) == [f"run {identifier}", "prompts ask@1", "prompts ask@2"]
    await project.delete(path("prompts", "ask", "labels", "beta"))
    assert (await project.delete(path("prompts", "ask", "versions", "2"))).status_code == 204
    gone = await project.get(path("prompts", "ask", "versions", "2"))
    assert (gone.status_code, "was deleted" in gone.json()["detail"]) == (404, True)
    assert [v["version"] for v in await items_of(project, path("prompts", "ask", "versions"))] == [3, 1]
    made_next = await made(project, "prompts", "ask", prompt("x"))
    assert made_next["version"] == 4, "a number is never given twice"
    entries = (await got(project, "/api/v1/audit", action="prompt.version_deleted"))["items"]
    assert [(e["subject"], e["details"]["number"]) for e in entries] == [("prompt ask", 2)]


@on_both
async def test_a_name_is_archived_and_comes_back(project: httpx2.AsyncClient) -> None:
    assert (await project.delete(path("rag-configs", "docs"), params={"reason": "old"})).status_code == 204
    assert await items_of(project, "/api/v1/rag-configs") == []
    assert [a["name"] for a in await items_of(project, "/api/v1/rag-configs", archived=True)] == ["docs"]
    assert (await got(project, path("rag-configs", "docs", "versions", "1")))["version"] == 1
    await run(project)
    back = await project.post(path("rag-configs", "docs", "restore"))
    assert (back.status_code, back.json()["archived_at"]) == (200, None)
    actions = [e["action"] for e in (await got(project, "/api/v1/audit", subject="rag_config docs"))["items"]]
    assert actions == ["rag_config.unarchived", "rag_config.archived", "rag_config.versioned"]


async def test_what_is_archived_and_made_again_is_in_use_again(sqlite_client: httpx2.AsyncClient) -> None:
    await made(sqlite_client, "prompts", "p", prompt("one"))
    await sqlite_client.delete(path("prompts", "p"))
    await sqlite_client.delete(path("prompts", "p"))
    await made(sqlite_client, "prompts", "p", prompt("one"))
    actions = [e["action"] for e in (await got(sqlite_client, "/api/v1/audit", subject="prompt p"))["items"]]
    assert actions == ["prompt.unarchived", "prompt.archived", "prompt.versioned"]


async def test_by_an_alias_exactly_its_own_version_goes_and_what_is_served_stays(
    sqlite_client: httpx2.AsyncClient,
) -> None:
    for text in ("one", "two"):
        await made(sqlite_client, "prompts", "greet", prompt(text, aliases=["pmpt_1"]))
    assert (await sqlite_client.delete(path("prompts", "pmpt_1", "versions", "1"))).status_code == 204
    assert (await sqlite_client.get(path("prompts", "greet", "versions", "1"))).status_code == 404
    assert (await sqlite_client.delete(path("prompts", "pmpt_1"))).status_code == 204
    assert await items_of(sqlite_client, "/api/v1/prompts") == []
    subjects = {e["subject"] for e in (await got(sqlite_client, "/api/v1/audit"))["items"]}
    assert subjects == {"prompt greet"}


async def test_a_suite_that_an_environment_names_by_its_number_is_not_deleted(project: httpx2.AsyncClient) -> None:
    second = {"dataset": "questions", "endpoints": ["m"], "scorers": [{"use": "length", "name": "long"}]}
    await made(project, "suites", "s", second)
    rules = {"prompts": {"ask": {"suites": ["s@1"]}}}
    assert (await project.put("/api/v1/environments/staging", json=rules)).status_code == 200
    refused = await project.delete(path("suites", "s", "versions", "1"))
    assert refused.status_code == 409
    assert [error["detail"] for error in refused.json()["errors"]] == ["environment staging"]
    rules = {"prompts": {"ask": {"suites": ["s"]}}}
    assert (await project.put("/api/v1/environments/staging", json=rules)).status_code == 200
    assert (await project.delete(path("suites", "s", "versions", "1"))).status_code == 204


async def test_a_version_is_not_deleted_under_a_run_that_begins(project: httpx2.AsyncClient) -> None:
    """Both at once, many times: either the run is refused, or what it is about stays."""
    variables = {"question": {"type": "string"}}
    outcomes = []
    for number in range(12):
        asked = await made(project, "prompts", "ask", prompt(f"{number} {{{{ question }}}}", variables=variables))
        await made(project, "prompts", "ask", prompt("{{ question }}", variables=variables))
        body = {"suite": "s", "candidates": [{"prompt": f"ask@{asked['version']}"}]}
        began, deleted = await asyncio.gather(
            project.post("/api/v1/runs", json=body),
            project.delete(path("prompts", "ask", "versions", str(asked["version"]))),
        )
        assert began.status_code in (201, 202, 409, 422), began.text
        assert deleted.status_code in (204, 409), deleted.text
        assert (began.status_code < 300) != (deleted.status_code == 204), (began.text, deleted.text)
        outcomes.append(deleted.status_code)
        if began.status_code < 300:
            assert (await project.get(path("prompts", "ask", "versions", str(asked["version"])))).status_code == 200
    assert outcomes


async def test_who_deletes_waits_for_a_run_that_has_read_the_version(
    project: httpx2.AsyncClient, app: KeepEncodedSlash
) -> None:
    variables = {"question": {"type": "string"}}
    old = await made(project, "prompts", "ask", prompt("2 {{ question }}", variables=variables))
    await made(project, "prompts", "ask", prompt("3 {{ question }}", variables=variables))
    url = path("prompts", "ask", "versions", str(old["version"]))
    at = datetime.now(UTC)
    async with app.litestar.state.sessions.begin() as session:
        await writing(session)
        lineage = Lineage(Repository(session, "default"))
        await lineage.note_use("run", "run_x", [("prompt", old["digest"])], at)
        deleting = asyncio.create_task(project.delete(url))
        assert not (await asyncio.wait([deleting], timeout=0.3))[0], "it waits"
    assert (await deleting).status_code == 409
    assert (await project.get(url)).status_code == 200
    with pytest.raises(ConflictError, match="was deleted just now"):
        async with app.litestar.state.sessions.begin() as session:
            await Lineage(Repository(session, "default")).note_use("run", "x", [("prompt", "sha256:" + "0" * 64)], at)
