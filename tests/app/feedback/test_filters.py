"""Lists and summaries are of what is asked for, or say that there is no such thing."""

from typing import Any

import pytest

from tests.app.feedback.conftest import People
from tests.conftest import on_both


async def build(people: People) -> None:
    """Two versions of `ask`, and a rating of each."""
    await people.prompt()
    content = {"messages": [{"role": "user", "content": "Again: {{ q }}"}], "variables": {"q": {"type": "string"}}}
    await people.client.post("/api/v1/prompts/ask/versions", json={"content": content})
    one = {"id": "m1", "prompt": "ask@1", "signal": "thumbs", "value": 0, "tags": ["web", "50 %"]}
    two = {"id": "m2", "prompt": "ask@2", "signal": "thumbs", "value": 1, "tags": ["webby"]}
    await people.rate([one, two])


@on_both
async def test_ratings_are_found_by_tag(people: People) -> None:
    await build(people)
    for tag, ids in (("web", ["m1"]), ("50 %", ["m1"]), ("webby", ["m2"]), ("we", []), ('"', [])):
        found = (await people.get("/feedback", tag=tag))["items"]
        assert [r["inference_id"] for r in found] == ids
        rows = (await people.get("/feedback/summary", tag=tag))["items"]
        assert sum(r["n"] for r in rows) == len(ids)


@on_both
async def test_a_prompt_may_be_asked_for_with_its_version(people: People) -> None:
    await build(people)
    for ref, keys in (("ask@1", ["ask@1"]), ("ask@2", ["ask@2"]), ("ask", ["ask@1", "ask@2"]), ("ask@latest", None)):
        rows = (await people.get("/feedback/summary", prompt=ref))["items"]
        assert [r["key"] for r in rows] == (keys or ["ask@2"])
        found = (await people.get("/feedback", prompt=ref))["items"]
        assert sorted(f"ask@{r['version']}" for r in found) == (keys or ["ask@2"])


@on_both
@pytest.mark.parametrize("path", ["/feedback", "/feedback/summary"])
async def test_a_prompt_that_does_not_exist_is_not_an_empty_list(people: People, path: str) -> None:
    await build(people)
    for ref in ("aks", "ask@7", "ask@production", "ask@", "\x01", "ask@sha256:000000000000"):
        problem = await people.get(path, 404, prompt=ref)
        assert problem["errors"][0]["pointer"] == "/prompt"


@on_both
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 10**30),
        ("version", 0),
        ("release", "a\0b"),
        ("tag", "\0"),
        ("since", "0001-01-01T00:00:00+14:00"),
        ("until", "9999-12-31T23:59:59-14:00"),
        ("since", "2027-01-01T00:00:00"),
        ("cursor", "WyJcdTAwMDAiXQ"),
    ],
)
async def test_a_filter_that_nothing_can_match_is_refused(people: People, name: str, value: Any) -> None:
    problem = await people.get("/feedback", 400, **{name: value})
    assert problem["errors"][0]["pointer"] == f"/{name}"


async def test_a_version_is_said_once(people: People) -> None:
    await build(people)
    assert (await people.get("/feedback", 400, prompt="ask@1", version=2))["errors"][0]["pointer"] == "/version"
    assert len((await people.get("/feedback", prompt="ask@1", version=1))["items"]) == 1
