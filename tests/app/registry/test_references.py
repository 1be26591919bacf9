from typing import Any

import httpx2
import pytest

from app.kit.errors import NotFoundError
from app.registry.service import Registry
from tests.app.registry.api import ENDPOINT, got, made, path, post, problem, prompt

ITEMS = {"items": [{"id": "a", "inputs": {"text": "x"}}]}
MORE = {"items": [{"id": "a", "inputs": {"text": "x"}}, {"id": "b", "inputs": {"text": "y"}}]}


async def test_references_are_pinned_when_a_version_is_made_and_an_old_version_never_changes(
    client: httpx2.AsyncClient,
) -> None:
    old = await made(client, "datasets", "docs", ITEMS, labels=["live"])
    config = {"corpus": "docs"}
    first = await made(client, "rag-configs", "r", config)
    assert first["pins"] == {"/corpus": old["digest"]}
    assert first["content"] == {"corpus": "docs"}, "the reference stays as written"
    new = await made(client, "datasets", "docs", MORE)
    again = await post(client, "rag-configs", "r", config)
    assert (again.status_code, again.json()["version"]) == (201, 2), "the same text stands for another corpus now"
    assert again.json()["pins"] == {"/corpus": new["digest"]}
    assert (await got(client, path("rag-configs", "r", "versions", "1"))) == first
    diff = await got(client, path("rag-configs", "r", "diff"))
    assert diff["changes"] == []
    assert diff["pins"] == [{"path": "/corpus", "before": old["digest"], "after": new["digest"]}]


@pytest.mark.parametrize("ref", ["docs@1", "docs@live", "docs@latest", "docs@DIGEST", "docs@SHORT"])
async def test_every_form_of_reference_is_resolved(client: httpx2.AsyncClient, ref: str) -> None:
    digest = (await made(client, "datasets", "docs", ITEMS, labels=["live"]))["digest"]
    ref = ref.replace("DIGEST", digest).replace("SHORT", digest[:19])
    assert (await made(client, "rag-configs", "r", {"corpus": ref}))["pins"] == {"/corpus": digest}


@pytest.mark.parametrize(
    ("plural", "content", "pointers"),
    [
        ("prompts", prompt(rag="nope", tools="nope@3"), ["/content/rag", "/content/tools"]),
        ("rag-configs", {"corpus": "docs@2"}, ["/content/corpus"]),
        ("rag-configs", {"corpus": "docs@beta"}, ["/content/corpus"]),
        ("rag-configs", {"corpus": "docs@sha256:000000000000"}, ["/content/corpus"]),
        ("rag-configs", {"corpus": "no such name"}, ["/content/corpus"]),
        ("rubrics", {"instructions": "x", "endpoint": "docs", "labels": {"a": 1, "b": 0}}, ["/content/endpoint"]),
        (
            "suites",
            {"dataset": "docs", "endpoints": ["e", "f"], "policy": "p", "scorers": [{"use": "exact_match"}]},
            ["/content/endpoints/1", "/content/policy"],
        ),
    ],
)
async def test_a_reference_to_what_is_not_there_is_refused_with_its_place_and_what_exists(
    client: httpx2.AsyncClient, plural: str, content: dict[str, Any], pointers: list[str]
) -> None:
    await made(client, "datasets", "docs", ITEMS)
    await made(client, "endpoints", "e", ENDPOINT)
    answer = await post(client, plural, "x", content)
    assert problem(answer) == (422, "invalid-content", pointers)
    if pointers == ["/content/corpus"] and "@2" in content["corpus"]:
        assert "it has version 1" in answer.json()["detail"]
    assert (await client.get(path(plural, "x"))).status_code == 404


async def test_a_prompt_must_have_the_variables_that_its_retrieval_asks_for(client: httpx2.AsyncClient) -> None:
    await made(client, "datasets", "docs", ITEMS)
    await made(client, "rag-configs", "r", {"corpus": "docs", "query": "{{ question }} {{ topic }}"})
    answer = await post(client, "prompts", "p", prompt("{{ question }}", variables={"question": {}}, rag="r"))
    assert problem(answer) == (422, "invalid-content", ["/content/rag"])
    assert "'topic'" in answer.json()["detail"]


async def test_a_draft_is_found_by_its_digest_and_is_no_version(client: httpx2.AsyncClient, app: Any) -> None:
    await made(client, "prompts", "p", prompt("versioned"))
    async with app.litestar.state.sessions.begin() as session:
        registry = Registry(session, "default")
        draft = await registry.draft("prompt", prompt("draft"))
        assert (draft.number, draft.name) == (None, None)
        assert await registry.draft("prompt", prompt("draft")) == draft, "the same draft again is the same"
    async with app.litestar.state.sessions() as session:
        registry = Registry(session, "default")
        by_name = await registry.resolve("prompt", f"p@{draft.digest}")
        assert (by_name.name, by_name.number, by_name.content) == ("p", None, draft.content)
        assert (await registry.resolve("prompt", f"new/name@{draft.digest[:19]}")).digest == draft.digest
        assert await registry.by_digest("prompt", draft.digest) == draft
        assert (await registry.resolve("prompt", "p")).number == 1, "what is latest does not move"
        with pytest.raises(NotFoundError):
            await registry.by_digest("endpoint", draft.digest)
        with pytest.raises(NotFoundError):
            await registry.by_digest("prompt", draft.digest[:30])
        with pytest.raises(NotFoundError):
            await Registry(session, "other").by_digest("prompt", draft.digest)
    assert (await client.get(path("prompts", "p", "versions", draft.digest))).status_code == 404
    assert (await got(client, path("prompts", "p", "diff"), **{"from": 1, "to": draft.digest}))["to"] == draft.digest
    assert (await got(client, path("prompts", "p")))["version"] == 1


async def test_the_start_of_two_digests_is_ambiguous(client: httpx2.AsyncClient, app: Any) -> None:
    from app.registry.tables import ContentRow

    async with app.litestar.state.sessions.begin() as session:
        registry = Registry(session, "default")
        draft = await registry.draft("prompt", prompt("draft"))
        row = await session.get(ContentRow, ("default", "prompt", draft.digest))
        twin = draft.digest[:-1] + ("0" if draft.digest[-1] != "0" else "1")
        session.add(
            ContentRow(
                project_id="default",
                kind="prompt",
                digest=twin,
                body=row.body,
                pins={},
                deciding_pins={},
                created_at=row.created_at,
            )
        )
        await session.flush()
        with pytest.raises(NotFoundError, match="start of several digests"):
            await registry.resolve("prompt", f"p@{draft.digest[:20]}")
        assert (await registry.resolve("prompt", f"p@{draft.digest}")).digest == draft.digest


async def test_references_are_kept_the_other_way_round(client: httpx2.AsyncClient, app: Any) -> None:
    from sqlalchemy import select

    from app.registry.tables import ReferenceRow

    dataset = await made(client, "datasets", "docs", ITEMS)
    config = await made(client, "rag-configs", "r", {"corpus": "docs"})
    async with app.litestar.state.sessions() as session:
        rows = list(await session.scalars(select(ReferenceRow)))
    assert [(r.kind, r.digest, r.pointer, r.to_kind, r.to_digest) for r in rows] == [
        ("rag_config", config["digest"], "/corpus", "dataset", dataset["digest"])
    ]
