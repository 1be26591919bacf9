"""Whatever can put, move or remove a label, or take away what one stands on: an environment's is moved by a release alone."""

import json
from typing import Any

import pytest

from tests.app.releases.conftest import Door, Keys

PROMPT = {"messages": [{"role": "user", "content": "{{ question }}"}], "variables": {"question": {"type": "string"}}}
OTHER = {**PROMPT, "messages": [{"role": "user", "content": "other {{ question }}"}]}
FILE = json.dumps(OTHER)
EXPORT = json.dumps(
    [{"name": "ask", "version": 9, "type": "text", "prompt": "hi", "labels": ["production"], "tags": []}]
)


async def standing(door: Door) -> tuple[int | None, Any]:
    """Where the label stands, and what is served."""
    live = await door.client.get("/api/v1/environments/production/prompts/ask")
    return await door.label(), live.json()["digest"]


WAYS: dict[str, tuple[str, str, Any]] = {
    "put it": ("PUT", "/prompts/ask/labels/production", {"version": 2}),
    "put it from where it stands": ("PUT", "/prompts/ask/labels/production", {"version": 2, "reason": "hurry"}),
    "remove it": ("DELETE", "/prompts/ask/labels/production", None),
    "remove it with a reason": ("DELETE", "/prompts/ask/labels/production?reason=x", None),
    "make a version with it": ("POST", "/prompts/ask/versions", {"content": OTHER, "labels": ["production"]}),
    "make the same version with it": (
        "POST",
        "/prompts/ask/versions",
        {"content": PROMPT, "labels": ["x", "production"]},
    ),
    "sync a file with it": (
        "POST",
        "/sync",
        {
            "mode": "apply",
            "files": [{"path": "prompts/ask.prompt.yaml", "text": FILE[:-1] + ', "labels": ["production"]}'}],
        },
    ),
    "sync with force": (
        "POST",
        "/sync",
        {
            "mode": "apply",
            "force": True,
            "files": [{"path": "prompts/ask.prompt.yaml", "text": FILE[:-1] + ', "labels": ["production"]}'}],
        },
    ),
    "declare an environment and put its label in one sync": (
        "POST",
        "/sync",
        {
            "mode": "apply",
            "files": [
                {"path": "promptward.yaml", "text": "environments: {fresh: {}}"},
                {"path": "prompts/ask.prompt.yaml", "text": FILE[:-1] + ', "labels": ["fresh"]}'},
            ],
        },
    ),
    "archive the prompt": ("DELETE", "/prompts/ask", None),
    "prune it away": ("POST", "/sync", {"mode": "apply", "prune": True, "files": []}),
    "delete the version": ("DELETE", "/prompts/ask/versions/1", None),
    "import it with the label": (
        "POST",
        "/import",
        {"format": "langfuse", "mode": "apply", "force": True, "files": [{"path": "e.json", "text": EXPORT}]},
    ),
}


@pytest.mark.parametrize("way", WAYS)
async def test_no_way_but_a_release_moves_an_environment_s_label(door: Door, way: str) -> None:
    """As an administrator: whoever may do everything may not do this."""
    await door.client.post(
        "/api/v1/sync",
        json={"mode": "apply", "files": [{"path": "prompts/ask.prompt.yaml", "text": json.dumps(PROMPT)}]},
    )
    await door.build()
    assert (await door.release())["state"] == "live"
    file = {"path": "prompts/ask.prompt.yaml", "text": json.dumps(OTHER)}
    await door.post("/sync", {"mode": "apply", "force": True, "files": [file]})
    before = await standing(door)
    assert before[0] == 1
    method, path, body = WAYS[way]
    sent = {} if body is None else {"json": body}
    answer = await door.client.request(method, f"/api/v1{path}", **sent)
    assert await standing(door) == before
    if way == "import it with the label":  # the content comes in, the label does not
        assert any("production" in loss["what"] for loss in answer.json()["losses"])
    else:
        assert answer.status_code in (403, 409), (way, answer.text)
    labels = (await door.get("/prompts/ask"))["labels"]
    assert "fresh" not in labels


async def test_who_may_not_move_labels_cannot_set_free_ones_on_the_way_either(door: Door, keys: Keys) -> None:
    await door.prompt()
    async with keys.of("proposer") as proposer:
        made = await proposer.client.post("/api/v1/prompts/ask/versions", json={"content": OTHER, "labels": ["beta"]})
        assert made.status_code == 403
        text = FILE[:-1] + ', "labels": ["beta"]}'
        synced = await proposer.client.post(
            "/api/v1/sync", json={"mode": "apply", "files": [{"path": "prompts/ask.prompt.yaml", "text": text}]}
        )
        assert synced.status_code == 403, synced.text
        assert (await proposer.client.put("/api/v1/prompts/ask/labels/beta", json={"version": 1})).status_code == 403
    assert (await door.get("/prompts/ask"))["labels"] == {}
