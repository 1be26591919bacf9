"""Releases through the client: every act by its name, waiting, and lists that are read to their end."""

from pathlib import Path
from typing import Any

import pytest
from promptward import AsyncClient, Client, PromptwardError

from tests.app.runs.endpoint import endpoint

ITEMS = [
    {
        "id": f"q{n}",
        "inputs": {"question": f"question {n}"},
        "reference": f"answer {n}",
        "recorded": {"good": {"text": f"answer {n}"}, "also": {"text": f"answer {n}"}, "bad": {"text": "no idea"}},
    }
    for n in range(40)
]
RULES: dict[str, Any] = {"prompts": {"ask": {"suites": ["checks"], "policy": "strict"}}}


async def build(api: AsyncClient) -> None:
    """A prompt whose answers are recorded, and production's rules."""
    content = {"messages": [{"role": "user", "content": "{{ question }}"}], "variables": {"question": {}}}
    await api.prompts.create_version("ask", content)
    await api.datasets.create_version("questions", {"items": ITEMS})
    for model in ("good", "also", "bad"):
        await api.artifacts("endpoints").create_version(model, {"provider": "replay", "model": model})
    suite = {
        "dataset": "questions",
        "endpoints": ["good"],
        "scorers": [{"use": "exact_match", "name": "right"}],
    }
    await api.artifacts("suites").create_version("checks", suite)
    policy = {"extend": {"max_repeats": 1}, "rules": [{"metric": "right", "floor": 0.6}]}
    await api.artifacts("gate-policies").create_version("strict", policy)
    await api.environments.put("production", RULES)


async def test_every_act_has_a_method_of_its_own(api: AsyncClient) -> None:
    await build(api)
    first = await api.releases.create("production", "ask", "good")
    assert (await api.releases.wait(first["id"], 30))["state"] == "live"
    second = await api.releases.create("production", "ask", "also", wait=30, rollout={"steps": [0.1, 0.5]})
    assert (await api.releases.pause(second["id"], reason="lunch"))["state"] == "paused"
    with pytest.raises(PromptwardError) as caught:
        await api.releases.promote(second["id"])
    assert (caught.value.slug, caught.value.status) == ("release-state", 409)
    resumed = await api.releases.resume(second["id"])
    assert (resumed["state"], resumed["share"]) == ("rolling_out", 0.1)
    with pytest.raises(PromptwardError, match="revision"):
        await api.releases.promote(second["id"], revision=resumed["revision"] - 1)
    assert (await api.releases.promote(second["id"], revision=resumed["revision"]))["share"] == 0.5
    assert (await api.releases.rollback(second["id"], reason="complaints"))["state"] == "rolled_back"
    third = await api.releases.create("production", "ask", "bad", wait=30)
    assert (await api.releases.evaluate(third["id"], reason="again", wait=30))["state"] == "blocked"
    assert (await api.releases.reject(third["id"]))["state"] == "rejected"
    await api.environments.put("production", {**RULES, "approvals": 1})
    fourth = await api.releases.create("production", "ask", "also", wait=30)
    approver = await api.keys.create("approver", "Ada")
    async with AsyncClient("http://test", approver["key"], transport=api._core._http._transport) as ada:
        assert (await ada.releases.approve(fourth["id"], bundle=fourth["bundle"]))["state"] == "live"


async def test_waiting_longer_than_was_said_is_an_error_that_stops_nothing(api: AsyncClient) -> None:
    await build(api)
    async with endpoint(latency_s=0.4) as slow:
        content = {"provider": "compatible", "base_url": slow.base_url, "model": "m"}
        await api.artifacts("endpoints").create_version("slow", content)
        made = await api.releases.create("production", "ask", "slow")
        with pytest.raises(PromptwardError) as caught:
            await api.releases.wait(made["id"], 0.05)
        assert caught.value.slug == "not-evaluated"
        assert (await api.releases.wait(made["id"]))["state"] == "blocked"


async def test_what_comes_in_pages_is_read_to_its_end(api: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("releases", "runs", "project"):
        monkeypatch.setattr(f"promptward.{module}.PAGE", 2)
    await build(api)
    for model in ("good", "bad", "bad", "bad"):
        await api.releases.create("production", "ask", model, wait=30)
    releases = [r async for r in api.releases.each()]
    assert [r["state"] for r in releases] == ["blocked", "blocked", "blocked", "live"]
    assert [r["state"] async for r in api.releases.each(state="live")] == ["live"]
    assert len([r async for r in api.runs.each(suite="checks")]) == 4
    assert len([v async for v in api.gates.each_verdict()]) == 4
    numbers = [entry["no"] async for entry in api.audit.each()]
    assert numbers == list(range(numbers[0], 0, -1))
    assert numbers[0] > 4
    for n in range(3):
        await api.feedback.add({"id": f"m{n}", "prompt": "ask", "signal": "thumbs", "value": 1, "rater": f"r{n}"})
    assert len([rating async for rating in api.feedback.each("ask")]) == 3
    assert len((await api.feedback.list("ask", limit=2))["items"]) == 2


def test_the_blocking_client_has_them_too(tmp_path: Path, served_url: tuple[str, str]) -> None:
    with Client(*served_url) as client:
        assert list(client.releases.each()) == []
        for method in (client.releases.approve, client.releases.reject, client.releases.promote, client.releases.wait):
            with pytest.raises(PromptwardError) as caught:
                method("rel_none")
            assert caught.value.slug == "not-found"
