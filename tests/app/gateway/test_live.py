"""What is live, fetched as content."""

import pytest

from app.kit.etags import matches
from tests.app.gateway.conftest import CONTENT, Shop


async def test_what_is_live_is_content_with_a_strong_tag(shop: Shop) -> None:
    release = await shop.open()
    answer = await shop.fetch()
    body = answer.json()
    assert (body["name"], body["version"], body["environment"], body["bundle"]) == (
        "docs/answer",
        1,
        "production",
        release["bundle"],
    )
    assert body["content"]["messages"] == CONTENT["messages"]
    assert body["endpoint"]["model"] == "m"
    assert "api_key" not in body["endpoint"]
    assert answer.headers["x-promptward-release"] == release["id"]
    tag = answer.headers["etag"]
    assert tag.startswith('"')
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        same = await shop.fetch(code=304, **{"If-None-Match": known})
        assert (same.content, same.headers["etag"]) == (b"", tag)
    await shop.fetch(code=200, **{"If-None-Match": '"other"'})


async def test_the_tag_changes_with_the_content_and_comes_back_with_it(shop: Shop) -> None:
    await shop.open()
    first = (await shop.fetch()).headers["etag"]
    second = await shop.release("other", prompt="docs/answer")
    assert (await shop.fetch()).headers["etag"] != first
    await shop.act(second, "rollback")
    assert (await shop.fetch()).headers["etag"] == first


async def test_during_a_rollout_it_is_what_this_unit_has(shop: Shop) -> None:
    await shop.open()
    second = await shop.roll(0.5)
    problem = (await shop.fetch(code=422)).json()
    assert problem["errors"][0]["pointer"] == "/unit"
    arms = {}
    for n in range(20):
        answers = [await shop.fetch(f"unit {n}") for _ in range(2)]
        assert answers[0].content == answers[1].content
        arms.setdefault(answers[0].headers["x-promptward-arm"], set()).add(answers[0].headers["x-promptward-release"])
    assert arms["candidate"] == {second["id"]}
    assert set(arms) == {"candidate", "baseline"}
    await shop.act(second, "rollback")
    assert (await shop.fetch()).json()["version"] == 1


async def test_what_is_not_live_names_what_is(shop: Shop) -> None:
    await shop.open()
    problem = await shop.get("/environments/production/prompts/unknown", 404)
    assert "docs/answer@production" in problem["detail"]
    await shop.get("/environments/staging/prompts/docs%2Fanswer", 404)


@pytest.mark.parametrize(
    ("given", "same"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("a", False), ("", False)],
)
def test_tags_are_compared_weakly(given: str, same: bool) -> None:
    assert matches(given, '"a"') is same
