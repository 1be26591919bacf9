"""A prompt's life as a whole: whose it is, who calls it, and what happens when it ends."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.app.releases.conftest import Door, Keys
from tests.conftest import on_both

CHAT = {"model": "ask@production", "messages": [], "extra_body": {}}


async def put(door: Door, code: int = 200, name: str = "ask", **body: Any) -> dict[str, Any]:
    answer = await door.client.put(f"/api/v1/prompts/{name}/catalogue", json=body)
    assert answer.status_code == code, answer.text
    return dict(answer.json())


async def names(door: Door, state: str) -> list[str]:
    return [entry["name"] for entry in (await door.get("/catalogue", state=state))["items"]]


async def call(door: Door) -> httpx2.Response:
    body = {"model": "ask@production", "messages": [], "variables": {"question": "question 1"}}
    return await door.client.post("/v1/chat/completions", json=body)


@on_both
async def test_the_catalogue_says_whose_a_prompt_is_where_it_is_live_and_who_calls_it(door: Door, keys: Keys) -> None:
    await door.build()
    await door.prompt("never {{ question }}", "idle")
    assert await names(door, "never_released") == ["ask", "idle"]
    release = await door.release()
    assert release["state"] == "live"
    async with keys.of("server", "shop backend") as server:
        body = {"id": "m1", "prompt": "ask", "variables": {"question": "x"}, "output": "y"}
        assert (await server.client.post("/api/v1/inferences", json=body)).status_code == 201
    said = {"owner": "docs team", "purpose": "Answers customers.", "sunset_on": "2020-01-01", "successor": "idle"}
    entry = await put(door, **said, reason="inventory")
    assert {name: entry[name] for name in said} == said
    assert (entry["states"], [place["environment"] for place in entry["live"]]) == (
        ["live", "sunset_due"],
        ["production"],
    )
    assert entry["live"][0]["release"] == release["id"]
    assert entry["last_evaluation"]["suite"] == "checks"
    assert [(c["name"], c["calls"]) for c in entry["consumers"]] == [("shop backend", 1)]
    assert await names(door, "never_released") == ["idle"]
    assert (await names(door, "live"), await names(door, "sunset_due")) == (["ask"], ["ask"])
    assert await names(door, "live_unevaluated") == []
    assert [e["name"] for e in (await door.get("/catalogue", owner="docs team", limit=1))["items"]] == ["ask"]
    kept = await put(door, owner=None)
    assert (kept["owner"], kept["purpose"]) == (None, "Answers customers.")
    actions = [e["action"] for e in (await door.get("/audit", subject="prompt ask"))["items"]]
    assert actions.count("prompt.catalogued") == 2


@on_both
async def test_a_retired_prompt_is_gone_wherever_it_was_served_and_names_its_successor(door: Door) -> None:
    await door.build()
    await door.prompt("new {{ question }}", "new/ask")
    await door.release()
    assert (await door.client.get("/api/v1/environments/production/prompts/ask")).status_code == 200
    entry = await door.post("/prompts/ask/retire", {"successor": "new/ask", "reason": "replaced"})
    assert "retired" in entry["states"]
    fetched = await door.client.get("/api/v1/environments/production/prompts/ask")
    body = fetched.json()
    assert (fetched.status_code, body["type"], body["successor"]) == (410, "urn:promptward:gone", "new/ask")
    assert fetched.headers["link"] == '</api/v1/prompts/new%2Fask>; rel="successor-version"'
    assert (await call(door)).status_code == 410
    assert (await door.client.get("/v1/models")).json()["data"] == []
    await door.release("also", status=410)
    assert (await door.get("/prompts/ask/versions/1"))["version"] == 1, "what it was stays readable"
    assert await names(door, "retired") == ["ask"]
    await door.post("/prompts/ask/revive")
    assert (await door.client.get("/api/v1/environments/production/prompts/ask")).status_code == 200


async def test_who_still_calls_a_prompt_keeps_it_from_being_retired(door: Door, keys: Keys) -> None:
    await door.build()
    await door.release()
    async with keys.of("server", "shop backend") as server:
        body = {"id": "m1", "prompt": "ask", "variables": {"question": "x"}, "output": "y"}
        await server.client.post("/api/v1/inferences", json=body)
    refused = await door.post("/prompts/ask/retire", {}, 409)
    assert "shop backend (1 calls" in refused["detail"]
    assert "retired" not in (await door.get("/prompts/ask/catalogue"))["states"]
    assert "retired" in (await door.post("/prompts/ask/retire", {"force": True}))["states"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"successor": "nothing"}, "/successor"),
        ({"successor": "ask"}, "/successor"),
        ({"successor": "old"}, "/successor"),
    ],
)
async def test_a_successor_is_another_prompt_that_is_in_use(door: Door, body: dict[str, Any], pointer: str) -> None:
    await door.prompt()
    await door.prompt("old", "old")
    await door.post("/prompts/old/retire")
    for answer in (await put(door, 422, **body), await door.post("/prompts/ask/retire", body, 422)):
        assert [error["pointer"] for error in answer["errors"]] == [pointer]
    assert (await door.get("/prompts/ask/catalogue"))["successor"] is None


async def test_an_unknown_state_or_prompt_is_refused(door: Door, keys: Keys) -> None:
    assert (await door.get("/catalogue", 400, state="asleep"))["errors"][0]["pointer"] == "/state"
    await door.get("/prompts/none/catalogue", 404)
    await door.prompt()
    async with keys.of("proposer") as proposer:
        await put(proposer, 403, owner="me")
        await proposer.post("/prompts/ask/retire", {}, 403)


async def test_callers_are_sent_to_the_first_successor_that_is_in_use(door: Door) -> None:
    await door.build()
    await door.release()
    for name in ("second", "third"):
        await door.prompt(name, name)
    aliased = {"messages": [{"role": "user", "content": "third"}], "aliases": ["pmpt_3"]}
    await door.make("prompts", "third", aliased)

    async def told() -> str | None:
        body = (await door.client.get("/api/v1/environments/production/prompts/ask")).json()
        return body.get("successor")

    await door.post("/prompts/ask/retire", {"successor": "second"})
    assert await told() == "second"
    kept = await door.post("/prompts/second/retire", {"successor": "pmpt_3"})
    assert (kept["successor"], await told()) == ("third", "third")
    await door.post("/prompts/third/retire")
    assert await told() is None
    await door.post("/prompts/second/revive")
    assert await told() == "second"


async def test_successors_do_not_go_round(door: Door) -> None:
    for name in ("a", "b", "c"):
        await door.prompt(name, name)
    await put(door, name="a", successor="b")
    await put(door, name="b", successor="c")
    refused = await put(door, 422, name="c", successor="a")
    assert "come after itself" in refused["detail"]
    refused = await door.post("/prompts/c/retire", {"successor": "a"}, 422)
    assert [error["pointer"] for error in refused["errors"]] == ["/successor"]


async def test_a_prompt_that_is_retired_during_its_rollout_is_gone_for_everybody(door: Door) -> None:
    await door.build(rollout={"steps": [{"share": 0.5}]})
    await door.release(rollout=None)
    active = await door.release("also")
    assert active["state"] == "rolling_out", active
    await door.post("/prompts/ask/retire", {"force": True})
    for unit in ("ann", "bob", "cem", "dan"):
        answer = await door.client.get("/api/v1/environments/production/prompts/ask", params={"unit": unit})
        assert answer.status_code == 410
    rolled = await door.act(active, "rollback", reason="retired")
    assert rolled["state"] == "rolled_back"
    await door.post("/prompts/ask/revive")
    answer = await door.client.get("/api/v1/environments/production/prompts/ask")
    assert (answer.status_code, "x-promptward-arm" in answer.headers) == (200, False)


async def test_openai_s_client_is_told_that_a_prompt_is_gone_in_its_own_form_streaming_too(door: Door) -> None:
    await door.build()
    await door.release()
    await door.post("/prompts/ask/retire", {"force": True})
    for stream in (False, True):
        body = {"model": "ask@production", "messages": [], "variables": {"question": "question 1"}, "stream": stream}
        answer = await door.client.post("/v1/chat/completions", json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (410, "application/json")
        assert "was retired" in answer.json()["error"]["message"]


@on_both
async def test_what_no_database_can_hold_is_refused_by_the_catalogue(door: Door) -> None:
    await door.prompt()
    assert (await door.get("/catalogue", 400, owner="a\0b"))["errors"][0]["pointer"] == "/owner"
    assert (await door.client.post("/api/v1/prompts/ask/revive", params={"reason": "a\0b"})).status_code == 422
    await put(door, 422, successor="a\0b")
    assert (await door.client.get("/api/v1/prompts/a%00b/catalogue")).status_code == 404
    assert (await door.get("/catalogue", 400, cursor="WyJhXHUwMDAwIl0"))["errors"][0]["pointer"] == "/cursor"


@on_both
async def test_a_version_is_not_deleted_under_a_release_that_begins(door: Door) -> None:
    """Both at once, many times, while another version has the same content: never a release of a version that is gone."""
    await door.build()
    names = [f"p{number}" for number in range(8)]
    for name in names:
        for text in ("{{ question }}", "other {{ question }}", "{{ question }}", "last {{ question }}"):
            await door.prompt(text, name)
    await door.environment(prompts={name: {"suites": ["checks"], "policy": "strict"} for name in names})
    for name in names:
        body = {"environment": "production", "prompt": f"{name}@1", "endpoint": "good"}
        began, deleted = await asyncio.gather(
            door.client.post("/api/v1/releases", json=body),
            door.client.delete(f"/api/v1/prompts/{name}/versions/1"),
        )
        assert began.status_code in (201, 202, 409, 422), began.text
        assert (began.status_code < 300) != (deleted.status_code == 204), (began.text, deleted.text)


async def test_what_a_release_was_judged_by_is_not_deleted(door: Door) -> None:
    await door.build()
    release = await door.release()
    await door.policy(confidence={"pass": 0.9})
    await door.suite(repeats=2)
    for kind, name in (("suites", "checks"), ("gate-policies", "strict")):
        refused = await door.client.delete(f"/api/v1/{kind}/{name}/versions/1")
        assert refused.status_code == 409, refused.text
        assert f"release {release['id']}" in [error["detail"] for error in refused.json()["errors"]]


@on_both
async def test_the_label_of_an_environment_is_fetched_where_a_release_has_put_it(door: Door) -> None:
    await door.build()
    assert await door.label() is None
    await door.release()
    assert await door.label() == 1
    await door.prompt("Please: {{ question }}")
    await door.release("alike")
    assert await door.label() == 2
